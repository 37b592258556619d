package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// Stock implements local.Shop.
func (a *Agent) Stock(ctx context.Context, q local.StockQuery) iter.Seq2[local.Row, error] {
	query := mirror.Query{Text: q.Text}
	if q.State != "" {
		query.States = []stock.State{q.State}
	}
	return func(yield func(local.Row, error) bool) {
		for row, err := range a.mirror.Rows(ctx, query) {
			if err != nil {
				yield(local.Row{}, err)
				return
			}
			// A service has no stock: a line for it would only raise questions.
			if row.Service() {
				continue
			}
			if !yield(localRow(row), nil) {
				return
			}
		}
	}
}

// Explain implements local.Shop.
func (a *Agent) Explain(ctx context.Context, product string) (local.Explanation, error) {
	row, err := a.one(ctx, product)
	if err != nil {
		return local.Explanation{}, err
	}
	steps, err := a.mirror.Explain(ctx, row.ID)
	if err != nil {
		return local.Explanation{}, err
	}
	devices, err := a.mirror.Devices(ctx)
	if err != nil {
		return local.Explanation{}, err
	}
	names := make(map[string]string, len(devices))
	for _, d := range devices {
		names[d.ID] = d.Name
	}
	coverage, err := a.mirror.Coverage(ctx)
	if err != nil {
		return local.Explanation{}, err
	}
	e := local.Explanation{Product: localRow(row), Steps: make([]local.Step, len(steps)), Whole: coverage.Complete}
	if coverage.From != 0 {
		e.From = time.UnixMilli(coverage.From).UTC()
	}
	for i, s := range steps {
		e.Steps[i] = localStep(s)
		e.Steps[i].Terminal = names[s.Movement.Device]
	}
	return e, nil
}

// one finds the product that text means; text that fits several is an error
// that names them.
func (a *Agent) one(ctx context.Context, text string) (mirror.Row, error) {
	rows, err := a.mirror.Find(ctx, text)
	if err != nil && !errors.Is(err, mirror.ErrNotFound) {
		return mirror.Row{}, err
	}
	switch len(rows) {
	case 0:
		return mirror.Row{}, &local.Error{Code: local.NotFound, Message: fmt.Sprintf(
			"no product has the id, code, barcode, article or name %q; try a part of the name with `ostatok stock`", text)}
	case 1:
		return rows[0], nil
	}
	const shown = 5
	names := make([]string, 0, shown)
	for _, r := range rows[:min(shown, len(rows))] {
		names = append(names, fmt.Sprintf("%s %s (%s)", r.Code, r.Name, r.ID))
	}
	if len(rows) > shown {
		names = append(names, "…")
	}
	return mirror.Row{}, &local.Error{Code: local.Refused, Message: fmt.Sprintf(
		"%q fits %d products; name one by its id:\n  %s", text, len(rows), strings.Join(names, "\n  "))}
}

func localRow(r mirror.Row) local.Row {
	row := local.Row{Reason: r.Level.Reason, Outside: r.Level.Outside}
	row.Item = local.Item{Product: r.ID, Code: r.Code, Name: r.Name, State: r.Level.State}
	if r.ReservedAt != 0 {
		row.Reserved = &r.Reserved
	}
	if r.Level.Valued() {
		// Below zero more is promised than there is: people are to see that.
		available := r.Level.Quantity - r.Reserved
		row.Quantity, row.Available = &r.Level.Quantity, &available
	}
	if r.Level.AsOf != 0 {
		at := time.UnixMilli(r.Level.AsOf).UTC()
		row.AsOf = &at
		row.Source = &local.Source{Document: r.Level.Last.Document, Type: r.Level.LastType}
	}
	if r.HasCloud {
		row.Cloud = &r.Cloud
	}
	return row
}

func localStep(s stock.Step) local.Step {
	m := s.Movement
	step := local.Step{
		At: time.UnixMilli(m.Closed).UTC(), Document: m.Document, Type: m.Type, Number: m.Number, Device: m.Device,
		Rule: s.Rule, Outside: s.Outside, Moved: m.Moved, Unlisted: m.Unlisted,
	}
	if s.HasStated {
		step.Stated = &s.Stated
	}
	if s.Valued {
		step.Level = &s.Level
	}
	if s.GuideValued {
		step.Guide = &s.Guide
	}
	return step
}

package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/page"
	"ostatok/agent/stock"
)

// noon is the moment at which the shop of the tests is looked at.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// shop is a shop in memory that tells what the test gave it.
type shop struct {
	mu        sync.Mutex
	status    local.Status
	products  []page.Product
	plans     []journal.Plan
	chains    map[string]local.Explanation
	holdings  []page.Holding
	rejected  []page.Rejection
	terminals []page.Terminal
	list      []journal.Event
	decided   []string
	fail      error
}

func (s *shop) Status(context.Context) (local.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.fail
}

func (s *shop) Products(_ context.Context, ids []string) (list []page.Product, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if i := slices.IndexFunc(s.products, func(p page.Product) bool { return p.Product == id }); i >= 0 {
			list = append(list, s.products[i])
		}
	}
	return list, s.fail
}

func (s *shop) Briefs(_ context.Context, text string) iter.Seq2[page.Brief, error] {
	s.mu.Lock()
	list, fail := slices.Clone(s.products), s.fail
	s.mu.Unlock()
	return func(yield func(page.Brief, error) bool) {
		for _, p := range list {
			if text != "" && p.Code != text && p.Product != text && !strings.Contains(strings.ToLower(p.Name), strings.ToLower(text)) {
				continue
			}
			b := page.Brief{ID: p.Product, Lower: strings.ToLower(p.Name), State: p.State, HasCloud: p.Cloud != nil}
			if p.Quantity != nil {
				b.Quantity = *p.Quantity
			}
			if p.Cloud != nil {
				b.Cloud = *p.Cloud
			}
			if !yield(b, nil) {
				return
			}
		}
		if fail != nil {
			yield(page.Brief{}, fail)
		}
	}
}

func (s *shop) Explain(_ context.Context, product string) (local.Explanation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.chains[product]
	if !ok {
		i := slices.IndexFunc(s.products, func(p page.Product) bool { return p.Product == product })
		if i < 0 {
			return e, &local.Error{Code: local.NotFound, Message: "no product"}
		}
		e.Product = s.products[i].Row
	}
	return e, s.fail
}

func (s *shop) PlanHeads(context.Context) ([]journal.PlanHead, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := make([]journal.PlanHead, len(s.plans))
	for i, p := range s.plans {
		heads[i] = journal.PlanHead{Plan: p, Size: len(p.Rows)}
		heads[i].Seq, heads[i].Rows = int64(i), nil
		for _, r := range p.Rows {
			if r.State == journal.Assumed {
				heads[i].Asking++
			}
		}
	}
	return heads, s.fail
}

func (s *shop) PlanRows(_ context.Context, plan int64, from, limit int) ([]journal.PlanRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.plans[plan].Rows
	return slices.Clone(rows[min(from, len(rows)):min(from+limit, len(rows))]), s.fail
}

func (s *shop) Approve(_ context.Context, id string, assumed bool) error {
	return s.decide(fmt.Sprintf("approve %s assumed=%t", id, assumed), id)
}

func (s *shop) Reject(_ context.Context, id string) error { return s.decide("reject "+id, id) }

func (s *shop) decide(what, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.plans, func(p journal.Plan) bool { return p.ID == id && p.State == journal.PlanOpen })
	if i < 0 {
		return &local.Error{Code: local.Refused, Message: "plan is superseded"}
	}
	s.decided = append(s.decided, what)
	s.plans = slices.Delete(s.plans, i, i+1)
	return nil
}

func (s *shop) Holdings(context.Context, string) ([]page.Holding, error) { return s.holdings, s.fail }

func (s *shop) Rejected(context.Context, int) ([]page.Rejection, error) { return s.rejected, s.fail }

func (s *shop) Terminals(context.Context) ([]page.Terminal, error) { return s.terminals, s.fail }

func (s *shop) Events(_ context.Context, before int64, limit int) ([]journal.Event, error) {
	var out []journal.Event
	for _, e := range s.list {
		if (before == 0 || e.Seq < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, s.fail
}

func (s *shop) set(change func(*shop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func q(text string) *stock.Quantity {
	v, err := stock.ParseQuantity(text)
	if err != nil {
		panic(err)
	}
	return &v
}

func ago(d time.Duration) *time.Time {
	t := noon.Add(-d)
	return &t
}

// corner is the shop at the corner: all is well.
func corner() *shop {
	s := &shop{
		status: local.Status{
			Version: "1.4.0", Running: true, Started: noon.Add(-72 * time.Hour), Store: "20170222-D58C-40E0-8051-B53ADFF38860",
			Phase: "idle", Percent: 100, Complete: true, LastSuccess: ago(40 * time.Second),
			Levels: local.Levels{Known: 1231}, Counts: local.Counts{Products: 1231, Documents: 48210, Movements: 130_111, Terminals: 2},
			Targets: []local.Target{
				{Name: "evotor", Policy: "approve", LastSuccess: ago(3 * time.Hour)},
				{Name: "site", Policy: "auto", LastSuccess: ago(9 * time.Minute)},
			},
			DiskFree: 5 << 30, Memory: 19 << 20, MirrorBytes: 61 << 20, JournalSize: 2 << 20,
		},
		terminals: []page.Terminal{{ID: "t1", Name: "Касса у входа", Last: ago(4 * time.Minute)}, {ID: "t2", Name: "Касса у окна", Last: ago(17 * time.Minute)}},
	}
	add := func(id, code, name, group, unit, quantity string, state stock.State, reason stock.Reason) {
		p := page.Product{Group: group, Measure: unit, Row: local.Row{Reason: reason,
			Item: local.Item{Product: id, Code: code, Name: name, State: state, AsOf: ago(2 * time.Hour)}}}
		if quantity != "" {
			p.Quantity, p.Available, p.Cloud = q(quantity), q(quantity), q(quantity)
		}
		s.products = append(s.products, p)
	}
	add("p-bread", "101", "Хлеб «Бородинский» 400 г", "Хлеб", "шт", "14", stock.Known, "")
	add("p-milk", "205", "Молоко 3,2 % 1 л", "Молочное", "шт", "38", stock.Known, "")
	add("p-cheese", "207", "Сыр «Российский» весовой", "Молочное", "кг", "7.236", stock.Known, "")
	add("p-tea", "310", "Чай чёрный байховый 100 пак.", "Бакалея", "шт", "12", stock.Known, "")
	add("p-sugar", "311", "Сахар-песок 1 кг", "Бакалея", "шт", "1204", stock.Known, "")
	add("p-fir", "777", "Ёлка искусственная 180 см", "", "шт", "3", stock.Known, "")
	return s
}

// busy is the same shop with everything that needs a hand.
func busy() *shop {
	s := corner()
	add := func(p page.Product) { s.products = append(s.products, p) }
	add(page.Product{Group: "Бакалея", Measure: "шт", Row: local.Row{Reason: stock.ReasonDisagree, Outside: 2, Item: local.Item{
		Product: "p-rice", Code: "312", Name: "Рис круглозёрный 800 г", Quantity: q("21"), Available: q("21"), Cloud: q("19"), State: stock.Assumed, AsOf: ago(26 * time.Hour)}}})
	add(page.Product{Group: "Бакалея", Measure: "шт", Row: local.Row{Item: local.Item{
		Product: "p-salt", Code: "313", Name: "Соль поваренная 1 кг", Quantity: q("-4"), Available: q("0"), Cloud: q("-4"), State: stock.Known, AsOf: ago(5 * time.Hour)}}})
	add(page.Product{Group: "Сувениры", Measure: "шт", Row: local.Row{Reason: stock.ReasonNothing, Item: local.Item{
		Product: "p-magnet", Code: "900", Name: "Магнит на холодильник", State: stock.Unknown}}})
	add(page.Product{Group: "Сувениры", Measure: "шт", Row: local.Row{Reason: stock.ReasonOlder, Item: local.Item{
		Product: "p-mug", Code: "901", Name: "Кружка с видом города", State: stock.Unresolved}}})
	add(page.Product{Group: "Молочное", Measure: "шт", Row: local.Row{Item: local.Item{
		Product: "p-kefir", Code: "208", Name: "Кефир 1 % 0,9 л", Quantity: q("16"), Reserved: q("3"), Available: q("13"), Cloud: q("11"), State: stock.Known, AsOf: ago(time.Hour)}}})
	s.status.Levels = local.Levels{Known: 1231, Assumed: 1, Unresolved: 1, Unknown: 1}
	s.status.Counts.Quarantine = 2
	s.status.Problems = []local.Problem{{Kind: "cloud_unreachable", Message: "The cloud cannot be reached.", Do: "Check the line."}}
	s.status.Targets = append(s.status.Targets, local.Target{Name: "склад", Policy: "auto", Waiting: 12, Rejected: 2,
		Blocked: "the key was refused (401): check key_file", LastError: "401", LastSuccess: ago(50 * time.Hour)})
	s.terminals[0].Written, s.terminals[0].Loaded = ago(3*time.Hour), true
	s.terminals[1].Written, s.terminals[1].Last = ago(3*time.Hour), ago(60*time.Hour)
	s.plans = []journal.Plan{{
		ID: "b7c1d2e3", Target: "evotor", State: journal.PlanOpen, CreatedAt: noon.Add(-25 * time.Minute),
		Guards: []journal.Guard{{Kind: "fall", Message: "12 of 300 products would fall to zero or below (limit 3 %)"}},
		Rows: []journal.PlanRow{
			{Product: "p-kefir", Code: "208", Name: "Кефир 1 % 0,9 л", From: q("11"), To: *q("16"), LevelState: stock.Known, State: journal.Ready},
			{Product: "p-rice", Code: "312", Name: "Рис круглозёрный 800 г", From: q("19"), To: *q("21"), LevelState: stock.Assumed, State: journal.Assumed, Reason: "disagree"},
			{Product: "p-cheese", Code: "207", Name: "Сыр «Российский» весовой", To: *q("7.236"), LevelState: stock.Known, State: journal.Ready},
		},
		Unmatched: []journal.Unmatched{{Product: "p-mug", Reason: "the product has no article"}},
	}}
	s.status.Plans = []local.PlanHead{{ID: "b7c1d2e3", Target: "evotor", State: journal.PlanOpen, Rows: 3}}
	s.rejected = []page.Rejection{
		{Target: "склад", Product: "p-salt", Code: "313", Name: "Соль поваренная 1 кг", Wanted: *q("-4"), State: journal.Rejected, Reason: "negative quantity refused"},
		{Target: "склад", Product: "p-fir", Code: "777", Name: "Ёлка искусственная 180 см", Wanted: *q("3"), State: journal.Blocked, Reason: "key is shared by two offers"},
	}
	s.holdings = []page.Holding{
		{Target: "evotor", Key: "p-kefir", Figure: q("11"), At: ago(3 * time.Hour), Wanted: q("16"), State: journal.Ready},
		{Target: "site", Key: "KEF-1", Figure: q("13"), At: ago(9 * time.Minute), State: journal.Verified},
		{Target: "склад", At: nil, State: journal.Blocked, Reason: "the product has no article"},
	}
	s.chains = map[string]local.Explanation{"p-kefir": chain()}
	for i, kind := range []string{"load_to_terminals", "plan_waits", "cloud_unreachable_over", "cloud_unreachable", "rows_refused", "started", "something_new"} {
		severity := []string{journal.Info, journal.Warning, journal.Info, journal.Warning, journal.Error, journal.Info, journal.Info}[i]
		s.list = append(s.list, journal.Event{Seq: int64(100 - i), At: noon.Add(-time.Duration(i*i) * time.Hour).UnixMilli(),
			Kind: kind, Severity: severity, Message: "what happened, in English", Data: json.RawMessage(`{"target":"evotor","rows":3}`)})
	}
	return s
}

// chain is half a year of one product, with everything that a chain can show.
func chain() local.Explanation {
	e := local.Explanation{From: noon.AddDate(0, -6, 0)}
	e.Product = local.Row{Outside: 1, Item: local.Item{Product: "p-kefir", Code: "208", Name: "Кефир 1 % 0,9 л", Quantity: q("16"),
		Reserved: q("3"), Available: q("13"), Cloud: q("11"), State: stock.Known, AsOf: ago(time.Hour)}}
	level := stock.Quantity(0)
	step := func(i int, kind stock.Type, rule stock.Rule, moved, outside stock.Quantity) {
		before := level
		at := noon.AddDate(0, -6, 0).Add(time.Duration(i) * 36 * time.Hour)
		switch kind {
		case stock.Sell, stock.WriteOff:
			level += outside - moved
		case stock.Inventory:
			level = moved
		case stock.Write:
		default:
			level += outside + moved
		}
		after := level
		e.Steps = append(e.Steps, local.Step{At: at, Document: fmt.Sprintf("d%d", i), Type: kind, Number: int64(1000 + i), Device: "t1",
			Terminal: "Касса у входа", Stated: &before, Rule: rule, Moved: moved, Outside: outside, Level: &after, Guide: &after})
	}
	step(0, stock.Accept, stock.RuleFirst, 40_000, 0)
	for i := 1; i < 118; i++ {
		switch {
		case i%17 == 0:
			step(i, stock.Accept, stock.RuleAgree, 24_000, 0)
		case i == 60:
			step(i, stock.Inventory, stock.RuleCount, 18_000, 0)
		case i == 90:
			step(i, stock.Sell, stock.RuleOutside, 1_000, 6_000)
		case i == 100:
			step(i, stock.Write, stock.RuleWrite, level, 0)
		case i%11 == 0:
			step(i, stock.Sell, stock.RuleLate, 2_000, 0)
		default:
			step(i, stock.Sell, stock.RuleOwnView, 1_000, 0)
		}
	}
	return e
}

// setup takes one token and remembers what was saved.
type setup struct {
	mu    sync.Mutex
	saved *page.Settings
}

func (s *setup) Stores(_ context.Context, token string) ([]page.Store, error) {
	switch token {
	case "right-token":
		return []page.Store{{ID: "20170222-D58C-40E0-8051-B53ADFF38860", Name: "У дома"}, {ID: "20180222-D58C-40E0-8051-B53ADFF38860", Name: "На вокзале"}}, nil
	case "empty-token":
		return nil, nil
	}
	return nil, &page.TrialError{Why: page.Refused, Err: errors.New("401")}
}

func (s *setup) Try(_ context.Context, b page.Backend) error {
	if b.Key != "right-key" {
		return &page.TrialError{Why: page.Refused, Err: errors.New("the key was refused")}
	}
	return nil
}

func (s *setup) Save(_ context.Context, settings page.Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = &settings
	return nil
}

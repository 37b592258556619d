package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/match"
	"ostatok/sync/target"
)

// openMatching gives each target its matcher, with the mapping that is in force.
func (a *Agent) openMatching(ctx context.Context) error {
	for _, b := range a.backends.list {
		table, err := a.journal.Mapping(ctx, b.Name)
		if err != nil {
			return err
		}
		b.matcher = match.New(match.By(b.Match), table)
	}
	return nil
}

// learn looks through the catalogue for products whose keys at a target cannot
// be told apart; to be called before a plan is made for it. A catalogue that is
// known is not read again: each sale makes a plan for each target. lesson changes
// with what the matcher knows; it is 0 for the cloud, which knows products by
// their own ids.
func (a *Agent) learn(ctx context.Context, name string) (lesson int64, err error) {
	b := a.backends.named(name)
	if b == nil {
		return 0, nil
	}
	a.mapping.Lock()
	defer a.mapping.Unlock()
	if b.learned == a.mirror.Edition() {
		return b.lessons, nil
	}
	table, err := a.journal.Mapping(ctx, name)
	if err == nil {
		err = a.teach(ctx, b, table)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot match the products with %s: %w", name, err)
	}
	return b.lessons, nil
}

// teach has a target's matcher learn the catalogue under a mapping. The caller
// holds a.mapping.
func (a *Agent) teach(ctx context.Context, b *backend, table map[string]string) error {
	edition := a.mirror.Edition() // what changes while it is read counts for the next time
	b.learned = 0
	if err := b.matcher.Learn(table, a.products(ctx)); err != nil {
		return err
	}
	b.learned = edition
	b.lessons++
	return nil
}

// mapped returns the target whose mapping somebody asks for.
func (a *Agent) mapped(name string) (*backend, error) {
	if b := a.backends.named(name); b != nil {
		return b, nil
	}
	names := make([]string, 0, len(a.backends.list))
	for _, b := range a.backends.list {
		names = append(names, b.Name)
	}
	switch {
	case name == "evotor":
		return nil, &local.Error{Code: local.Refused, Message: "the Evotor cloud knows products by their own ids: there is nothing to map"}
	case len(names) == 0:
		return nil, &local.Error{Code: local.NotFound, Message: fmt.Sprintf("there is no target %q; the configuration has none", name)}
	}
	return nil, &local.Error{Code: local.NotFound, Message: fmt.Sprintf("there is no target %q; the configuration has %s", name, strings.Join(names, ", "))}
}

// products is the catalogue.
func (a *Agent) products(ctx context.Context) iter.Seq2[stock.Product, error] {
	return func(yield func(stock.Product, error) bool) {
		for row, err := range a.mirror.Rows(ctx, mirror.Query{}) {
			if !yield(row.Product, err) {
				return
			}
		}
	}
}

// Mapping implements local.Shop.
func (a *Agent) Mapping(ctx context.Context, name string) ([]match.Entry, error) {
	if _, err := a.mapped(name); err != nil {
		return nil, err
	}
	table, err := a.journal.Mapping(ctx, name)
	if err != nil {
		return nil, err
	}
	var entries []match.Entry
	for p, err := range a.products(ctx) {
		if err != nil {
			return nil, err
		}
		if p.Service() {
			continue
		}
		e := match.Entry{Product: p.ID, Code: p.Code, Article: p.Article, Name: p.Name, Key: table[p.ID]}
		if len(p.Barcodes) > 0 {
			e.Barcode = p.Barcodes[0]
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// SetMapping implements local.Shop.
func (a *Agent) SetMapping(ctx context.Context, name string, entries []match.Entry, o local.MappingOptions) (local.MappingResult, error) {
	b, err := a.mapped(name)
	if err != nil {
		return local.MappingResult{}, err
	}
	a.mapping.Lock()
	defer a.mapping.Unlock()
	before, err := a.journal.Mapping(ctx, name)
	if err != nil {
		return local.MappingResult{}, err
	}
	inForce := before
	if o.Replace {
		inForce = nil
	}
	table, err := match.Resolve(entries, inForce, a.products(ctx))
	if mistakes, ok := errors.AsType[*match.MistakesError](err); ok {
		return local.MappingResult{}, &local.Error{Code: local.Refused, Message: mistakes.Error()}
	}
	if err != nil {
		return local.MappingResult{}, err
	}
	result := mappingResult(before, table)
	if o.DryRun || result.Added+result.Changed+result.Removed == 0 {
		return result, nil
	}
	if err := a.journal.SetMapping(ctx, name, table, true); err != nil {
		return local.MappingResult{}, err
	}
	// From here on the mapping counts, whatever happens to the request.
	ctx = context.WithoutCancel(ctx)
	a.event(ctx, "mapping_changed", journal.Info, fmt.Sprintf("The mapping of %s was changed: %d products added, %d changed, %d removed.",
		name, result.Added, result.Changed, result.Removed), map[string]any{"target": name, "left": result.Left})
	if err := a.teach(ctx, b, table); err != nil {
		return result, err
	}
	a.lookAtTargets()
	return result, nil
}

// mappingResult compares two mappings.
func mappingResult(before, after map[string]string) local.MappingResult {
	r := local.MappingResult{Left: []string{}}
	kept := make(map[string]bool, len(after))
	for product, key := range after {
		kept[key] = true
		switch old, mapped := before[product]; {
		case !mapped:
			r.Added++
		case old == key:
			r.Same++
		default:
			r.Changed++
		}
	}
	for product, key := range before {
		if _, mapped := after[product]; !mapped {
			r.Removed++
		}
		if !kept[key] {
			r.Left = append(r.Left, key)
		}
	}
	slices.Sort(r.Left)
	return r
}

// CheckMapping implements local.Shop.
func (a *Agent) CheckMapping(ctx context.Context, name string) (local.MappingReport, error) {
	b, err := a.mapped(name)
	if err != nil {
		return local.MappingReport{}, err
	}
	report := local.MappingReport{Target: name, Match: b.Match}
	keys, err := known(ctx, b.target)
	switch {
	case ctx.Err() != nil:
		return report, ctx.Err()
	case err != nil:
		report.Failed = true
		report.Reason = fmt.Sprintf("%s could not be asked which keys it knows: %v", name, err)
	case keys == nil:
		report.Reason = name + " cannot tell which keys it knows; what it refuses is shown in its plan"
	default:
		report.Asked = true
	}
	report.Report, err = b.matcher.Check(a.products(ctx), keys)
	return report, err
}

// known asks a target for its keys; nil when it is one that cannot tell.
func known(ctx context.Context, t target.Target) ([]target.Known, error) {
	lister, ok := t.(target.Lister)
	if !ok {
		return nil, nil
	}
	keys := []target.Known{}
	for k, err := range lister.List(ctx) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

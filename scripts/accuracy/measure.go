package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// setting is one row of the table.
type setting struct {
	name    string
	shop    evotortest.Settings
	horizon int // months of history, 0 for all
}

func (s setting) history() string {
	if s.horizon == 0 {
		return "whole"
	}
	return fmt.Sprintf("%d months", s.horizon)
}

// settings are all combinations that the promise names: 1–6 terminals, downloads
// every 4 h, every 24 h or never, with and without outside changes, with the
// whole history, and with six months of it.
func settings(products, documents int) []setting {
	var all []setting
	for _, horizon := range []int{0, 6} {
		for _, download := range []time.Duration{4 * time.Hour, 24 * time.Hour, 0} {
			for _, outside := range []float64{0, 2} {
				for terminals := 1; terminals <= 6; terminals++ {
					name := fmt.Sprintf("%d terminals, downloads %s, %g outside changes", terminals, often(download), outside)
					all = append(all, setting{name: name, horizon: horizon, shop: evotortest.Settings{
						Terminals: terminals, Products: products, Documents: documents, Download: download,
						Outside: outside, LateShare: 0.02, FullCounts: 1, PartialCounts: 3, NoJSON: true,
					}})
				}
			}
		}
	}
	return all
}

func often(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return fmt.Sprintf("every %d h", int(d.Hours()))
}

// result counts products.
type result struct {
	sync.Mutex
	judged int // the documents tell a truth
	guide  int // right by the guide
	ledger int // right by the ledger
	known  int // … that the ledger calls known
	silent int // known, and wrong
}

func (r *result) add(o *result) {
	r.Lock()
	defer r.Unlock()
	r.judged += o.judged
	r.guide += o.guide
	r.ledger += o.ledger
	r.known += o.known
	r.silent += o.silent
}

// broken tells which promise a row breaks (design: budgets, the last row).
func (s setting) broken(r *result) string {
	switch {
	case s.horizon == 0 && r.ledger*1000 < r.judged*995:
		return "ledger below 99.5 %"
	case r.ledger < r.guide:
		return "ledger below the guide"
	case r.silent*1000 > r.known*5:
		return "wrong figures called known"
	}
	return ""
}

// measure plays one shop and folds its documents in memory.
func measure(s setting, seed uint64, list bool) *result {
	s.shop.Seed = seed
	shop := evotortest.NewShop(s.shop)
	to := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	shop.Run(to)
	from := int64(0)
	if s.horizon > 0 {
		from = to.AddDate(0, -s.horizon, 0).UnixMilli()
	}
	var documents []stock.Document
	terminals := map[string]bool{}
	for _, d := range shop.Documents() {
		if d.Closed >= from {
			documents = append(documents, d.Document)
			terminals[d.Device] = true
		}
	}
	var started []stock.Start
	for _, d := range shop.Devices() {
		started = append(started, stock.Start{Device: d.ID, At: d.Created})
	}
	base := stock.Rules{
		Method: stock.Ledger, Terminals: len(terminals), From: from, Complete: s.horizon == 0, Started: started,
	}
	products := shop.Products()
	base = stock.Decide(base, &stock.Evidence{}, nil)
	chains := chain(documents, products)
	var learned stock.Evidence
	for _, movements := range chains {
		f := fold(&base, movements)
		learned.Add(f)
	}
	rules := stock.Decide(base, &learned, nil)
	guide := rules
	guide.Method = stock.Guide
	if list {
		fmt.Fprintf(os.Stderr, "%s seed %d: %+v fresh %v\n", s.name, seed, learned, rules.Fresh)
	}

	var r result
	for _, p := range products {
		// What was told once stays told: a document of the known history that
		// states the product builds on what older ones told.
		truth, _ := shop.Told(p.ID)
		if _, told := shop.ToldFrom(p.ID, from); !told || p.Service() {
			continue
		}
		f := fold(&rules, chains[p.ID])
		level := f.Level(&rules)
		r.judged++
		right := level.Valued() && level.Quantity == truth
		if right {
			r.ledger++
		}
		if level.State == stock.Known {
			r.known++
			if !right {
				r.silent++
			}
		}
		if g := f.Level(&guide); g.Valued() && g.Quantity == truth {
			r.guide++
		}
		if list && !right {
			fmt.Fprintf(os.Stderr, "  %s: %s, %s %s; truth %s\n", p.ID, level.Quantity, level.State, level.Reason, truth)
			if level.State == stock.Known {
				explain(&rules, chains[p.ID])
			}
		}
	}
	return &r
}

func fold(r *stock.Rules, movements []stock.Movement) *stock.Fold {
	var f stock.Fold
	for i := range movements {
		f.Apply(r, &movements[i])
	}
	return &f
}

// chain makes each product's movements from the documents, full counts included.
func chain(documents []stock.Document, products []stock.Product) map[string][]stock.Movement {
	chains := map[string][]stock.Movement{}
	for i := range documents {
		movements, _ := documents[i].Movements(stock.Options{})
		for _, m := range movements {
			chains[m.Product] = append(chains[m.Product], m)
		}
	}
	for i := range documents {
		d := &documents[i]
		if !d.FullCount() {
			continue
		}
		listed := map[string]bool{}
		for _, l := range d.Lines {
			listed[l.Product] = true
		}
		for _, p := range products {
			if !listed[p.ID] && !p.Service() && p.Created <= d.Closed {
				chains[p.ID] = append(chains[p.ID], d.Zero(p.ID))
			}
		}
	}
	for _, c := range chains {
		slices.SortFunc(c, func(a, b stock.Movement) int { return a.Order.Compare(b.Order) })
	}
	return chains
}

// explain prints the chain behind a figure.
func explain(r *stock.Rules, movements []stock.Movement) {
	var f stock.Fold
	for i := range movements {
		s := f.Apply(r, &movements[i])
		fmt.Fprintf(os.Stderr, "    %s %.8s %-9s %6s states %6s %-8s %+5d → %s\n",
			time.UnixMilli(s.Movement.Closed).UTC().Format("2006-01-02 15:04"), s.Movement.Device, s.Movement.Type,
			s.Movement.Moved, s.Stated, s.Rule, s.Outside/stock.Unit, s.Level)
	}
}

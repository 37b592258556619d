package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// rowsShown is how many products the table shows.
const rowsShown = 12

// compare prints one table of what stands on the shelf and what each system
// holds, and fails when a figure that was approved, or a known one that no
// approval was needed for, is not the one that is held.
func (d *demo) compare(ctx context.Context, plans map[string]plan) error {
	levels, err := d.levels(ctx)
	if err != nil {
		return err
	}
	held, err := d.ask(ctx)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(levels, func(l level) bool { return l.State != stock.Known || l.Quantity == nil })
	printRow("PRODUCT", "SHELF", "RESERVED", systems[0].title, systems[1].title, systems[2].title, systems[3].title)
	for _, l := range pick(known, plans) {
		cells := []string{l.Quantity.String(), ""}
		if l.Reserved != nil && *l.Reserved != 0 {
			cells[1] = l.Reserved.String()
		}
		for _, s := range systems {
			cells = append(cells, cell(&l, s.target, held, plans))
		}
		printRow(l.Code+" "+l.Name, cells...)
	}
	totals := []string{"", ""}
	var wrong []string
	for _, s := range systems {
		in, of, bad := judge(s.target, known, held[s.target], plans[s.target])
		totals = append(totals, fmt.Sprintf("%d of %d", in, of))
		wrong = append(wrong, bad...)
	}
	printRow("in step", totals...)
	right := 0
	for _, l := range known {
		if q, ok := held[told][l.Product]; ok && q == *l.Quantity {
			right++
		}
	}
	fmt.Printf("\n%d of the %d figures on the shelf equal the truth that the documents can tell.\n", right, len(known))
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong[:min(3, len(wrong))], "; "))
	}
	return nil
}

// judge counts the known levels that a system shows as it must, and says what is
// wrong with the others and with what was approved.
func judge(system string, known []level, held map[string]stock.Quantity, p plan) (in, of int, wrong []string) {
	for _, l := range known {
		if p.unmatched(l.Product) {
			continue
		}
		of++
		if q, ok := held[l.Product]; ok && q == l.due(system) {
			in++
		} else {
			wrong = append(wrong, fmt.Sprintf("%s holds %s of product %s, it should be %s", system, q, l.Code, l.due(system)))
		}
	}
	for _, r := range p.Rows {
		if q, ok := held[r.Product]; r.State != "assumed" && (!ok || q != r.To) {
			wrong = append(wrong, fmt.Sprintf("%s holds %s of product %s, approved was %s", system, q, r.Product, r.To))
		}
	}
	return in, of, wrong
}

// cell is what a system holds of a product; a figure that it should not hold is
// marked.
func cell(l *level, system string, held shown, plans map[string]plan) string {
	q, ok := held[system][l.Product]
	switch {
	case plans[system].unmatched(l.Product):
		return "not matched"
	case !ok:
		return "– ≠"
	case q != l.due(system):
		return q.String() + " ≠"
	}
	return q.String()
}

// pick chooses products that show something: goods that are held for orders,
// weighed goods, nothing, less than nothing, not matched, and then any.
func pick(known []level, plans map[string]plan) []level {
	kinds := []struct {
		most int
		is   func(l *level) bool
	}{
		{3, func(l *level) bool { return l.Reserved != nil && *l.Reserved > 0 }},
		{3, func(l *level) bool { return *l.Quantity%stock.Unit != 0 }},
		{1, func(l *level) bool { return *l.Quantity == 0 }},
		{1, func(l *level) bool { return *l.Quantity < 0 }},
		{1, func(l *level) bool { return plans["virtpos"].unmatched(l.Product) }},
		{1, func(l *level) bool { return plans["keycrm"].unmatched(l.Product) }},
		{rowsShown, func(*level) bool { return true }},
	}
	var chosen []level
	taken := make(map[string]bool)
	for _, kind := range kinds {
		n := 0
		for i := range known {
			l := &known[i]
			if n < kind.most && len(chosen) < rowsShown && !taken[l.Product] && kind.is(l) {
				taken[l.Product] = true
				chosen = append(chosen, *l)
				n++
			}
		}
	}
	return chosen
}

// printRow prints a product and its figures.
func printRow(product string, figures ...string) {
	const most = 34
	if runes := []rune(product); len(runes) > most {
		product = string(runes[:most-1]) + "…"
	}
	line := fmt.Sprintf("%-*s", most, product)
	for i, f := range figures {
		width := 14
		if i < 2 { // the shelf and what is held for orders
			width = 10
		}
		line += fmt.Sprintf("%*s", width, f)
	}
	fmt.Println(strings.TrimRight(line, " "))
}

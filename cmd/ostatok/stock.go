package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
	"ostatok/agent/stock"
)

func (a *app) stockCommand() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:   "stock [QUERY]",
		Short: "Print the stock of the products",
		Long:  "Prints the stock of all products, or of those whose id, code, barcode, article or part of the name is QUERY.",
		Args:  arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q := local.StockQuery{State: stock.State(state)}
			known := []stock.State{"", stock.Known, stock.Assumed, stock.Unresolved, stock.Unknown}
			if !slices.Contains(known, q.State) {
				return usage("--state %s is not known: write known, assumed, unresolved or unknown", state)
			}
			if len(args) > 0 {
				q.Text = args[0]
			}
			shop, _, err := a.shop(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, shop.Close()) }()
			return a.printStock(cmd.Context(), shop, q)
		},
	}
	c.Flags().StringVar(&state, "state", "", "only levels that are known, assumed, unresolved or unknown")
	return c
}

func (a *app) printStock(ctx context.Context, shop local.Shop, q local.StockQuery) error {
	if a.format == formatJSON {
		array := jsonArray{w: a.out}
		for row, err := range shop.Stock(ctx, q) {
			if err != nil {
				return err
			}
			if err := array.add(row.Item); err != nil {
				return err
			}
		}
		return array.end()
	}
	if a.format == formatCSV {
		return a.streamStock(ctx, shop, q)
	}
	var rows []local.Row
	reserves := false
	for row, err := range shop.Stock(ctx, q) {
		if err != nil {
			return err
		}
		rows = append(rows, row)
		reserves = reserves || row.Reserved != nil
	}
	if len(rows) == 0 {
		a.sayNone(q)
	}
	// People look for names; programs, which sort for themselves, get a stream.
	slices.SortFunc(rows, func(a, b local.Row) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Product, b.Product))
	})
	columns := []column{
		{title: "CODE", name: "code"}, {title: "NAME", name: "name", cut: true}, {title: "STOCK", name: "quantity", right: true},
	}
	if reserves { // most shops have none
		columns = append(columns, column{title: "RESERVED", name: "reserved", right: true}, column{title: "AVAILABLE", name: "available", right: true})
	}
	l := a.list(append(columns, column{title: "STATE", name: "state", cut: true}, column{title: "AS OF (UTC)", name: "as_of"},
		column{title: "CLOUD", name: "cloud_quantity", right: true})...)
	for _, row := range rows {
		cells := []string{row.Code, row.Name, a.figure(row.Quantity)}
		if reserves {
			cells = append(cells, a.figure(row.Reserved), a.figure(row.Available))
		}
		l.add(append(cells, stateWords(row), a.moment(row.AsOf), a.figure(row.Cloud))...)
	}
	return l.end()
}

// streamStock gives programs the ids and every figure.
func (a *app) streamStock(ctx context.Context, shop local.Shop, q local.StockQuery) error {
	l := a.list(column{name: "product_id"}, column{name: "code"}, column{name: "name"}, column{name: "quantity"},
		column{name: "state"}, column{name: "as_of"}, column{name: "cloud_quantity"}, column{name: "reserved"},
		column{name: "available"}, column{name: "document_id"}, column{name: "document_type"})
	none := true
	for row, err := range shop.Stock(ctx, q) {
		if err != nil {
			return err
		}
		none = false
		var source local.Source
		if row.Source != nil {
			source = *row.Source
		}
		l.add(row.Product, row.Code, row.Name, a.figure(row.Quantity), string(row.State), a.moment(row.AsOf), a.figure(row.Cloud),
			a.figure(row.Reserved), a.figure(row.Available), source.Document, string(source.Type))
	}
	if none {
		a.sayNone(q)
	}
	return l.end()
}

// sayNone says why a list is empty.
func (a *app) sayNone(q local.StockQuery) {
	if q == (local.StockQuery{}) {
		a.say("there are no products yet; `ostatok sync --once` fetches the catalogue")
		return
	}
	a.say("no product fits; a part of the name is enough, and `ostatok stock` shows all of them")
}

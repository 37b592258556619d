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
	columns := []column{
		{title: "CODE", name: "code"}, {title: "NAME", name: "name", cut: true},
		{title: "STOCK", name: "quantity", right: true}, {title: "STATE", name: "state", cut: true},
		{title: "AS OF (UTC)", name: "as_of"}, {title: "CLOUD", name: "cloud_quantity", right: true},
	}
	csv := a.format == formatCSV
	if csv { // programs get the ids and every figure
		columns = append([]column{{name: "product_id"}}, columns...)
		columns = append(columns, column{name: "reserved"}, column{name: "available"}, column{name: "document_id"}, column{name: "document_type"})
	}
	l := a.list(columns...)
	none := true
	var rows []local.Row
	for row, err := range shop.Stock(ctx, q) {
		if err != nil {
			return err
		}
		none = false
		if !csv {
			rows = append(rows, row)
			continue
		}
		var source local.Source
		if row.Source != nil {
			source = *row.Source
		}
		l.add(row.Product, row.Code, row.Name, a.figure(row.Quantity), string(row.State), a.moment(row.AsOf), a.figure(row.Cloud),
			a.figure(row.Reserved), a.figure(row.Available), source.Document, string(source.Type))
	}
	// People look for names; programs, which sort for themselves, get a stream.
	slices.SortFunc(rows, func(a, b local.Row) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Product, b.Product))
	})
	for _, row := range rows {
		l.add(row.Code, row.Name, a.figure(row.Quantity), stateWords(row), a.moment(row.AsOf), a.figure(row.Cloud))
	}
	if none {
		a.say("no product fits; `ostatok sync --once` fetches the catalogue")
	}
	return l.end()
}

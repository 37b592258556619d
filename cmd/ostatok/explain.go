package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain PRODUCT",
		Short: "Print the chain of documents behind one figure",
		Long:  "Prints what every document did to the stock of one product, named by its id, code, barcode, article or name.",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			shop, _, err := a.shop(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, shop.Close()) }()
			e, err := shop.Explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(e)
			}
			return a.printExplanation(e)
		},
	}
}

func (a *app) printExplanation(e local.Explanation) error {
	p := e.Product
	if a.format == formatTable {
		from := ""
		if !e.From.IsZero() {
			from = "\nhistory known from " + e.From.Format(time.DateOnly)
			if e.Whole {
				from += ", the shop's first day"
			}
		}
		_, err := fmt.Fprintf(a.out, "%s  %s\nid %s\nstock %s, %s; the cloud says %s%s\n\n",
			p.Code, p.Name, p.Product, a.figure(p.Quantity), stateWords(p), a.figure(p.Cloud), from)
		if err != nil {
			return err
		}
	}
	l := a.list(
		column{title: "DATE (UTC)", name: "at"}, column{title: "DOCUMENT", name: "type"}, column{title: "No", name: "number", right: true},
		column{title: "TERMINAL", name: "terminal", cut: true}, column{title: "STATED", name: "stated", right: true},
		column{title: "RULE", name: "rule"}, column{title: "EFFECT", name: "effect", right: true},
		column{title: "LEVEL", name: "level", right: true}, column{title: "GUIDE", name: "guide", right: true},
		column{title: "ID", name: "document_id"},
	)
	for _, s := range e.Steps {
		terminal := s.Terminal
		if terminal == "" {
			terminal = s.Device
		}
		l.add(a.moment(&s.At), string(s.Type), strconv.FormatInt(s.Number, 10), terminal, a.figure(s.Stated),
			ruleWords(s), effectWords(s), a.figure(s.Level), a.figure(s.Guide), s.Document)
	}
	if len(e.Steps) == 0 && a.format == formatTable {
		a.say("no document names this product in the known history")
		return nil
	}
	return l.end()
}

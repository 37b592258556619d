package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/command"
	"ostatok/agent/message"
	"ostatok/agent/stock"
)

func (a *app) stockCommand() *cobra.Command {
	var format string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "stock STORE",
		Short: "Print the levels of one shop",
		Long: `Asks the shop to send the levels of all its products (the command rebirth, which
needs a key with the right to observe) and prints them. For one product with its
name, use ` + "`ostatokctl send STORE stock query=…`" + `.`,
		Example: `  ostatokctl stock 20170222-D58C-40E0-8051-B53ADFF38860
  ostatokctl stock 20170222-D58C-40E0-8051-B53ADFF38860 --format csv >stock.csv`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkStore(args[0]); err != nil {
				return err
			}
			changes, err := a.stock(c.Context(), args[0], patience)
			if err != nil {
				return err
			}
			return a.printStock(changes, format)
		},
	}
	c.Flags().DurationVar(&patience, "wait", time.Minute, "how long to wait for the shop")
	formatFlag(c, &format, formatTable, formatJSON, formatCSV)
	return c
}

// stock asks a shop for its levels and puts the parts together.
func (a *app) stock(ctx context.Context, store string, patience time.Duration) ([]message.Change, error) {
	s, err := a.load()
	if err != nil {
		return nil, err
	}
	key, err := s.signer()
	if err != nil {
		return nil, err
	}
	topics := message.TopicsOf(s.Tenant, store)
	incoming := make(chan publication)
	listening, stop := context.WithTimeout(ctx, patience)
	defer stop()
	c, err := a.connect(ctx, s, "", []subscription{{topics.Stock, 1}, {topics.Result, 1}}, func(p publication) {
		select {
		case incoming <- p:
		case <-listening.Done():
		}
	})
	if err != nil {
		return nil, err
	}
	defer c.close()
	defer stop() // before the connection ends: it waits for its handler
	o := order{cmd: command.Rebirth}
	id := rand.Text()
	sent := make(chan error, 1)
	go func() {
		sent <- a.order(listening, c, s, key, o, topics.Command, store, id, a.now().Add(patience).Add(time.Minute))
	}()
	parts := &assembly{}
	for {
		select {
		case err := <-sent:
			if err != nil {
				return nil, err
			}
		case p := <-incoming:
			if r, ok := readAnswer(p); ok && r.ID == id && r.Error != nil {
				return nil, &exitError{exitIncomplete, fmt.Sprintf("the shop refuses: %s (%s)", clean(r.Error.Message), clean(r.Error.Code))}
			}
			if p.topic == topics.Stock && parts.take(p.payload) {
				return parts.changes(), nil
			}
		case <-listening.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &exitError{exitIncomplete, fmt.Sprintf("%s did not send its levels within %v (%s); is it there? See `ostatokctl show %s`",
				store, patience, parts, store)}
		}
	}
}

// assembly puts the numbered parts of a full stock together.
type assembly struct {
	levels map[string]message.Change // by product
	next   int                       // the part that comes next, 0 while the first has not come
	gap    bool
}

// take adds a message and tells whether it was the last part. Changes that come
// between two parts are newer than the parts before them.
func (s *assembly) take(payload []byte) bool {
	var m message.Stock
	if json.Unmarshal(payload, &m) != nil {
		return false
	}
	switch {
	case m.Full && m.Part == 1: // a first part begins again
		s.levels, s.next, s.gap = make(map[string]message.Change), 1, false
	case s.next == 0, m.Full && m.Part < s.next: // begun before we listened; or a repetition
		return false
	case m.Full && m.Part > s.next:
		s.gap = true
	}
	for _, c := range m.Changes {
		s.levels[c.Product] = c
	}
	if !m.Full {
		return false
	}
	s.next = m.Part + 1
	return m.Last && !s.gap
}

// changes are the levels in the order of their codes.
func (s *assembly) changes() []message.Change {
	all := make([]message.Change, 0, len(s.levels))
	for _, c := range s.levels {
		if c.State != message.Removed {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b message.Change) int {
		return cmp.Or(cmp.Compare(len(a.Code), len(b.Code)), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Product, b.Product))
	})
	return all
}

func (s *assembly) String() string {
	switch {
	case s.next == 0:
		return "no part came"
	case s.gap:
		return "parts are missing"
	}
	return fmt.Sprintf("%d parts came", s.next-1)
}

func (a *app) printStock(changes []message.Change, format string) error {
	titles := []string{"product_id", "code", "quantity", "reserved", "state"}
	rows := make([][]string, 0, len(changes))
	for _, c := range changes {
		rows = append(rows, []string{clean(c.Product), clean(c.Code), figure(c.Quantity, format), figure(c.Reserved, format), clean(string(c.State))})
	}
	switch format {
	case formatJSON:
		return a.printJSON(changes)
	case formatCSV:
		out := csv.NewWriter(a.out)
		return errors.Join(out.Write(titles), out.WriteAll(rows))
	}
	return table(a.out, []string{"PRODUCT", "CODE", "QUANTITY", "RESERVED", "STATE"}, rows)
}

func figure(q *stock.Quantity, format string) string {
	switch {
	case q != nil:
		return q.String()
	case format == formatCSV:
		return ""
	}
	return "-"
}

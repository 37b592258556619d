package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

func (a *app) planCommand() *cobra.Command {
	var target string
	var all, assumed bool
	show := func(cmd *cobra.Command, _ []string) error {
		return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
			plans, err := shop.Plans(ctx, target, all)
			if err != nil {
				return err
			}
			return a.printPlans(plans)
		})
	}
	c := &cobra.Command{
		Use:   "plan",
		Short: "Look at what would be written, and approve or reject it",
		Args:  arguments(cobra.NoArgs),
		RunE:  show,
	}
	c.PersistentFlags().StringVar(&target, "target", "", "only plans of this target")
	c.PersistentFlags().BoolVar(&all, "all", false, "also plans that are past")
	approve := &cobra.Command{
		Use: "approve ID", Short: "Let a plan be written", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				if err := ofTarget(ctx, shop, args[0], target); err != nil {
					return err
				}
				if err := shop.Approve(ctx, args[0], assumed); err != nil {
					return err
				}
				status, err := shop.Status(ctx)
				if err != nil {
					return err
				}
				next := "run `ostatok sync --once` to write it now"
				if status.Running {
					next = "the agent is writing it"
				}
				a.say("plan %s is approved; %s", args[0], next)
				return nil
			})
		},
	}
	approve.Flags().BoolVar(&assumed, "assumed", false, "also the rows whose level is assumed")
	c.AddCommand(
		&cobra.Command{Use: "show", Short: "Print the plans", Args: arguments(cobra.NoArgs), RunE: show},
		approve,
		&cobra.Command{
			Use: "reject ID", Short: "Close a plan without writing it", Args: arguments(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
					if err := ofTarget(ctx, shop, args[0], target); err != nil {
						return err
					}
					if err := shop.Reject(ctx, args[0]); err != nil {
						return err
					}
					a.say("plan %s is rejected; the same differences are not proposed again until they change", args[0])
					return nil
				})
			},
		},
	)
	return c
}

// ofTarget makes sure that a plan is of the target that somebody named, if any.
func ofTarget(ctx context.Context, shop local.Shop, id, target string) error {
	if target == "" {
		return nil
	}
	plans, err := shop.Plans(ctx, target, true)
	if err == nil && !slices.ContainsFunc(plans, func(p journal.Plan) bool { return p.ID == id }) {
		err = &local.Error{Code: local.NotFound, Message: fmt.Sprintf(
			"%s has no plan %q; `ostatok plan show --target %s` shows which it has", target, id, target)}
	}
	return err
}

// withShop opens the shop for one piece of work.
func (a *app) withShop(ctx context.Context, work func(context.Context, local.Shop) error) (err error) {
	shop, _, err := a.shop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.Close()) }()
	return work(ctx, shop)
}

func (a *app) printPlans(plans []journal.Plan) error {
	if a.format == formatJSON {
		array := jsonArray{w: a.out}
		for _, p := range plans {
			if err := array.add(p); err != nil {
				return err
			}
		}
		return array.end()
	}
	rows := []column{
		{title: "CODE", name: "code"}, {title: "NAME", name: "name", cut: true}, {title: "FROM", name: "from", right: true},
		{title: "TO", name: "to", right: true}, {title: "LEVEL", name: "level_state"}, {title: "STATE", name: "state"}, {title: "REASON", name: "reason", cut: true},
	}
	if a.format == formatCSV {
		l := a.list(append([]column{{name: "plan"}, {name: "target"}, {name: "product_id"}}, rows...)...)
		for _, p := range plans {
			for _, r := range p.Rows {
				l.add(p.ID, p.Target, r.Product, r.Code, r.Name, a.figure(r.From), r.To.String(), string(r.LevelState), string(r.State), r.Reason)
			}
		}
		return l.end()
	}
	if len(plans) == 0 {
		a.say("there is no plan; `ostatok sync --once` makes one when figures differ")
	}
	for i, p := range plans {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := a.printPlan(p, rows); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printPlan(p journal.Plan, columns []column) error {
	var b strings.Builder
	if len(p.Rows) == 0 {
		fmt.Fprintf(&b, "%s: nothing to write, looked at %s\n", p.Target, a.moment(&p.CreatedAt))
	} else {
		fmt.Fprintf(&b, "plan %s for %s: %s, %d rows, made %s\n", p.ID, p.Target, p.State, len(p.Rows), a.moment(&p.CreatedAt))
	}
	for _, g := range p.Guards {
		fmt.Fprintf(&b, "  waits because: %s\n", g.Message)
	}
	if n := len(p.Unmatched); n > 0 {
		fmt.Fprintf(&b, "  %d products cannot be written to this target; --format json names them\n", n)
	}
	if _, err := fmt.Fprint(a.out, b.String()); err != nil || len(p.Rows) == 0 {
		return err
	}
	l := a.list(columns...)
	for _, r := range p.Rows {
		l.add(r.Code, r.Name, a.figure(r.From), r.To.String(), string(r.LevelState), string(r.State), r.Reason)
	}
	return l.end()
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
)

func (a *app) updateCommand() *cobra.Command {
	var order local.UpdateOrder
	c := &cobra.Command{
		Use:   "update [FILE]",
		Short: "Bring the agent to a newer release, from the server or from a file",
		Long: `Takes a release from FILE, or from the server that update.url names, verifies it,
checks it on a copy of the data and starts it when the shop does not trade. It is
on trial then: when it does not work here, the version before comes back by
itself, with the data.`,
		Example: `  ostatok update /media/usb/ostatok-1.4.0-linux-arm.release
  ostatok update --version 1.4.0 --now
  ostatok update status`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if order.Version != "" {
					return usage("a file has its own version: leave out --version")
				}
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("cannot read the release: %w", err)
				}
				defer f.Close()
				order.File = io.Reader(f)
			}
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				result, err := shop.Update(ctx, order, func(doing string) { a.say("%s", doing) })
				if err != nil {
					return err
				}
				if a.format == formatJSON {
					return a.printJSON(result)
				}
				_, err = fmt.Fprintln(a.out, updateWords(result))
				return err
			})
		},
	}
	c.Flags().StringVar(&order.Version, "version", "", "this release of the server, not the newest of the channel")
	c.Flags().BoolVar(&order.Now, "now", false, "also while the shop trades")
	c.AddCommand(a.updateStatusCommand(), a.rollbackCommand())
	return c
}

func updateWords(r local.UpdateResult) string {
	switch r.State {
	case local.UpdateRuns:
		return "version " + r.Version + " runs, there is nothing newer"
	case local.UpdateSwitches:
		return "version " + r.Version + " starts now, on trial; see `ostatok update status` in some minutes"
	}
	return "version " + r.Version + " is ready: " + r.Reason + "; it starts by itself, or at once with --now"
}

func (a *app) updateStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Print which version runs, which waits and which failed",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				u, err := shop.Updates(ctx)
				if err != nil {
					return err
				}
				if a.format == formatJSON {
					return a.printJSON(u)
				}
				_, err = fmt.Fprint(a.out, updatesWords(u))
				return err
			})
		},
	}
}

func updatesWords(u local.Updates) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	trial := ""
	if u.Trial {
		trial = ", on trial"
	}
	line("runs", "%s%s", u.Version, trial)
	line("before", "%s", orNone(u.Previous))
	if u.State != "" {
		line("update", "%s", u.State)
	}
	if u.Failed != "" {
		line("failed", "%s: %s", u.Failed, u.Reason)
	}
	if u.Log != "" {
		line("its log", "%s", u.Log)
	}
	for _, bad := range u.Bad {
		line("not again", "%s, tried on %s: %s", bad.Version, bad.At.Format(time.DateOnly), bad.Reason)
	}
	return b.String()
}

func (a *app) rollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the version before; the present one is not taken again",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				err := shop.RollBack(ctx)
				if err == nil {
					a.say("the agent ends, and the version before starts")
				}
				return err
			})
		},
	}
}

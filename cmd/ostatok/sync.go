package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
)

func (a *app) syncCommand() *cobra.Command {
	var once, backfill bool
	c := &cobra.Command{
		Use:   "sync --once [--backfill]",
		Short: "Run one full cycle: pull, compute, plan, deliver what policy allows",
		Long: "Pulls products and documents of the horizon (with --backfill the whole history), computes the levels,\n" +
			"plans, and delivers what policy allows. Exit 0: complete; 3: something was left open, and is named.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !once {
				return usage("sync needs --once; to keep in step all the time, use `ostatok run`")
			}
			shop, c, err := a.shop(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, shop.Close()) }()
			p := a.progress()
			result, err := shop.Sync(cmd.Context(), backfill, p.show)
			p.end()
			if err != nil {
				return err
			}
			return a.printSync(result, c.Language)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "one cycle, then end")
	c.Flags().BoolVar(&backfill, "backfill", false, "pull the whole history of the shop")
	return c
}

func (a *app) printSync(r local.SyncResult, language string) error {
	if a.format == formatJSON {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		if _, err := fmt.Fprintf(a.out, "%d products: %d known, %d assumed, %d waiting for older months, %d to count; %d new documents\n",
			r.Products, r.Levels.Known, r.Levels.Assumed, r.Levels.Unresolved, r.Levels.Unknown, r.Documents); err != nil {
			return err
		}
	}
	loaded := false
	for _, d := range r.Delivery {
		if d.Due > 0 {
			a.say("%s: %d accepted, %d of them read back, %d rejected, %d held back, %d to be tried again",
				d.Target, d.Accepted, d.Verified, d.Rejected, d.Blocked, d.Delayed)
		}
		if d.Reason != "" && d.Due > 0 {
			a.say("%s: %s", d.Target, d.Reason)
		}
		loaded = loaded || d.Target == "evotor" && d.Accepted > 0
	}
	if loaded {
		a.say("%s", loadToTerminals(language))
	}
	for _, p := range r.Plans {
		a.say("%s: plan %s of %d rows waits for approval; look at it with `ostatok plan show`", p.Target, p.ID, p.Rows)
		for _, g := range p.Guards {
			a.say("  %s", g.Message)
		}
	}
	for _, p := range r.Problems {
		a.say("%s", strings.TrimSpace(p.Message+" "+p.Do))
	}
	if !r.Complete {
		return &exitError{exitIncomplete, "the sync is not complete; no figure was changed by what is missing, run it again when the above is settled"}
	}
	return nil
}

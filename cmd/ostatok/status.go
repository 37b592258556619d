package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Print whether the agent runs and how the shop is doing",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				s, err := shop.Status(ctx)
				if err != nil {
					return err
				}
				if a.format == formatJSON {
					return a.printJSON(s)
				}
				_, err = fmt.Fprint(a.out, a.statusWords(s))
				return err
			})
		},
	}
}

func (a *app) statusWords(s local.Status) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s.Running {
		line("agent", "runs as process %d since %s, version %s", s.PID, a.moment(&s.Started), s.Version)
	} else {
		line("agent", "is not running; start it with `ostatok run` or the service")
	}
	line("service", "%s", a.serviceWords())
	line("shop", "%s, %d terminals", s.Store, s.Counts.Terminals)
	line("levels", "%d known, %d assumed, %d waiting for older months, %d to count",
		s.Levels.Known, s.Levels.Assumed, s.Levels.Unresolved, s.Levels.Unknown)
	line("mirror", "%d products, %d documents, %d set aside, %d MB", s.Counts.Products, s.Counts.Documents, s.Counts.Quarantine, s.MirrorBytes>>20)
	if s.Running {
		line("sync", "%s %.0f %%, last complete %s", s.Phase, s.Percent, a.moment(s.LastSuccess))
	}
	for _, t := range s.Targets {
		text := fmt.Sprintf("write = %s, %d waiting, %d rejected, last success %s", t.Policy, t.Waiting, t.Rejected, a.moment(t.LastSuccess))
		if t.ShownOnly {
			text = "differences are shown only, nothing is written"
		}
		if t.Blocked != "" {
			text += "; blocked: " + t.Blocked
		}
		line(t.Name, "%s", text)
	}
	switch b := s.Broker; {
	case b == nil || !s.Running:
	case b.Connected:
		line("broker", "%s since %s", b.URL, a.moment(b.Since))
	default:
		line("broker", "not connected to %s: %s", b.URL, b.LastError)
	}
	for _, p := range s.Plans {
		line("plan", "%s for %s: %s, %d rows", p.ID, p.Target, p.State, p.Rows)
	}
	if s.Update != "" {
		line("update", "%s", s.Update)
	}
	if s.Clock != "" {
		line("clock", "%s", s.Clock)
	}
	for _, p := range s.Problems {
		line("problem", "%s %s", p.Message, p.Do)
	}
	line("disk", "%d MB free", s.DiskFree>>20)
	return b.String()
}

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/message"
)

func (a *app) showCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "show STORE",
		Short: "Show everything that one shop tells of itself",
		Example: `  ostatokctl show 20170222-D58C-40E0-8051-B53ADFF38860
  ostatokctl show 20170222-D58C-40E0-8051-B53ADFF38860 --format json`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			store := args[0]
			if err := checkStore(store); err != nil {
				return err
			}
			topics := message.TopicsOf(s.Tenant, store)
			f := newFleet(a.now)
			link, err := a.connect(c.Context(), s, "", []subscription{{topics.State, 0}, {topics.Status, 0}}, f.take)
			if err != nil {
				return err
			}
			defer link.close()
			if err := f.gathered(c.Context(), a.settle, func() bool {
				j, ok := f.find(store)
				return ok && j.State != nil && j.Status != nil
			}); err != nil {
				return err
			}
			j, ok := f.find(store)
			switch {
			case !ok:
				return notSeen(store, s.Tenant)
			case format == formatJSON:
				return a.printJSON(export([]judged{j})[0])
			}
			return a.show(j)
		},
	}
	formatFlag(c, &format, formatTable, formatJSON)
	return c
}

// checkStore refuses what cannot be a store's id.
func checkStore(store string) error {
	switch {
	case store == message.Everyone:
		return usage("%q is no store: write --all for all shops", store)
	case !level(store):
		return usage("%q is no store's id", store)
	}
	return nil
}

func notSeen(store, tenant string) error {
	return &exitError{exitNotFound, fmt.Sprintf("no shop %s has shown itself under the tenant %s: compare the ids with `ostatokctl watch --once`", store, tenant)}
}

// show prints a shop for people.
func (a *app) show(j judged) error {
	rows := [][]string{{"state", fmt.Sprintf("%s, session %d", j.phase(), j.session())}, {"version", j.version()}}
	add := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	if t := j.spoke(); !t.IsZero() {
		add("seen", "%s ago", age(a.now().Sub(t)))
	}
	for i, f := range j.findings {
		name := ""
		if i == 0 {
			name = "trouble"
		}
		add(name, "%s: %s", f.severity, f.text)
	}
	if s := j.Status; s != nil {
		add("uptime", "%s", age(time.Duration(s.Uptime)*time.Second))
		add("sync", "%s, %.0f %%, last success %s", s.Sync.Phase, s.Sync.Percent, ago(a.now(), s.Sync.LastSuccess))
		add("terminals", "%d", s.Devices)
		add("levels", "%d known, %d assumed, %d waiting for older documents, %d to count, of %d products",
			s.Levels.Known, s.Levels.Assumed, s.Levels.Unresolved, s.Levels.Unknown, s.Products)
		for _, t := range s.Targets {
			add("target "+t.Name, "%s: %d to send, %d accepted, %d rejected, %d blocked, last success %s%s",
				t.Policy, t.Planned, t.Accepted, t.Rejected, t.Blocked, ago(a.now(), t.LastSuccess), because(t.Reason, t.LastError))
		}
		for _, p := range s.Plans {
			add("plan "+p.ID, "%s for %s, %d rows%s", p.State, p.Target, p.Rows, because(strings.Join(p.Guards, ", ")))
		}
		add("figures", "%d differ in the cloud, %d on their way, %d set aside", s.Drift, s.Outbox, s.Quarantine)
		add("box", "%d MB of disk free, %d MB of memory, mirror %d MB, journal %d MB",
			s.Disk.Free>>20, s.Memory>>20, s.Disk.Mirror>>20, s.Disk.Journal>>20)
		add("waiting", "%d events, %d results", s.Feed.Events, s.Feed.Results)
		if len(s.Override) > 0 {
			add("overrides", "%s", strings.Join(s.Override, ", "))
		}
		if s.Release != "" {
			add("update", "%s", s.Release)
		}
		add("config", "%s", s.Config)
	}
	return table(a.out, []string{"store", j.Store}, rows)
}

func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return age(now.Sub(*t)) + " ago"
}

// because adds reasons, if there are any, behind a colon.
func because(reasons ...string) string {
	var b strings.Builder
	for _, r := range reasons {
		if r != "" {
			b.WriteString(": " + r)
		}
	}
	return b.String()
}

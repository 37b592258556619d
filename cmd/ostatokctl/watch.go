package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/message"
)

func (a *app) watchCommand() *cobra.Command {
	var once bool
	var format string
	c := &cobra.Command{
		Use:   "watch",
		Short: "Show all shops, those in trouble first",
		Long: `Shows all shops: connection, lag behind the cloud, products by the state of
their level, targets, version and what is wrong. The table follows the shops; where
the output is no terminal, each change of a shop is a line.

SEEN is when the shop last told how it is. ASSUMED levels rest on something that is
not settled, WAITING ones on older months that are being read, COUNT ones must be
counted.`,
		Example: `  ostatokctl watch
  ostatokctl watch --once
  ostatokctl watch --once --format json | jq -r '.[] | select(.state=="lost") | .store'`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if format == formatJSON && !once {
				return usage("--format json prints one look: write --once too")
			}
			if once {
				return a.look(c.Context(), func(f *fleet) error { return a.printFleet(f.list(), format) })
			}
			return a.watch(c.Context())
		},
	}
	c.Flags().BoolVar(&once, "once", false, "print the table once and end")
	formatFlag(c, &format, formatTable, formatJSON)
	return c
}

// whole are the filters of how all shops are.
func whole(tenant string) []subscription {
	topics := message.TopicsOf(tenant, message.Any)
	return []subscription{{topics.State, 0}, {topics.Status, 0}}
}

// look gathers what the broker keeps of the fleet and hands it on.
func (a *app) look(ctx context.Context, show func(*fleet) error) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	f := newFleet(a.now)
	c, err := a.connect(ctx, s, "", whole(s.Tenant), f.take)
	if err != nil {
		return err
	}
	defer c.close()
	if err := f.gathered(ctx, a.settle, nil); err != nil {
		return err
	}
	return show(f)
}

// gathered returns when the broker has been silent for a while, or enough is known.
// MQTT has no word for "that was all".
func (f *fleet) gathered(ctx context.Context, settle time.Duration, enough func() bool) error {
	end := time.NewTimer(30 * settle) // a large fleet is never silent
	defer end.Stop()
	silent := time.NewTimer(5 * settle) // before the first word more patience is due
	defer silent.Stop()
	for enough == nil || !enough() {
		select {
		case <-f.changed:
			silent.Reset(settle)
		case <-silent.C:
			return nil
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// watch follows the fleet until it is interrupted.
func (a *app) watch(ctx context.Context) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	f := newFleet(a.now)
	c, err := a.connect(ctx, s, "", whole(s.Tenant), f.take)
	if err != nil {
		return stopped(err)
	}
	defer c.close()
	if err := f.gathered(ctx, a.settle, nil); err != nil {
		return stopped(err)
	}
	_, _, screen := a.screen()
	lines := changes{told: make(map[string]string)}
	// Ages grow without anything being told.
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		if screen {
			err = a.draw(f.list())
		} else {
			err = lines.print(a.out, f.list(), a.now())
		}
		if err != nil {
			return err
		}
		select {
		case <-second.C: // not at each change: a thousand shops would flicker
		case <-ctx.Done():
			return nil
		}
	}
}

// stopped is no error when a person ended what has no end of its own.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// draw paints the table over the last one, as much as there is room for.
func (a *app) draw(shops []judged) error {
	width, height, _ := a.screen()
	var text bytes.Buffer
	if err := fleetTable(&text, shops, a.now()); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\x1b[H" + sums(shops) + "\x1b[K\n\x1b[K\n")
	room := height - 3
	for line := range strings.Lines(text.String()) {
		if room--; room < 0 {
			break
		}
		line = strings.TrimRight(line, "\n")
		if r := []rune(line); len(r) > width {
			line = string(r[:width-1]) + "…"
		}
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(a.out, b.String())
	return err
}

// sums counts the shops.
func sums(shops []judged) string {
	ready, trouble := 0, 0
	for _, s := range shops {
		if s.phase() == message.Ready {
			ready++
		}
		if s.worst() >= warning {
			trouble++
		}
	}
	return fmt.Sprintf("%d shops, %d ready, %d in trouble", len(shops), ready, trouble)
}

// changes prints a shop when it differs from what was told of it.
type changes struct {
	told map[string]string
}

func (c *changes) print(w io.Writer, shops []judged, now time.Time) error {
	for _, s := range shops {
		key := string(s.phase())
		for _, f := range s.findings {
			key += "\x00" + f.kind
		}
		if c.told[s.Store] == key {
			continue
		}
		c.told[s.Store] = key
		if _, err := fmt.Fprintln(w, clean(strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s",
			now.UTC().Format(time.RFC3339), s.Store, s.phase(), s.worst(), s.words())))); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printFleet(shops []judged, format string) error {
	if format == formatJSON {
		return a.printJSON(export(shops))
	}
	if err := fleetTable(a.out, shops, a.now()); err != nil {
		return err
	}
	a.say("%s", sums(shops))
	return nil
}

func fleetTable(w io.Writer, shops []judged, now time.Time) error {
	titles := []string{"STORE", "STATE", "SEEN", "LAG", "KNOWN", "ASSUMED", "WAITING", "COUNT", "TARGETS", "VERSION", "TROUBLE"}
	rows := make([][]string, 0, len(shops))
	for _, s := range shops {
		row := []string{s.Store, string(s.phase()), "-", "-", "-", "-", "-", "-", "-", s.version(), s.words()}
		if t := s.spoke(); !t.IsZero() {
			row[2] = age(now.Sub(t))
		}
		if st := s.Status; st != nil {
			if st.Sync.Lag != nil {
				row[3] = age(time.Duration(*st.Sync.Lag) * time.Second)
			}
			for i, n := range []int{st.Levels.Known, st.Levels.Assumed, st.Levels.Unresolved, st.Levels.Unknown} {
				row[4+i] = strconv.Itoa(n)
			}
			row[8] = targets(st.Targets)
		}
		rows = append(rows, row)
	}
	return table(w, titles, rows)
}

// words are what is wrong, the worst first.
func (j judged) words() string {
	var texts []string
	for level := severe; level > fine; level-- {
		for _, f := range j.findings {
			if f.severity == level {
				texts = append(texts, f.text)
			}
		}
	}
	return strings.Join(texts, "; ")
}

// targets says in a word how each target is.
func targets(all []message.Target) string {
	if len(all) == 0 {
		return "-"
	}
	var words []string
	for _, t := range all {
		word := "ok"
		switch {
		case t.Policy == "off":
			word = "off"
		case t.LastError != "":
			word = "error"
		case t.Rejected > 0:
			word = strconv.Itoa(t.Rejected) + " rejected"
		case t.Blocked > 0:
			word = strconv.Itoa(t.Blocked) + " blocked"
		case t.Planned > 0:
			word = strconv.Itoa(t.Planned) + " to send"
		}
		words = append(words, t.Name+" "+word)
	}
	return strings.Join(words, ", ")
}

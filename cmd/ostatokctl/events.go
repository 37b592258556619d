package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/message"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var session, severity, format string
	c := &cobra.Command{
		Use:   "events [STORE]",
		Short: "Print events of all shops, or of one",
		Long: `Prints events as they come. A broker keeps events only for whom it knows: with
--session NAME it keeps them between two calls under the same name (the first call
makes it known), and each call prints what has come since. Each event is printed
once, even when it is sent twice.`,
		Example: `  ostatokctl events --follow
  ostatokctl events --follow --severity warning 20170222-D58C-40E0-8051-B53ADFF38860
  ostatokctl events --session nightly --format json >>events.jsonl`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			store := message.Any
			if len(args) > 0 {
				if store = args[0]; checkStore(store) != nil {
					return checkStore(store)
				}
			}
			least := slices.Index(severities, severity)
			switch {
			case least < 0:
				return usage("--severity %s is not known: write %s", severity, strings.Join(severities, ", "))
			case !follow && session == "":
				return usage("the broker keeps no events by itself: write --follow, or --session NAME to get what has come since the last call")
			case strings.ContainsFunc(session, func(r rune) bool { return !strings.ContainsRune(nameLetters, r) }):
				return usage("--session %q may hold letters, digits, - and _ only", session)
			}
			p := &eventPrinter{app: a, json: format == formatJSON, least: least, seen: make(map[string]bool), came: make(chan struct{}, 1)}
			link, err := a.connect(c.Context(), s, session, []subscription{{message.TopicsOf(s.Tenant, store).Event, 1}}, p.take)
			if err != nil && follow {
				return stopped(err)
			}
			if err != nil {
				return err
			}
			defer link.close()
			silent := time.NewTimer(5 * a.settle) // before the first word more patience is due
			defer silent.Stop()
			for {
				select {
				case <-p.came:
					silent.Reset(a.settle)
				case <-silent.C:
					if !follow {
						return p.failed()
					}
				case <-c.Context().Done():
					return p.failed()
				}
				if err := p.failed(); err != nil {
					return err
				}
			}
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	c.Flags().StringVar(&session, "session", "", "the name under which the broker keeps events between two calls")
	c.Flags().StringVar(&severity, "severity", severities[0], "the least to print: "+strings.Join(severities, ", "))
	formatFlag(c, &format, formatTable, formatJSON)
	return c
}

// severities of events, the least first.
var severities = []string{"info", "warning", "error"}

// nameLetters are taken by every broker as part of a client's id.
const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// mostSeen bounds how many ids are remembered to print an event once; a repetition
// comes soon after the first.
const mostSeen = 100_000

// eventPrinter prints events where they come in, so that one is acknowledged only
// after it was printed.
type eventPrinter struct {
	app   *app
	json  bool
	least int
	came  chan struct{}

	mu   sync.Mutex
	seen map[string]bool
	err  error // of the output
}

func (p *eventPrinter) take(m publication) {
	_, store, rest, ok := message.Split(m.topic)
	if !ok || rest != "event" {
		return
	}
	select {
	case p.came <- struct{}{}:
	default:
	}
	var e struct {
		Store string `json:"store"`
		message.Event
	}
	e.Store = store
	if json.Unmarshal(m.payload, &e.Event) != nil {
		p.app.say("an event of %s cannot be read", store)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// What the severity means is not known to be little.
	if key := store + "\x00" + e.ID; p.seen[key] || slices.Index(severities, e.Severity) >= 0 && slices.Index(severities, e.Severity) < p.least {
		return
	} else if e.ID != "" {
		if len(p.seen) >= mostSeen {
			clear(p.seen)
		}
		p.seen[key] = true
	}
	var err error
	if p.json {
		err = p.app.printLine(e)
	} else {
		_, err = fmt.Fprintln(p.app.out, clean(fmt.Sprintf("%s  %s  %-7s  %s  %s",
			e.At.UTC().Format(time.RFC3339), store, e.Severity, e.Kind, e.Message)))
	}
	if err != nil {
		p.err = err
	}
}

func (p *eventPrinter) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

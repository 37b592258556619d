package main

import (
	"fmt"
	"strings"
	"time"

	"ostatok/agent/local"
)

// progress shows how far a sync has come: a bar on a terminal, a line now and
// then in a file.
type progress struct {
	app  *app
	bar  bool // stderr is a terminal
	last string
	when time.Time
}

func (a *app) progress() *progress {
	return &progress{app: a, bar: terminal(a.err)}
}

func (p *progress) show(now local.Progress) {
	if now.Phase == "idle" {
		return // between two pieces of work, and at the end
	}
	text := phaseWords(now)
	if p.bar {
		if p.app.now().Sub(p.when) >= 100*time.Millisecond {
			p.when = p.app.now()
			p.draw(now.Percent, text)
		}
		return
	}
	// A line for each phase and window, and no more than one a second in between.
	key := now.Phase + now.Window
	if key == p.last && p.app.now().Sub(p.when) < 10*time.Second {
		return
	}
	p.last, p.when = key, p.app.now()
	p.app.say("%3.0f %%  %s", now.Percent, text)
}

func (p *progress) end() {
	if p.bar {
		fmt.Fprint(p.app.err, "\r\x1b[K")
	}
}

// draw draws the bar over the one before: a carriage return, the line, and the
// rest of the line cleared.
func (p *progress) draw(percent float64, text string) {
	const width = 30
	done := min(width, max(0, int(percent*width/100)))
	fmt.Fprintf(p.app.err, "\r%3.0f %% [%s%s] %s\x1b[K", min(99, percent), strings.Repeat("█", done), strings.Repeat("·", width-done), text)
}

func phaseWords(p local.Progress) string {
	switch p.Phase {
	case "shop":
		return "looking at the shop and its terminals"
	case "products":
		return fmt.Sprintf("products: %d", p.Products)
	case "first", "backfill", "rescan", "poll":
		if p.Window == "" {
			return fmt.Sprintf("documents: %d", p.Documents)
		}
		return fmt.Sprintf("documents of %s: %d", p.Window, p.Documents)
	case "fold":
		return "computing levels"
	}
	return p.Phase
}

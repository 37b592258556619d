package page

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

const eventRows = 100

func (p *Page) events(v *visit) (view, error) {
	before, _ := strconv.ParseInt(v.query("before"), 10, 64) // nonsense is the newest
	list, err := p.o.Shop.Events(v.ctx(), max(0, before), eventRows)
	if err != nil {
		return view{}, err
	}
	live := "all"
	if before > 0 {
		live = ""
	}
	var older part
	if len(list) == eventRows {
		older = el("nav", class("pages"), label(v.pagesLabel), el("a", class("button"),
			href(address("/events", nil, "before", strconv.FormatInt(list[len(list)-1].Seq, 10))), text(v.olderPage)))
	}
	return view{title: v.eventsTitle, at: "/events", live: live, body: nodes{
		el("h1", text(v.eventsTitle)),
		el("div", id("events"), data("live", ""),
			when(len(list) == 0, empty(v.noEvents)),
			el("ul", class("events"), each(list, v.event)),
			older,
		),
	}}, nil
}

func (v *visit) event(e journal.Event) node {
	tone := map[string]string{journal.Info: "wait", journal.Warning: "warn", journal.Error: "bad"}[e.Severity]
	title := v.eventWords(e.Kind)
	at := time.UnixMilli(e.At)
	return el("li", class("event "+tone),
		v.moment(&at),
		badge(tone, v.severities[e.Severity]),
		el("div",
			el("p", text(title)),
			v.technical(e.Message, facts(e.Data)),
		),
	)
}

// eventWords are what an event of the kind means; one of a kind that the page
// does not know is shown by its name.
func (w *words) eventWords(kind string) string {
	if t := w.events[kind]; t != "" {
		return t
	}
	if of, over := strings.CutSuffix(kind, "_over"); over {
		if p, ok := w.problems[of]; ok {
			return w.problemOver(p.title)
		}
	}
	if p, ok := w.problems[kind]; ok {
		return p.title
	}
	if strings.HasSuffix(kind, "_failed") { // of one part of the program
		return w.partFailed
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// facts are an event's data as it was stored.
func facts(data json.RawMessage) part {
	var b bytes.Buffer
	if len(data) == 0 || json.Compact(&b, data) != nil {
		return nil
	}
	const most = 300
	s := b.String()
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return el("code", text(s))
}

// problem are the words for a state that somebody should know of.
func (w *words) problem(p local.Problem) problemWords {
	if known, ok := w.problems[p.Kind]; ok {
		return known
	}
	return problemWords{p.Message, p.Do}
}

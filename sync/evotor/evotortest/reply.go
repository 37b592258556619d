package evotortest

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

const (
	mediaType = "application/vnd.evotor.v2+json;charset=UTF-8"
	portal    = "<!DOCTYPE html><html><head><title>Авторизация</title></head><body><p>Подключение к сети</p></body></html>"
)

// reply is an answer before anything went wrong with it.
type reply struct {
	status   int
	location string
	html     bool
	body     []byte // of one object
	page     *page  // of a list
}

// page is a piece of a list; the items are JSON.
type page struct {
	items [][]byte
	next  string
	bad   []byte // what stands for a bad item of this list
}

func object(body []byte) reply { return reply{status: http.StatusOK, body: body} }

// failure is an error answer. What the bodies of V2 errors look like is
// documented nowhere (evotor-cloud §3); this is V1's form.
func failure(status int, reason string) reply {
	return reply{status: status, body: append(appendText([]byte(`{"errors":[{"code":`+strconv.Itoa(status*10)+`,"reason":`), reason), `,"subject":null}]}`...)}
}

// send writes an answer with what goes wrong with it.
func (c *Cloud) send(w http.ResponseWriter, r *http.Request, a reply, fault Fault) {
	w.Header().Set("Date", c.options.Now().UTC().Format(http.TimeFormat))
	if a.status != http.StatusOK && fault != Cut && fault != Slow {
		fault = None
	}
	if fault == HTML || a.html {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		writeAll(w, []byte(portal))
		return
	}
	w.Header().Set("Content-Type", mediaType)
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if fault == EmptyObject {
		a.page, a.body = nil, []byte("{}")
	}
	body := a.body
	if a.page != nil {
		a.page.spoil(fault)
		if fault != Cut && fault != Slow {
			w.WriteHeader(a.status)
			a.page.write(w, c.options.BareArrays)
			return
		}
		var whole bytes.Buffer
		a.page.write(&whole, c.options.BareArrays)
		body = whole.Bytes()
	}
	switch fault {
	case Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(a.status)
		writeAll(w, body[:len(body)*2/3])
		_ = http.NewResponseController(w).Flush() // the connection is about to be cut anyway
		panic(http.ErrAbortHandler)
	case Slow:
		w.WriteHeader(a.status)
		c.trickle(w, r, body)
	default:
		w.WriteHeader(a.status)
		writeAll(w, body)
	}
}

// spoil puts a list's own faults into it.
func (p *page) spoil(fault Fault) {
	switch fault {
	case EmptyList:
		p.items, p.next = nil, ""
	case HalfList:
		p.items, p.next = p.items[:(len(p.items)+1)/2], ""
	case BadItem, BadJSON:
		if len(p.items) == 0 {
			return
		}
		items := append([][]byte(nil), p.items...)
		bad := p.bad
		if fault == BadJSON {
			bad = []byte(`{"id":"","quantity":NaN,}`)
		}
		items[len(items)/2] = bad
		p.items = items
	}
}

type writer interface{ Write([]byte) (int, error) }

func (p *page) write(w writer, bare bool) {
	if bare {
		writeAll(w, []byte(`[`))
	} else {
		writeAll(w, []byte(`{"items":[`))
	}
	for i, item := range p.items {
		if i > 0 {
			writeAll(w, []byte(`,`))
		}
		writeAll(w, item)
	}
	switch {
	case bare:
		writeAll(w, []byte(`]`))
	case p.next == "":
		writeAll(w, []byte(`],"paging":{}}`))
	default:
		writeAll(w, append(appendText([]byte(`],"paging":{"next_cursor":`), p.next), `}}`...))
	}
}

// writeAll writes to a client that may have gone, which is its own affair.
func writeAll(w writer, b []byte) { _, _ = w.Write(b) }

// trickle writes a body in pieces over a time.
func (c *Cloud) trickle(w http.ResponseWriter, r *http.Request, body []byte) {
	const pieces = 20
	flush := http.NewResponseController(w)
	for i := range pieces {
		writeAll(w, body[len(body)*i/pieces:len(body)*(i+1)/pieces])
		_ = flush.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(c.options.SlowFor / pieces):
		}
	}
}

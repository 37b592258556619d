package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// What a document may be at most: more is no shop's, and would stay in memory as
// a name for ever.
const (
	nameMost  = 128
	linesMost = 1<<16 - 1
)

const fullRetry = 10 * time.Minute

// documents takes documents in any shape.
func (s *server) documents(r *request) answer {
	if store := r.PathValue("store"); store != "" && !strings.EqualFold(store, s.Store) {
		return refuse(http.StatusConflict, http.StatusConflict, "this box belongs to store %s: send the documents of store %.60s to its own box", s.Store, store)
	}
	body, done, refused := s.read(r, bodyMost)
	defer done()
	if refused != nil {
		return *refused
	}
	if ping(body) {
		return answer{status: http.StatusOK, body: taken{}}
	}
	items, err := evotor.DecodeDocuments(body)
	if err != nil {
		return refuse(http.StatusBadRequest, codeSyntax, "%v: send one document or an array of them as JSON in UTF-8", err)
	}
	v := s.judge(items)
	// What can be used is kept even if the rest is refused: whoever sends all of it
	// again does no harm.
	fresh, err := s.Inbox.Accept(r.Context(), v.usable)
	if err != nil {
		return s.failed(err)
	}
	if fresh > 0 || v.Incomplete > 0 {
		s.wake()
	}
	v.Accepted, v.Known = fresh, v.Known+len(v.usable)-fresh
	return answer{status: v.status, body: v.taken}
}

// failed answers a sender whose documents could not be kept.
func (s *server) failed(err error) answer {
	if errors.Is(err, ErrInboxFull) {
		s.wake()
		return later(http.StatusServiceUnavailable, fullRetry,
			"the box holds as many documents as it can until the cloud is reached again: keep them and send them later")
	}
	s.Log.Error().Err(err).Msg("documents not kept")
	if _, full := errors.AsType[*sqlite.FullError](err); full {
		return later(http.StatusInsufficientStorage, fullRetry, "the card of the box is full: free some space, and send the documents again")
	}
	return later(http.StatusServiceUnavailable, time.Minute, "the box could not keep the documents: send them again later")
}

// verdict is what became of the documents of one request.
type verdict struct {
	taken
	status int
	usable []Document
}

// judge tells the documents that can be used from those that cannot. The answer's
// status is that of the worst.
func (s *server) judge(items []evotor.Item[stock.Document]) *verdict {
	v := &verdict{status: http.StatusOK}
	seen := make(map[string]bool, len(items))
	for i := range items {
		d, raw, err := &items[i].Value, items[i].Raw, items[i].Err
		refuse := func(status, code int, reason string) {
			v.status = max(v.status, status)
			v.Errors = append(v.Errors, problem{Code: code, Reason: reason, Subject: fmt.Sprintf("%.*s", nameMost, d.ID)})
		}
		switch {
		case d.Store != "" && !strings.EqualFold(d.Store, s.Store):
			refuse(http.StatusConflict, http.StatusConflict, fmt.Sprintf("it belongs to store %.60s, this box to store %s: send it to its own box", d.Store, s.Store))
			continue
		case errors.Is(err, evotor.ErrNoID):
			refuse(http.StatusBadRequest, codeField, err.Error()+": send it with the id that the cloud gave it")
			continue
		case errors.Is(err, evotor.ErrNoBody), errors.Is(err, evotor.ErrNoTime):
			// Cut down by who sent it (evotor-cloud §14.1): to send it again would
			// not help, and the cloud has it.
			v.Incomplete++
			continue
		case err != nil:
			refuse(http.StatusBadRequest, codeValue, err.Error()+": it is not kept; correct the sender")
			continue
		}
		if reason := excess(d); reason != "" {
			refuse(http.StatusBadRequest, codeValue, reason)
			continue
		}
		if !seen[d.ID] {
			seen[d.ID] = true
			v.usable = append(v.usable, Document{ID: d.ID, Closed: d.Closed, Raw: raw})
		} else {
			v.Known++
		}
	}
	return v
}

// excess says what is too large in a document, "" for nothing.
func excess(d *stock.Document) string {
	if len(d.Lines) > linesMost {
		return fmt.Sprintf("it has %d lines; at most %d can be kept", len(d.Lines), linesMost)
	}
	names := []string{d.ID, d.Device, string(d.Type)}
	for i := range d.Lines {
		names = append(names, d.Lines[i].Product, d.Lines[i].Settlement)
	}
	for _, name := range names {
		if len(name) > nameMost {
			return fmt.Sprintf("%.20q… is longer than the %d bytes of an id", name, nameMost)
		}
	}
	return ""
}

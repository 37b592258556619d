package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	bodyMost  = 10 << 20  // what Evotor itself takes (evotor-cloud §1)
	bodySmall = 256 << 10 // many of these may be in memory at once, of larger ones one
	pingMost  = 1 << 10

	turnWait = 10 * time.Second // for the turn of a large body
)

// read reads the body, or says why not. A large one waits for its turn, which
// done gives back.
func (s *server) read(r *request, most int64) (body []byte, done func(), refused *answer) {
	no := func(a answer) ([]byte, func(), *answer) { return nil, func() {}, &a }
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return no(refuse(http.StatusUnsupportedMediaType, http.StatusUnsupportedMediaType, "the body is encoded as %.20q: send it plain", e))
	}
	if r.ContentLength > most {
		return no(tooLarge(most))
	}
	done = func() {}
	if r.ContentLength < 0 || r.ContentLength > bodySmall {
		wait := time.NewTimer(turnWait)
		defer wait.Stop()
		select {
		case s.large <- struct{}{}:
			done = func() { <-s.large }
		case <-wait.C:
			return no(later(http.StatusServiceUnavailable, turnWait, "another large request is being read: send this one again, or in smaller parts"))
		case <-r.Context().Done():
			return no(refuse(http.StatusBadRequest, codeSyntax, "the request was given up"))
		}
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, http.MaxBytesReader(r.w, r.Body, most)); err != nil {
		done()
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return no(tooLarge(most))
		}
		return no(refuse(http.StatusBadRequest, codeSyntax, "the body broke off: send the request again"))
	}
	return b.Bytes(), done, nil
}

func tooLarge(most int64) answer {
	return refuse(http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge,
		"the body is larger than %d bytes: send the documents in several requests", most)
}

// ping tells whether a body is no document but a check of the address: empty, the
// word (evotor-cloud §14.1), or an event that says so.
func ping(body []byte) bool {
	text := bytes.TrimSpace(body)
	if len(text) > pingMost {
		return false
	}
	if len(text) == 0 {
		return true
	}
	switch text[0] {
	case '[':
		return len(bytes.TrimSpace(text[1:])) == 1 && text[len(text)-1] == ']'
	case '{':
		var event struct {
			Action string `json:"action"`
			Type   string `json:"type"`
		}
		if len(bytes.TrimSpace(text[1:])) == 1 && text[len(text)-1] == '}' {
			return true
		}
		return json.Unmarshal(text, &event) == nil &&
			(strings.EqualFold(event.Action, "ping") || strings.EqualFold(event.Type, "ping"))
	}
	return strings.EqualFold(string(bytes.Trim(text, `"`)), "ping")
}

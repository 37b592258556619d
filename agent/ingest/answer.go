package ingest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Codes of errors that Evotor documents for partners (evotor-cloud §3); where it
// documents none, the code is the status.
const (
	codeToken  = 1001 // wrong token of the cloud
	codeSyntax = 2001
	codeField  = 2002 // a field is missing
	codeValue  = 2003
)

// answer is what a sender is told.
type answer struct {
	status int
	retry  time.Duration // the sender may try again after so long; 0: not said
	body   any
}

// taken is the body of an answer about documents.
type taken struct {
	Accepted   int       `json:"accepted"`             // new, and durable
	Known      int       `json:"known"`                // here already
	Incomplete int       `json:"incomplete,omitempty"` // not usable as sent; fetched from the cloud by their ids
	Errors     []problem `json:"errors,omitempty"`     // of what was not taken
}

// problem is one reason, in the shape that Evotor's partners answer with.
type problem struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"` // what is wrong and what to do
	Subject string `json:"subject,omitempty"`
}

func refuse(status, code int, format string, args ...any) answer {
	return answer{status: status, body: taken{Errors: []problem{{Code: code, Reason: fmt.Sprintf(format, args...)}}}}
}

func later(status int, after time.Duration, format string, args ...any) answer {
	a := refuse(status, status, format, args...)
	a.retry = after
	return a
}

func tooMany(wait time.Duration) answer {
	return later(http.StatusTooManyRequests, wait,
		"too many requests from this address: wait %d s; several documents may be sent as one array", seconds(wait))
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if a.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="ostatok"`)
	}
	if a.retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(a.retry), 10))
	}
	b, err := json.Marshal(a.body)
	if err != nil { // of texts and numbers only: it cannot be
		b = []byte("{}")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(append(b, '\n')) // a sender that has gone asks again
}

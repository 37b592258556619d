package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind says what an error means for the caller, whichever server it came from.
type Kind string

// The kinds of errors.
const (
	Unauthorized Kind = "unauthorized"  // 401: token missing, wrong or withdrawn
	NotInstalled Kind = "not_installed" // 402: the application is not installed or not paid for
	Forbidden    Kind = "forbidden"     // 403: no permission
	NotFound     Kind = "not_found"     // 404
	Gone         Kind = "gone"          // 410
	RateLimited  Kind = "rate_limited"  // 429, or a wait longer than this call may take
	Invalid      Kind = "invalid"       // the server understood and refuses: 400, 405, 406, 409, 413, 415, 422 and other 4xx
	Temporary    Kind = "temporary"     // 5xx, 408, 425, no connection, connection cut
	Protocol     Kind = "protocol"      // an answer that is not what it should be: HTML, broken JSON, a redirect elsewhere
)

// Error is what every failed call returns, unless its context ended. Its text
// holds no secrets and says what can be done.
type Error struct {
	Kind       Kind
	Status     int    // HTTP status, 0 when there was no answer; 2xx when the answer broke off or is not what it should be
	Method     string // "GET"
	Path       string // without host and query
	Detail     string // first bytes of the answer or what went wrong, redacted
	RetryAfter time.Duration
	Err        error // the cause, nil when the status says it all

	words string // the cause in plain words, "" when Kind and Detail suffice
}

// Error tells what failed, why, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cannot %s %s: ", e.Method, e.Path)
	b.WriteString(e.reason())
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	return b.String()
}

func (e *Error) reason() string {
	if e.words != "" {
		return e.words
	}
	switch e.Kind {
	case Unauthorized:
		return "the token was refused, check that it is the right one and still valid"
	case NotInstalled:
		return "the application is not installed or not paid for there"
	case Forbidden:
		return "the application has no permission for this, check its rights"
	case NotFound:
		return "there is no such thing on the server"
	case Gone:
		return "it was removed from the server"
	case RateLimited:
		return fmt.Sprintf("too many requests, the next one is allowed in %v", e.RetryAfter.Round(time.Second))
	case Invalid:
		return "the server refuses the request"
	case Temporary:
		return "the server is in trouble, it will be tried again"
	}
	return "the answer is not what it should be, a proxy or a login page may be in between"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err, "" when it is not from a server or the
// network: nil, an ended context, a refusal of the caller's own.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// Retryable tells whether the same call may succeed later though nobody changes
// anything. It is decided here only. A Protocol error is among them: a login
// page of a public network goes away by itself, but is not worth asking again
// at once.
func Retryable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch KindOf(err) {
	case Temporary, RateLimited, Protocol:
		return true
	}
	return false
}

// kindOfStatus classifies an answer that is not a success.
func kindOfStatus(status int) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return Unauthorized
	case status == http.StatusPaymentRequired:
		return NotInstalled
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusGone:
		return Gone
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return Temporary
	case status >= 400:
		return Invalid
	}
	return Protocol
}

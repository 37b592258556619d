package keycrmtest

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const page404 = "<!DOCTYPE html><html><head><title>KeyCRM</title></head><body>Whoops, looks like something went wrong.</body></html>"

// admit checks the key and the rate limit.
func (c *CRM) admit(w http.ResponseWriter, r *http.Request) bool {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !bearer || (len(c.o.Keys) > 0 && !slices.Contains(c.o.Keys, key)) {
		c.fail(w, r, http.StatusUnauthorized, `{"message":"Unauthenticated."}`)
		return false
	}
	if c.o.Rate < 0 {
		return true
	}
	// Any window, not the one that began at a full minute: a client that keeps
	// within this keeps within every other way of counting.
	now := c.o.Now()
	sent := slices.DeleteFunc(c.sent[key], func(at time.Time) bool { return now.Sub(at) >= c.o.Window })
	left := c.o.Rate - len(sent)
	if c.o.Told || left <= 0 {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(c.o.Rate))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(left-1, 0)))
	}
	if left <= 0 {
		if !c.o.Mute {
			wait := c.o.Window - now.Sub(sent[0])
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		}
		c.sent[key] = sent
		c.fail(w, r, http.StatusTooManyRequests, `{"message":"Too Many Attempts."}`)
		return false
	}
	c.sent[key] = append(sent, now)
	return true
}

// fail answers with an error; without Accept: application/json the framework
// shows a web page instead.
func (c *CRM) fail(w http.ResponseWriter, r *http.Request, status int, body string) {
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(status)
		write(w, []byte(page404))
		return
	}
	c.reply(w, status, []byte(body))
}

func (c *CRM) invalid(w http.ResponseWriter, r *http.Request, field, reason string) {
	c.fail(w, r, http.StatusUnprocessableEntity, string(encode(map[string]any{
		"message": "The given data was invalid.", "errors": map[string][]string{field: {reason}},
	})))
}

func (c *CRM) reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, body)
}

// write writes to a client that may have gone, which is its own affair.
func write(w http.ResponseWriter, b []byte) { _, _ = w.Write(b) }

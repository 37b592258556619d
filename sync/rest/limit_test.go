package rest

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the headers say, a wait is neither negative nor longer than an hour.
func TestLimitsAreClamped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{0,25}(\.[0-9]{0,3})?(e[0-9]{1,3})?`),
			rapid.SampledFrom([]string{"NaN", "Inf", "-Inf", "0x1p9", "Sat, 21 Nov 2026 20:00:00 GMT", "Sat, 21 Nov 0026 20:00:00 GMT"}),
		)
		h := http.Header{}
		h.Set("Retry-After", value.Draw(t, "after"))
		h.Set("X-RateLimit-Reset", value.Draw(t, "reset"))
		l := parseLimits(h, time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "now"), 0))
		for _, d := range []time.Duration{l.retryAfter, l.reset} {
			if d < 0 || d > longestWait {
				t.Fatalf("%+v of %v", l, h)
			}
		}
	})
}

// The same for whatever bytes a header can hold.
func FuzzLimits(f *testing.F) {
	f.Add("30", "1763841600", "0", int64(1763841000))
	f.Add("Sat, 21 Nov 2026 20:00:00 GMT", "1763841600000", "1e9", int64(0))
	f.Add("-1", "0x1p-2", "NaN", int64(-1))
	f.Fuzz(func(t *testing.T, after, reset, remaining string, now int64) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "X-Ratelimit-Remaining": {remaining}}
		l := parseLimits(h, time.Unix(now%1e12, 0))
		for _, d := range []time.Duration{l.retryAfter, l.reset} {
			if d < 0 || d > longestWait {
				t.Fatalf("%+v of %v", l, h)
			}
		}
	})
}

// A clock that jumps back must not keep a gate closed for years.
func TestGateSurvivesAClockSetBack(t *testing.T) {
	var g gates
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	g.close("x", now.Add(time.Minute))
	if got := g.wait("x", now); got != time.Minute {
		t.Errorf("waits %v", got)
	}
	if got := g.wait("x", now.AddDate(-20, 0, 0)); got != 0 {
		t.Errorf("waits %v after the clock was set back", got)
	}
}

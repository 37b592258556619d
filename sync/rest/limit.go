package rest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// longestWait bounds what a server may ask for. Some limits of the Evotor cloud
// recover only after half an hour (evotor-cloud §4).
const longestWait = time.Hour

// limits is what an answer says of the rate limit.
type limits struct {
	retryAfter time.Duration // 0: not said
	reset      time.Duration // until the window ends, 0: not said
	exhausted  bool          // nothing remains in this window
}

// parseLimits reads Retry-After and X-RateLimit-*; now is the server's clock.
func parseLimits(h http.Header, now time.Time) limits {
	var l limits
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			l.retryAfter = clampSeconds(s)
		} else if t, err := http.ParseTime(v); err == nil {
			l.retryAfter = clamp(t.Sub(now))
		}
	}
	if v, err := strconv.ParseFloat(h.Get("X-RateLimit-Reset"), 64); err == nil {
		// The documentation gives two units and clients defend against a third,
		// so the magnitude decides (evotor-cloud §4).
		switch {
		case v > 1e12:
			l.reset = clampSeconds(v/1e3 - float64(now.UnixMilli())/1e3)
		case v > 1e9:
			l.reset = clampSeconds(v - float64(now.UnixMilli())/1e3)
		default:
			l.reset = clampSeconds(v)
		}
	}
	if v, err := strconv.ParseFloat(h.Get("X-RateLimit-Remaining"), 64); err == nil {
		l.exhausted = v < 1
	}
	return l
}

func clampSeconds(s float64) time.Duration {
	if math.IsNaN(s) || s <= 0 {
		return 0
	}
	return clamp(time.Duration(math.Min(s, longestWait.Seconds()) * float64(time.Second)))
}

func clamp(d time.Duration) time.Duration { return min(max(d, 0), longestWait) }

// gates hold the budgets that are spent, each until its window ends.
type gates struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (g *gates) close(budget string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil || len(g.until) > 256 { // paths are many where budgets are not named
		g.until = map[string]time.Time{}
	}
	if until.After(g.until[budget]) {
		g.until[budget] = until
	}
}

func (g *gates) wait(budget string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.until[budget]
	if !ok {
		return 0
	}
	wait := until.Sub(now)
	// A clock that was set back must not close a gate for years.
	if wait <= 0 || wait > longestWait {
		delete(g.until, budget)
		return 0
	}
	return wait
}

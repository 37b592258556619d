package keycrm

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"ostatok/sync/rest"
)

const (
	// margin stretches the interval between requests, in percent: twenty requests
	// sent exactly three seconds apart can arrive as twenty-one within a minute
	// when the line delays the first of them.
	margin = 2

	slowest = 30 * time.Second // interval to which refusals can stretch the pace
	longest = time.Hour        // pause that the server may ask for
)

// pace is the budget of one key: requests never leave closer together than the
// interval, whoever sends them, however often they are repeated. A token bucket
// would do less: it counts from when a request was promised, so one that left
// late is followed too soon by the next.
type pace struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	limit int // a minute, as configured

	turn chan struct{} // held by the one who waits; the others wait in line

	mu       sync.Mutex
	base     time.Duration // by the limit, ours or the server's if that is lower
	interval time.Duration // now: longer than base after a refusal
	last     time.Time     // when the latest request left
	paused   time.Time     // no request before, because the server said so
	slowed   time.Time     // when interval was last made longer
}

// newPace begins with a full interval: what the agent sent just before it was
// restarted counts, too.
func newPace(limit int, now func() time.Time, sleep func(context.Context, time.Duration) error) *pace {
	p := &pace{now: now, sleep: sleep, limit: limit, turn: make(chan struct{}, 1), base: every(limit)}
	p.interval = p.base
	p.last = now()
	return p
}

func every(limit int) time.Duration {
	return time.Minute * (100 + margin) / 100 / time.Duration(limit)
}

// wait returns when a request may leave, which it must do at once. A pause that
// lasts longer than most is an error of kind RateLimited instead.
func (p *pace) wait(ctx context.Context, r rest.Request, most time.Duration) (left time.Time, err error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return left, ctx.Err()
	}
	defer func() { <-p.turn }()
	for {
		interval, pause := p.due()
		switch {
		case pause > most:
			return left, &rest.Error{Kind: rest.RateLimited, Method: r.Method, Path: r.Path, RetryAfter: pause}
		case interval <= 0 && pause <= 0:
			return p.leave(), ctx.Err()
		}
		if err := p.sleep(ctx, max(interval, pause)); err != nil {
			return left, err
		}
	}
}

// due is how long the next request has to wait for our own pace, and for the
// server's word.
func (p *pace) due() (interval, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Before(p.last) { // the clock was set back
		p.last = now
	}
	interval = p.last.Add(p.interval).Sub(now)
	if pause = p.paused.Sub(now); pause > longest {
		pause, p.paused = 0, time.Time{}
	}
	return interval, pause
}

func (p *pace) leave() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = p.now()
	return p.last
}

// accepted brings a stretched pace back by degrees, and takes the server's own
// word for the limit when that is lower than ours. The header is documented
// nowhere (backends.md §3.2).
func (p *pace) accepted(h http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit, err := strconv.Atoi(h.Get("X-RateLimit-Limit")); err == nil && limit > 0 {
		p.base = every(min(limit, p.limit))
	}
	excess := (p.interval - p.base) * 19 / 20
	if excess < p.base/100 {
		excess = 0
	}
	p.interval = p.base + excess
}

// refused stretches the pace after a 429 to a request that left at the given
// time: the key is used by others, or the limit is lower than we think. Several
// refusals of one moment count once.
func (p *pace) refused(left time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.slowed.IsZero() && !left.After(p.slowed) {
		return
	}
	p.slowed = p.now()
	p.interval = max(min(p.interval*2, slowest), p.base)
}

// pause lets no request leave for a time.
func (p *pace) pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.now().Add(min(max(d, p.interval), longest)); until.After(p.paused) {
		p.paused = until
	}
}

// sleep is the real one.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

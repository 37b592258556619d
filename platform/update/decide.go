package update

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Policy says when a shop lets a staged release start.
type Policy struct {
	Pin     string        // only this version; "" any
	Windows []Window      // when a switch may happen; none: whenever the shop does not trade
	Jitter  time.Duration // shops of a chain spread their switches over so long
}

// Window is a span of the shop's day, since local midnight. To before From goes
// over midnight; both the same is the whole day.
type Window struct{ From, To time.Duration }

func (w Window) holds(at time.Duration) bool {
	switch {
	case w.From < w.To:
		return at >= w.From && at < w.To
	case w.From > w.To:
		return at >= w.From || at < w.To
	}
	return true
}

// Moment is what a decision looks at.
type Moment struct {
	Now     time.Time // in the shop's time zone
	Trusted bool      // the clock is
	Trading bool      // a session is open, or documents came just now
	Held    string    // why the agent says "not now"; "" it does not
	Asked   bool      // a person or a signed command said "now"
	Staged  time.Time // since when the release is ready
	Shop    string    // its id, for the jitter
}

// Decide says whether to switch to a staged version now, and if not, why: for
// the status. "Not now" and a pin hold even when asked; windows, trading hours
// and jitter do not.
func (p Policy) Decide(version string, m Moment) (now bool, reason string) {
	switch {
	case p.Pin != "" && p.Pin != version:
		return false, "this shop is pinned to version " + p.Pin
	case m.Held != "":
		return false, "not now: " + m.Held
	case m.Asked:
		return true, ""
	case m.Trading:
		return false, "the shop is trading"
	case !m.Trusted:
		return false, "the clock is not trusted, so the hours of the shop are not known"
	}
	if wait := p.spread(version, m.Shop) - m.Now.Sub(m.Staged); wait > 0 && !m.Staged.After(m.Now) {
		return false, fmt.Sprintf("this shop's turn comes in %s", wait.Round(time.Minute))
	}
	if len(p.Windows) == 0 {
		return true, ""
	}
	// The hands of the clock, not the time passed: a day may have 23 hours.
	at := time.Duration(m.Now.Hour())*time.Hour + time.Duration(m.Now.Minute())*time.Minute + time.Duration(m.Now.Second())*time.Second
	for _, w := range p.Windows {
		if w.holds(at) {
			return true, ""
		}
	}
	return false, "outside the hours of updates"
}

// spread is the share of the jitter that falls to a shop: always the same for
// one version, so a restart does not throw the dice again.
func (p Policy) spread(version, shop string) time.Duration {
	if p.Jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(version + "\x00" + shop))
	return time.Duration(h.Sum64() % uint64(p.Jitter))
}

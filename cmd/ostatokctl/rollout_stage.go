package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"ostatok/agent/message"
)

// fate is what became of a release in a shop.
type fate string

// The fates. The last four are bad.
const (
	pending    fate = ""
	keeps      fate = "updated"
	rolledBack fate = "rolled back"
	refusing   fate = "refused"
	silent     fate = "silent"
	late       fate = "late"
)

// answers are the newest results of the orders of a rollout.
type answers struct {
	now func() time.Time

	mu     sync.Mutex
	orders map[string]*ordered // by store
}

// ordered is what is known of one order.
type ordered struct {
	id     string
	sent   time.Time
	heard  time.Time // the last result
	result message.Result
}

func newAnswers(now func() time.Time) *answers {
	return &answers{now: now, orders: make(map[string]*ordered)}
}

// expect notes an order before it is sent and returns its id.
func (l *answers) expect(store string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := rand.Text()
	l.orders[store] = &ordered{id: id, sent: l.now()}
	return id
}

func (l *answers) take(p publication) {
	r, ok := readAnswer(p)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.orders[r.Store]; o != nil && o.id == r.ID && (o.heard.IsZero() || !o.result.Status.Final()) {
		o.heard, o.result = l.now(), r.Result
	}
}

func (l *answers) of(store string) ordered {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.orders[store]
}

// runs tells whether a shop runs the version and has kept it.
func (r *rollout) runs(s shop) bool {
	return s.Status != nil && s.Status.Session >= s.session() && s.Status.Version == r.version &&
		standing(s).State != message.OnTrial
}

// judge says what became of the release in a shop, and why.
func (r *rollout) judge(store string, now time.Time) (fate, string) {
	o := r.heard.of(store)
	last := later(o.sent, o.heard)
	if j, ok := r.fleet.find(store); ok {
		last = later(last, j.heard)
		if r.runs(j.shop) {
			return keeps, ""
		}
		// What it said before the order is of another try.
		if is := standing(j.shop); j.heard.After(o.sent) && is.State == message.RolledBack && is.Version == r.version {
			return rolledBack, is.Text
		}
	}
	if e := o.result.Error; e != nil && e.Code == "rolled_back" {
		return rolledBack, e.Message
	} else if e != nil && o.result.Status.Final() {
		return refusing, e.Message + " (" + e.Code + ")"
	}
	if still := now.Sub(last); still > r.silence {
		return silent, fmt.Sprintf("nothing was heard for %s", still.Round(time.Second))
	}
	return pending, ""
}

// standing is where an update stands in a shop.
func standing(s shop) message.Release {
	if s.Status == nil {
		return message.Release{}
	}
	return message.ParseRelease(s.Status.Release)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// goThrough sends the order to the shops of a stage and waits for their fates,
// no longer than it takes to know that too many are bad.
func (a *app) goThrough(ctx context.Context, r *rollout, shops []string) (good, bad int, err error) {
	for _, store := range shops {
		if _, err := r.send(ctx, store); err != nil {
			return good, bad, err
		}
	}
	began := a.now()
	look := time.NewTicker(max(time.Millisecond, min(time.Second, r.silence/10)))
	defer look.Stop()
	fates := make(map[string]fate, len(shops))
	for {
		now := a.now()
		for _, store := range shops {
			if fates[store] != pending {
				continue
			}
			is, why := r.judge(store, now)
			if is == pending && now.Sub(began) > r.wait {
				is, why = late, "it has not switched in time; it may still do so"
			}
			if is == pending {
				continue
			}
			fates[store] = is
			if is == keeps {
				good++
			} else {
				bad++
			}
			line := store + "  " + string(is)
			if why != "" {
				line += "  " + why
			}
			if _, err := fmt.Fprintln(a.out, clean(line)); err != nil {
				return good, bad, err
			}
		}
		if good+bad == len(shops) || float64(bad) > r.most*float64(len(shops)) {
			return good, bad, nil
		}
		select {
		case <-look.C:
		case <-r.fleet.changed:
		case <-ctx.Done():
			a.say("interrupted: %d shops were told and go on by themselves", len(shops)-good-bad)
			return good, bad, ctx.Err()
		}
	}
}

package agent

import (
	"context"
	"slices"
	"time"
)

// How trading hours are learned from the shop's documents.
const (
	hoursLearned = 28 * 24 * time.Hour
	hoursRenewed = time.Hour
	busyShare    = 20 // an hour with a twentieth of the busiest one's documents is one of trade
	justNow      = 15 * time.Minute
)

// tradingHours is in which hours of the day the shop trades.
type tradingHours struct {
	busy  [24]bool
	at    time.Time // when it was learned
	place int64     // of the newest document that was looked at
	last  int64     // when the newest one was closed, epoch ms
}

// trading tells whether the shop trades now or is about to: the hour, or the one
// that begins within minutes, is one of trade in other weeks, or a document was
// closed just now. A shop that has told nothing yet is not known to trade.
func (a *Agent) trading(ctx context.Context) (bool, error) {
	u := a.updates
	now := a.now().In(a.location)
	u.mu.Lock()
	h := u.hours
	u.mu.Unlock()
	if age := now.Sub(h.at); h.at.IsZero() || age < 0 || age >= hoursRenewed {
		_, ahead := now.Zone()
		counts, err := a.mirror.Hours(ctx, now.Add(-hoursLearned).UnixMilli(), time.Duration(ahead)*time.Second)
		if err != nil {
			return false, err
		}
		most := slices.Max(counts[:])
		for i, n := range counts {
			h.busy[i] = n > 0 && n*busyShare >= most
		}
		h.at = now
	}
	last, place, err := a.mirror.LastClosed(ctx, h.place)
	if err != nil {
		return false, err
	}
	h.place = place
	for _, closed := range last {
		h.last = max(h.last, closed)
	}
	u.mu.Lock()
	u.hours = h
	u.mu.Unlock()
	since := now.Sub(time.UnixMilli(h.last))
	return h.busy[now.Hour()] || h.busy[now.Add(justNow).Hour()] || h.last > 0 && since >= -justNow && since < justNow, nil
}

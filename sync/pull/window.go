package pull

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ostatok/agent/mirror"
)

// The kinds of windows. A window is a period of documents that is read as one
// listing; its progress lies in the mirror next to its documents.
const (
	kindFirst    = "first"    // first synchronisation
	kindBackfill = "backfill" // an older month
	kindRescan   = "rescan"   // a terminal whose documents became visible later
	kindPoll     = ""         // not kept: what broke off is asked again from its start
)

const day = int64(24 * time.Hour / time.Millisecond)

// monthsBefore is the same day n months earlier, or that month's last day.
func monthsBefore(at int64, n int) int64 {
	t := time.UnixMilli(at).UTC()
	first := time.Date(t.Year(), t.Month()-time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1).UnixMilli() + int64(t.Sub(t.Truncate(24*time.Hour))/time.Millisecond)
}

// months cuts the last n months before now into windows of one month, newest
// first, for each of the devices; the newest has no end, so that no clock, ours
// or a terminal's, can push a document out of it.
func months(kind string, now int64, n int, devices []string) []mirror.Window {
	var windows []mirror.Window
	until := int64(0)
	for k := 1; k <= n; k++ {
		since := monthsBefore(now, k)
		for _, device := range devices {
			windows = append(windows, mirror.Window{Kind: kind, Device: device, Since: since, Until: until})
		}
		until = since
	}
	return windows
}

// years cuts the whole period from since on into windows of at most a year,
// newest first: one terminal's share is small, but a listing should not go on
// for ever either.
func years(kind, device string, since, now int64) []mirror.Window {
	var windows []mirror.Window
	until := int64(0)
	for at := now; at > since || until == 0; {
		at = max(since, monthsBefore(at, 12))
		windows = append(windows, mirror.Window{Kind: kind, Device: device, Since: at, Until: until})
		until = at
	}
	return windows
}

// halves cuts windows that have not been begun in two, because their neighbour
// turned out large (guide, step 3). The older half keeps the window's identity,
// which is its start.
func halves(windows []mirror.Window) []mirror.Window {
	var cut []mirror.Window
	for _, w := range windows {
		if w.Done || w.Cursor != "" || w.Until == 0 || w.Until-w.Since < 2*day {
			continue
		}
		middle := w.Since + (w.Until-w.Since)/2
		newer, older := w, w
		newer.Since, older.Until = middle, middle
		cut = append(cut, newer, older)
	}
	return cut
}

// windows returns those of one kind, newest first.
func (p *Puller) windows(ctx context.Context, kind string) ([]mirror.Window, error) {
	all, err := p.mirror.Windows(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read how far the pull has come: %w", err)
	}
	all = slices.DeleteFunc(all, func(w mirror.Window) bool { return w.Kind != kind })
	slices.SortFunc(all, func(a, b mirror.Window) int {
		return cmp.Or(cmp.Compare(b.Since, a.Since), cmp.Compare(a.Device, b.Device))
	})
	return all, nil
}

// putWindows makes planned windows durable before the first is asked.
func (p *Puller) putWindows(ctx context.Context, windows []mirror.Window) error {
	if len(windows) == 0 {
		return nil
	}
	if _, err := p.mirror.PutDocuments(ctx, mirror.Batch{Windows: windows, Defer: true}); err != nil {
		return fmt.Errorf("cannot note what is to be pulled: %w", err)
	}
	return nil
}

// dropWindows forgets the windows of one kind.
func (p *Puller) dropWindows(ctx context.Context, kind string) error {
	if err := p.mirror.DropWindows(ctx, kind); err != nil {
		return fmt.Errorf("cannot note what was pulled: %w", err)
	}
	return nil
}

// firstDay is when the store's history can begin: the day before the date that
// its id starts with (evotor-cloud §10), since that date is in nobody knows
// which time zone. ok is false for an id without a date.
func firstDay(store string) (at int64, ok bool) {
	const layout = "20060102"
	if len(store) <= len(layout) || store[len(layout)] != '-' {
		return 0, false
	}
	t, err := time.Parse(layout, store[:len(layout)])
	if err != nil || t.Year() < 2010 { // Evotor did not exist: it is no date
		return 0, false
	}
	return t.UnixMilli() - day, true
}

// label names a window for a person.
func label(w mirror.Window) string {
	const layout = "2006-01-02"
	text := time.UnixMilli(w.Since).UTC().Format(layout) + " –"
	if w.Until != 0 {
		text += " " + time.UnixMilli(w.Until).UTC().Format(layout)
	}
	if w.Device != "" {
		text += " (" + w.Device + ")"
	}
	return text
}

package pull

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ostatok/agent/mirror"
)

// gapless checks that windows, newest first, follow each other without a gap or
// an overlap, the newest being open-ended.
func gapless(t *rapid.T, windows []mirror.Window, from int64) {
	until := int64(0)
	for _, w := range windows {
		if w.Until != until || (until != 0 && w.Since >= until) {
			t.Fatalf("window %s does not end where the newer one begins (%v)", label(w), time.UnixMilli(until).UTC())
		}
		until = w.Since
	}
	if until != from {
		t.Fatalf("history begins at %v, want %v", time.UnixMilli(until).UTC(), time.UnixMilli(from).UTC())
	}
}

func TestWindowsHaveNoGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(1_500_000_000_000, 2_500_000_000_000).Draw(t, "now")
		n := rapid.IntRange(1, 60).Draw(t, "months")
		windows := months(kindFirst, now, n, []string{""})
		gapless(t, windows, monthsBefore(now, n))

		// Halving any tail of them keeps the picture whole.
		from := rapid.IntRange(0, n).Draw(t, "from")
		cut := halves(windows[from:])
		merged := append([]mirror.Window{}, windows[:from]...)
		for _, w := range windows[from:] {
			if w.Until == 0 {
				merged = append(merged, w)
			}
		}
		gapless(t, append(merged, cut...), monthsBefore(now, n))

		since := rapid.Int64Range(now-10*366*day, now).Draw(t, "since")
		gapless(t, years(kindRescan, "", since, now), since)
	})
}

func TestMonthsBefore(t *testing.T) {
	for _, c := range []struct {
		at   string
		n    int
		want string
	}{
		{"2026-11-21T12:34:56.789Z", 6, "2026-05-21T12:34:56.789Z"},
		{"2026-08-31T10:00:00Z", 6, "2026-02-28T10:00:00Z"},
		{"2024-03-31T10:00:00Z", 1, "2024-02-29T10:00:00Z"},
		{"2026-01-15T00:00:00Z", 1, "2025-12-15T00:00:00Z"},
		{"2026-01-15T00:00:00Z", 13, "2024-12-15T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.UnixMilli(monthsBefore(at.UnixMilli(), c.n)).UTC().Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%d months before %s is %s, want %s", c.n, c.at, got, c.want)
		}
	}
}

func TestFirstDay(t *testing.T) {
	for id, want := range map[string]string{
		"20210310-D58C-40E0-8051-B53ADFF38860": "2021-03-09",
		"20211399-D58C-40E0-8051-B53ADFF38860": "",
		"00000000-0000-0000-0000-000000000000": "",
		"shop":                                 "",
		"2021031":                              "",
		"":                                     "",
	} {
		at, ok := firstDay(id)
		got := ""
		if ok {
			got = time.UnixMilli(at).UTC().Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

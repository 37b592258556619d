package agent

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A shop's night has a set time, whatever the hour is called.
func TestDaily(t *testing.T) {
	zone := time.FixedZone("shop", 3*3600)
	d, err := parseDaily("03:30", zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ now, last, next string }{
		{"2026-11-21T00:29:59Z", "2026-11-20T03:30:00+03:00", "2026-11-21T03:30:00+03:00"},
		{"2026-11-21T00:30:00Z", "2026-11-21T03:30:00+03:00", "2026-11-22T03:30:00+03:00"},
		{"2026-12-31T23:00:00Z", "2026-12-31T03:30:00+03:00", "2027-01-01T03:30:00+03:00"},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		if last, next := d.last(now).Format(time.RFC3339), d.next(now).Format(time.RFC3339); last != test.last || next != test.next {
			t.Errorf("%s: %s and %s, want %s and %s", test.now, last, next, test.last, test.next)
		}
	}
	if _, err := parseDaily("3:30 am", zone); err == nil {
		t.Error("not a time of day")
	}
}

// Every moment lies between two set times, a day apart.
func TestDailyAtAnyMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("shop", 3600*rapid.IntRange(-12, 14).Draw(t, "zone"))
		d := daily{rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"), zone}
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		last, next := d.last(now), d.next(now)
		if last.After(now) || !next.After(now) || next.Sub(last) != 24*time.Hour {
			t.Fatalf("%s: %s and %s", now, last, next)
		}
	})
}

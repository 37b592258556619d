package clock_test

import (
	"testing"
	"time"

	"ostatok/platform/clock"
)

func TestTrusted(t *testing.T) {
	build := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name      string
		now, seen time.Time
		trusted   bool
	}{
		{"after the build", build.AddDate(0, 0, 1), time.Time{}, true},
		{"years later", build.AddDate(10, 0, 0), time.Time{}, true},
		{"1970", time.Unix(0, 0), time.Time{}, false},
		{"2100", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}, false},
		{"a minute before a time seen", build.AddDate(1, 0, 0), build.AddDate(1, 0, 0).Add(time.Minute), true},
		{"a day before a time seen", build.AddDate(1, 0, 0), build.AddDate(1, 0, 1), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := clock.Trusted(test.now, build, test.seen); (err == nil) != test.trusted {
				t.Errorf("Trusted = %v, want trusted %t", err, test.trusted)
			}
		})
	}
	if err := clock.Trusted(time.Unix(0, 0), time.Time{}, time.Time{}); err != nil {
		t.Errorf("with nothing to judge by: %v", err)
	}
}

func TestCompare(t *testing.T) {
	server := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		time.Minute:      "",
		-4 * time.Minute: "",
		-50 * time.Hour:  "the clock says 2026-11-19T10:00:00Z, which is 2 days behind the cloud's clock",
		2 * time.Hour:    "the clock says 2026-11-21T14:00:00Z, which is 2h0m0s ahead of the cloud's clock",
		-2 * time.Hour:   "the clock says 2026-11-21T10:00:00Z, which is 2h0m0s behind the cloud's clock",
	} {
		got := ""
		if err := clock.Compare(server.Add(d), server); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

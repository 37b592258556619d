package update_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ostatok/platform/update"
)

func TestDecide(t *testing.T) {
	at := func(clock string) time.Time {
		when, err := time.Parse(time.TimeOnly, clock)
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, 11, 22, when.Hour(), when.Minute(), when.Second(), 0, time.UTC)
	}
	night := []update.Window{{From: 23 * time.Hour, To: 5 * time.Hour}}
	lunch := []update.Window{{From: 13 * time.Hour, To: 14 * time.Hour}}
	for _, test := range []struct {
		name   string
		policy update.Policy
		moment update.Moment
		reason string // "" it happens
	}{
		{"nothing against it", update.Policy{}, update.Moment{Now: at("12:00:00"), Trusted: true}, ""},
		{"trading", update.Policy{}, update.Moment{Now: at("12:00:00"), Trusted: true, Trading: true}, "trading"},
		{"trading, but told to", update.Policy{Windows: night}, update.Moment{Now: at("12:00:00"), Trading: true, Asked: true}, ""},
		{"in the night's window", update.Policy{Windows: night}, update.Moment{Now: at("04:59:59"), Trusted: true}, ""},
		{"before midnight", update.Policy{Windows: night}, update.Moment{Now: at("23:00:00"), Trusted: true}, ""},
		{"after the window", update.Policy{Windows: night}, update.Moment{Now: at("05:00:00"), Trusted: true}, "outside"},
		{"in one of two", update.Policy{Windows: append(night, lunch...)}, update.Moment{Now: at("13:30:00"), Trusted: true}, ""},
		{"clock not trusted", update.Policy{Windows: night}, update.Moment{Now: at("01:00:00")}, "clock"},
		{"clock not trusted, told to", update.Policy{Windows: night}, update.Moment{Now: at("12:00:00"), Asked: true}, ""},
		{"pinned elsewhere", update.Policy{Pin: "1.0.0"}, update.Moment{Now: at("12:00:00"), Trusted: true, Asked: true}, "pinned to version 1.0.0"},
		{"pinned here", update.Policy{Pin: "1.1.0"}, update.Moment{Now: at("12:00:00"), Trusted: true}, ""},
		{"not now", update.Policy{}, update.Moment{Now: at("12:00:00"), Trusted: true, Asked: true, Held: "a count is open"}, "a count is open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, reason := test.policy.Decide("1.1.0", test.moment)
			if now != (test.reason == "") || !strings.Contains(reason, test.reason) {
				t.Errorf("Decide = %t, %q; want %q", now, reason, test.reason)
			}
		})
	}
}

// The shops of a chain are spread over the jitter, each always at its own time.
func TestDecideSpreads(t *testing.T) {
	staged := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	p := update.Policy{Jitter: time.Hour}
	early := 0
	for i := range 1000 {
		m := update.Moment{Now: staged.Add(30 * time.Minute), Staged: staged, Trusted: true, Shop: fmt.Sprint(i)}
		first, reason := p.Decide("1.1.0", m)
		if again, _ := p.Decide("1.1.0", m); again != first {
			t.Fatal("a shop's turn changed")
		}
		if first {
			early++
		} else if !strings.Contains(reason, "turn comes in") {
			t.Fatalf("shop %d waits: %q", i, reason)
		}
		m.Now = staged.Add(time.Hour)
		if now, _ := p.Decide("1.1.0", m); !now {
			t.Fatalf("shop %d still waits after the jitter", i)
		}
	}
	if early < 400 || early > 600 {
		t.Errorf("%d of 1000 shops in the first half", early)
	}
}

package zelenka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

func moscow() *time.Location { return time.FixedZone("MSK", 3*60*60) }

// fulls is when full lists came in, in local time.
func (b *bench) fulls(zone *time.Location) (at []string) {
	for _, r := range b.sim.Requests() {
		if r.Full {
			at = append(at, r.At.In(zone).Format("2 15:04"))
		}
	}
	return at
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

// loop runs the agent's loop for a while; the clock starts at 2000-01-01 00:00 UTC.
func (b *bench) loop(f *zelenka.FullRun, d time.Duration) (attempts int, last error) {
	b.t.Helper()
	ctx, cancel := withTimeout(b.t, d)
	defer cancel()
	err := f.Loop(ctx, func(_ zelenka.Report, err error) {
		attempts++
		last = err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		b.t.Errorf("the loop ended with %v", err)
	}
	return attempts, last
}

// At the set time by the shop's clock, every day.
func TestDayLocalTime(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(func(o *zelenka.FullOptions) { o.Location = moscow() })
		if n, err := b.loop(f, 72*time.Hour); n != 3 || err != nil {
			t.Errorf("%d attempts: %v", n, err)
		}
		same(t, b.fulls(moscow()), "1 03:30", "2 03:30", "3 03:30")
	})
}

// The first run of a new agent is at the next set time, not in the middle of the
// day.
func TestDayFirstRun(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		time.Sleep(12 * time.Hour)
		b.state = new(state)
		b.shop, b.resent = &shop{rows: rows(20)}, new(resent)
		o := zelenka.FullOptions{TargetOptions: zelenka.TargetOptions{Warehouse: warehouse}, Store: b.state, Source: b.shop,
			Resend: b.resent.take, Trusted: func() bool { return true }, At: "03:30", Location: time.UTC}
		f, err := b.client.FullRun(o)
		if err != nil {
			t.Fatal(err)
		}
		b.loop(f, 24*time.Hour)
		same(t, b.fulls(time.UTC), "2 03:30")
		if b.state.saves[0].Phase != zelenka.Waiting {
			t.Errorf("%+v", b.state.saves[0])
		}
	})
}

// Once a day also when the agent is started again and again.
func TestDayRestarts(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		for range 48 {
			b.loop(b.full(nil), time.Hour)
		}
		same(t, b.fulls(time.UTC), "1 03:30", "2 03:30")
	})
}

// An agent that was off at the set time makes up for it when it is back, also
// after midnight, and the newest day only.
func TestDayMissed(t *testing.T) {
	for name, c := range map[string]struct {
		at   string
		off  time.Duration
		want []string
	}{
		"for some hours":  {"03:30", 9 * time.Hour, []string{"1 09:00", "2 03:30"}},
		"past midnight":   {"23:30", 24*time.Hour + 10*time.Minute, []string{"2 00:10", "2 23:30"}},
		"for three weeks": {"03:30", 21*24*time.Hour + 5*time.Hour, []string{"22 05:00", "23 03:30"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				f := b.full(func(o *zelenka.FullOptions) { o.At = c.at })
				if c.at == "23:30" {
					b.state.run.Day = "1999-12-31" // of the evening before
				}
				time.Sleep(c.off)
				b.loop(f, 24*time.Hour)
				same(t, b.fulls(time.UTC), c.want...)
			})
		})
	}
}

// An internet outage at the set time: tried until it is over, then once.
func TestDayOutage(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.sim.Fail("", zelenkatest.Dropped, 0, -1)
		attempts, err := b.loop(f, 9*time.Hour)
		if err == nil || attempts < 5 || attempts > 20 {
			t.Errorf("%d attempts in six hours: %v", attempts, err)
		}
		b.sim.ClearFaults()
		b.loop(f, 14*time.Hour)
		if got := b.fulls(time.UTC); len(got) != 1 || got[0] > "1 11:00" {
			t.Error(got)
		}
		b.holds(b.shop.rows...)
	})
}

// Nothing that depends on the day happens while the clock is not trusted, and it
// is made up for when it is.
func TestDayClockNotTrusted(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		trusted := false
		f := b.full(func(o *zelenka.FullOptions) { o.Trusted = func() bool { return trusted } })
		if n, _ := b.loop(f, 36*time.Hour); n != 0 || len(b.state.saves) != 0 || len(b.sim.Requests()) != 0 {
			t.Errorf("%d attempts, %d states, %d requests", n, len(b.state.saves), len(b.sim.Requests()))
		}
		if _, err := f.Next(t.Context()); !errors.Is(err, zelenka.ErrClock) {
			t.Error(err)
		}
		if _, err := f.Run(t.Context()); !errors.Is(err, zelenka.ErrClock) {
			t.Error(err)
		}
		trusted = true
		b.loop(f, time.Hour)
		same(t, b.fulls(time.UTC), "2 12:00")
	})
}

// A clock that was wrong for a while and believed: a day kept far in the future
// holds nothing back, nor does a next try; one that is set back makes no second run.
func TestDayClockWasWrong(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.state.run = zelenka.Run{Phase: zelenka.Done, Day: "2063-04-05", InStock: 20}
		b.loop(f, 24*time.Hour)
		same(t, b.fulls(time.UTC), "1 03:30")
		b.state.run.Day = "2000-01-02" // kept by a clock that was a day ahead
		b.loop(f, 24*time.Hour)
		same(t, b.fulls(time.UTC), "1 03:30")
		b.loop(f, 24*time.Hour)
		same(t, b.fulls(time.UTC), "1 03:30", "3 03:30")
	})
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.state.run = zelenka.Run{Phase: zelenka.Sending, Day: "1999-12-31", NextTry: time.Now().AddDate(1, 0, 0).UnixMilli()}
		b.loop(f, time.Minute)
		same(t, b.fulls(time.UTC), "1 00:00")
	})
}

// Changing the set time after today's run does not make a second one.
func TestDaySetTimeChanged(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.loop(b.full(nil), 4*time.Hour)
		b.loop(b.full(func(o *zelenka.FullOptions) { o.At = "05:00" }), 24*time.Hour)
		same(t, b.fulls(time.UTC), "1 03:30")
		b.loop(b.full(func(o *zelenka.FullOptions) { o.At = "05:00" }), 24*time.Hour)
		same(t, b.fulls(time.UTC), "1 03:30", "2 05:00")
	})
}

// A night in which the set time does not exist, and one in which it comes twice.
func TestDaySummerTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this machine has no time zones")
	}
	for name, start := range map[string]time.Time{
		"forward": time.Date(2000, 3, 25, 12, 0, 0, 0, zone),
		"back":    time.Date(2000, 10, 28, 12, 0, 0, 0, zone),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				time.Sleep(time.Until(start))
				f := b.full(func(o *zelenka.FullOptions) { o.At, o.Location = "02:30", zone })
				b.state.run.Day = start.Format(time.DateOnly)
				b.loop(f, 36*time.Hour)
				if got := b.fulls(zone); len(got) != 1 {
					t.Error(got)
				}
			})
		})
	}
}

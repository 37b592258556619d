package pull_test

import (
	"context"
	"database/sql"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/sync/pull"
)

// start runs the puller until the returned function is called.
func start(t *testing.T, g *rig) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestRun(t *testing.T) {
	bubble(t, "polls, and reads one older month a poll until nothing is open", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2)
		d.add(
			receipt{closed: ago(2), kind: "INVENTORY", complete: "false", lines: "p000 9"},
			receipt{closed: ago(400), kind: "INVENTORY", complete: "false", lines: "p001 7"},
		)
		g := bring(t, d, nil)
		stop := start(t, g)
		time.Sleep(30 * time.Second)
		one := g.Status().Coverage.From
		time.Sleep(time.Minute)
		if two := g.Status().Coverage.From; two >= one || one-two > (32*24*time.Hour).Milliseconds() {
			t.Errorf("one poll went back from %v to %v", time.UnixMilli(one).UTC(), time.UnixMilli(two).UTC())
		}
		time.Sleep(20 * time.Minute)
		g.stands("p001", 7000)
		settledAt := g.Status().Coverage.From
		time.Sleep(time.Hour)
		if g.Status().Coverage.From != settledAt {
			t.Error("older months were asked though nothing is open")
		}
		stop()
	})
	bubble(t, "Kick polls at once", func(t *testing.T) {
		d, g := settled(t, nil)
		stop := start(t, g)
		synctest.Wait()
		d.add(receipt{closed: g.now(), lines: "p000 2 9"})
		at := time.Now()
		g.Kick()
		synctest.Wait()
		g.stands("p000", 7000)
		if waited := time.Since(at); waited > 10*time.Second {
			t.Errorf("took %v", waited)
		}
		stop()
	})
	bubble(t, "a refusal is looked at rarely, and its end is seen", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.fault = answer(http.StatusPaymentRequired, "application/json", "{}") })
		stop := start(t, g)
		time.Sleep(3 * time.Hour)
		if n := len(d.requests("/stores")); n < 5 || n > 15 {
			t.Errorf("%d cycles in three hours", n)
		}
		if g.told(pull.NotInstalled) != 1 {
			t.Errorf("told %d times", g.told(pull.NotInstalled))
		}
		d.set(func() { d.fault = nil })
		time.Sleep(31 * time.Minute)
		if s := g.Status(); !s.Complete {
			t.Errorf("%+v", s.Problems)
		}
		stop()
	})
	bubble(t, "trouble backs off and ends with the trouble", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.fault = answer(http.StatusInternalServerError, "application/json", "{}") })
		stop := start(t, g)
		time.Sleep(6 * time.Hour)
		if n := len(d.requests("/stores")); n > 40 {
			t.Errorf("%d cycles in six hours", n)
		}
		d.set(func() { d.fault = nil })
		time.Sleep(16 * time.Minute)
		if s := g.Status(); !s.Complete || s.Lag > 16*time.Minute {
			t.Errorf("%+v", s)
		}
		stop()
	})
	bubble(t, "a card that cannot be written costs no downloads, and is found mended at once", func(t *testing.T) {
		d, g := settled(t, nil)
		card := func(statements ...string) {
			t.Helper()
			err := g.mirror.DB().Write(context.Background(), func(tx *sql.Tx) error {
				for _, s := range statements {
					if _, err := tx.Exec(s); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		const refused = " BEGIN SELECT raise(ABORT, 'the card'); END"
		card("CREATE TRIGGER a BEFORE INSERT ON document"+refused, "CREATE TRIGGER b BEFORE INSERT ON meta"+refused)
		d.add(receipt{closed: g.now(), lines: "p000 2 9"})
		stop := start(t, g)
		time.Sleep(6 * time.Hour)
		if n := len(d.requests("/stores")); n != 1 {
			t.Errorf("%d cycles in vain", n)
		}
		if s := g.Status(); s.Complete {
			t.Errorf("%+v", s)
		}
		card("DROP TRIGGER a", "DROP TRIGGER b")
		time.Sleep(time.Minute)
		g.stands("p000", 7000)
		if s := g.Status(); !s.Complete {
			t.Errorf("%+v", s.Problems)
		}
		stop()
	})
	bubble(t, "the daily re-scan happens by itself", func(t *testing.T) {
		d, g := settled(t, nil)
		stop := start(t, g)
		d.add(receipt{closed: ago(20), kind: "PAYBACK", lines: "p001 2 9", number: 90})
		time.Sleep(25 * time.Hour)
		if n := g.counts().Documents; n != 11 {
			t.Errorf("%d documents", n)
		}
		stop()
	})
}

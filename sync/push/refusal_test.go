package push_test

import (
	"errors"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/rest"
)

func TestErrorsOfRowsAndCalls(t *testing.T) {
	for _, test := range []struct {
		name    string
		fault   func(m *pushtest.Memory)
		state   journal.RowState // of product-03
		others  journal.RowState
		blocked bool // the target as a whole
	}{
		{"a row is refused", func(m *pushtest.Memory) { m.Refuse("product-03", pushtest.Fault(rest.Invalid)) }, journal.Rejected, journal.Verified, false},
		{"a row is not there", func(m *pushtest.Memory) { m.Refuse("product-03", pushtest.Fault(rest.NotFound)) }, journal.Rejected, journal.Verified, false},
		{"a row is forbidden", func(m *pushtest.Memory) { m.Refuse("product-03", pushtest.Fault(rest.Forbidden)) }, journal.Rejected, journal.Verified, false},
		{"a row fails in plain words", func(m *pushtest.Memory) { m.Refuse("product-03", errors.New("Warehouse not found")) }, journal.Rejected, journal.Verified, false},
		{"a row fails for now", func(m *pushtest.Memory) { m.Refuse("product-03", pushtest.Fault(rest.Temporary)) }, journal.Sent, journal.Verified, false},
		{"a row says that it may be tried again", func(m *pushtest.Memory) { m.Refuse("product-03", again{}) }, journal.Sent, journal.Verified, false},
		{"all rows are forbidden", func(m *pushtest.Memory) {
			for _, key := range keys(20) {
				m.Refuse(key, pushtest.Fault(rest.Forbidden))
			}
		}, journal.Planned, journal.Planned, true},
		{"the token is refused", func(m *pushtest.Memory) { m.Down(pushtest.Fault(rest.Unauthorized)) }, journal.Planned, journal.Planned, true},
		{"not installed", func(m *pushtest.Memory) { m.Down(pushtest.Fault(rest.NotInstalled)) }, journal.Planned, journal.Planned, true},
		{"no connection", func(m *pushtest.Memory) { m.Down(errors.New("connection reset")) }, journal.Sent, journal.Sent, false},
		{"too many requests", func(m *pushtest.Memory) { m.Down(pushtest.Fault(rest.RateLimited)) }, journal.Planned, journal.Planned, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, m := shop(t, push.Auto, push.Options{})
			put(b, 8, 5000, stock.Known)
			b.Plan()
			test.fault(m)
			d := b.Deliver()
			if got := b.State("product-03"); got != test.state {
				t.Errorf("product-03 is %s, want %s: %+v", got, test.state, d)
			}
			if got := b.State("product-05"); got != test.others {
				t.Errorf("product-05 is %s, want %s: %+v", got, test.others, d)
			}
			status, err := b.Engine.Status(t.Context(), b.Setup.Name)
			if err != nil {
				t.Fatal(err)
			}
			if (status.Blocked != "") != test.blocked {
				t.Errorf("blocked: %q", status.Blocked)
			}
			// While it is paused nothing is tried; afterwards all arrives.
			calls, _ := m.Calls()
			b.Deliver()
			if now, _ := m.Calls(); now != calls && test.others != journal.Verified {
				t.Error("a target that failed was called again at once")
			}
			m.Down(nil)
			for _, key := range keys(20) {
				m.Refuse(key, nil)
			}
			if _, err := b.Engine.Retry(t.Context(), b.Setup.Name); err != nil {
				t.Fatal(err)
			}
			b.Settle()
			for _, key := range keys(8) {
				holds(t, m, key, 5000)
			}
			if status, err = b.Engine.Status(t.Context(), b.Setup.Name); err != nil || status.Blocked != "" || status.Verified != 8 {
				t.Errorf("in the end: %+v %v", status, err)
			}
		})
	}
}

type again struct{}

func (again) Error() string   { return "later" }
func (again) Retryable() bool { return true }

// A target that refuses us is told of once, and tried again without being asked.
func TestRefusingTargetRecovers(t *testing.T) {
	b, m := shop(t, push.Auto, push.Options{})
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Plan()
	m.Down(pushtest.Fault(rest.Unauthorized))
	for range 5 {
		b.Deliver()
		b.Clock.Advance(31 * time.Minute)
	}
	if calls, _ := m.Calls(); calls != 5 {
		t.Errorf("%d calls in five half-hours", calls)
	}
	m.Down(nil)
	b.Settle()
	holds(t, m, "product-00", 5000)
	kinds := events(t, b)
	if kinds["target_refuses"] != 1 || kinds["target_works"] != 1 {
		t.Errorf("events: %v", kinds)
	}
}

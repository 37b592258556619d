package agent_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ostatok/agent/config"
	"ostatok/sync/virtpos/virtpostest"
	"ostatok/sync/zelenka/zelenkatest"
)

// nightly sets a full run at half past three for a target.
func nightly(target int, more ...func(*config.Target)) func(*config.Config) {
	return func(c *config.Config) {
		c.Targets[target].Full = "03:30"
		for _, set := range more {
			set(&c.Targets[target])
		}
	}
}

func mass(t *config.Target) { t.FullZero = "mass" }

// fulls counts the whole lists that Zelenka has taken.
func (m *market) fulls() (n int) {
	for _, r := range m.zelenka.Requests() {
		if r.Full && r.Status == 200 {
			n++
		}
	}
	return n
}

// until lets the time pass to so many hours after the beginning, today at noon.
func (m *market) until(hours float64) {
	time.Sleep(today.Add(time.Duration(hours * float64(time.Hour))).Sub(m.desk.now()))
}

func (m *market) keepFull(name string) {
	m.run(func(ctx context.Context) error { return m.KeepFull(ctx, name) })
}

// The first night is 15.5 hours after the beginning.
const (
	night  = 15.5
	minute = 1.0 / 60
)

func TestFullListOfTheDay(t *testing.T) {
	play(t, nightly(1), func(t *testing.T, m *market) {
		m.sync()
		m.keepFull("market")
		for _, step := range []struct {
			at    float64
			fulls int
		}{{night - minute, 0}, {night + 3*minute, 1}, {night + 23, 1}, {night + 24 + 3*minute, 2}, {night + 48 - minute, 2}} {
			if m.until(step.at); m.fulls() != step.fulls {
				t.Errorf("%d lists %.2f hours after noon, want %d", m.fulls(), step.at, step.fulls)
			}
		}
		m.stop()
		if v := m.zelenka.Violations(); len(v) > 0 {
			t.Error(v)
		}
		if done := m.events("full_run_done"); len(done) != 2 || !strings.Contains(string(done[0].Data), `"rows":3`) {
			t.Errorf("%+v", done)
		}
	})
}

// A time that passed while the agent was not running is made up for, once.
func TestFullListAfterARestart(t *testing.T) {
	play(t, nightly(1), func(t *testing.T, m *market) {
		m.sync()
		m.keepFull("market")
		m.until(1)
		m.stop()
		m.close()
		m.until(night + 2)
		m.open()
		m.sync()
		m.keepFull("market")
		m.until(night + 2 + 3*minute)
		if m.fulls() != 1 {
			t.Errorf("%d lists after the start", m.fulls())
		}
		m.stop()
		m.close()
		m.open()
		m.sync()
		m.keepFull("market")
		m.until(night + 4)
		if m.fulls() != 1 {
			t.Errorf("%d lists after the second start", m.fulls())
		}
		m.stop()
	})
}

// An outage at that time delays the list. When it lasts, sending everything over
// and over is given up: the rows go out in ordinary batches.
func TestFullListAfterAnOutage(t *testing.T) {
	for _, outage := range []struct {
		hours float64
		fulls int
	}{{10 * minute, 1}, {3, 0}} {
		play(t, nightly(1), func(t *testing.T, m *market) {
			m.sync()
			m.keepFull("market")
			m.until(night - minute)
			m.zelenka.Set(341, "1", 99) // somebody else
			m.zelenka.Fail("", zelenkatest.Unavailable, 0, -1)
			m.until(night + outage.hours)
			m.zelenka.ClearFaults()
			m.until(night + 5)
			m.stop()
			m.sync()
			if m.fulls() != outage.fulls || m.stall("1") != "7" {
				t.Errorf("after %.1f hours: %d lists, milk %s", outage.hours, m.fulls(), m.stall("1"))
			}
			if told := m.events("full_run_stopped"); len(told) == 0 || len(told) > 3 {
				t.Errorf("people are told %d times: %+v", len(told), told)
			}
		})
	}
}

// Under a clock that is wrong nobody knows which night it is.
func TestNoFullListByAWrongClock(t *testing.T) {
	play(t, nightly(1), func(t *testing.T, m *market) {
		m.sync()
		m.setClock(20 * 365 * 24 * time.Hour)
		m.keepFull("market")
		m.until(night + 30)
		if m.fulls() != 0 {
			t.Errorf("%d lists in 2006", m.fulls())
		}
		m.setClock(0)
		m.until(night + 48 + 3*minute)
		if m.fulls() != 1 {
			t.Errorf("%d lists by the right clock", m.fulls())
		}
		m.stop()
	})
}

// A sale during the run is sent after it, and the plans know what the list said.
func TestSaleDuringTheFullList(t *testing.T) {
	play(t, nightly(1), func(t *testing.T, m *market) {
		m.sync()
		m.keepFull("market")
		m.until(night - minute)
		m.zelenka.Set(341, "1", 99) // somebody else
		m.desk.write(document{kind: "SELL", at: m.now().Add(90 * time.Second), lines: []string{line("milk", "1", "7")}})
		m.until(night + 10*minute)
		m.stop()
		m.sync()
		if got := m.stall("1"); got != "6" {
			t.Errorf("%s", got)
		}
	})
}

// Where nothing may be written there is no full run, and where every plan waits
// for a person it lists only what was approved.
func TestFullListByPolicy(t *testing.T) {
	off := func(t *config.Target) { t.Write = config.Off }
	play(t, nightly(1, off), func(t *testing.T, m *market) {
		if m.HasFull("market") {
			t.Error("a target that is off has full runs")
		}
	})
	ask := func(t *config.Target) { t.Write = config.Approve }
	play(t, nightly(1, ask), func(t *testing.T, m *market) {
		m.sync()
		m.keepFull("market")
		m.until(night + 1)
		if m.zelenka.Written() != 0 {
			t.Error("figures that nobody approved were sent")
		}
		m.stop()
		plans, err := m.Plans(t.Context(), "market", false)
		if err != nil || len(plans) != 1 {
			t.Fatal(len(plans), err)
		}
		if err := m.Approve(t.Context(), plans[0].ID, false); err != nil {
			t.Fatal(err)
		}
		m.sync()
		m.keepFull("market")
		m.until(night + 3)
		if m.fulls() != 1 || m.stall("1") != "7" {
			t.Errorf("%d lists, milk %s", m.fulls(), m.stall("1"))
		}
		m.stop()
	})
}

// What only VirtPOS has is zeroed; one by one that takes a second run.
func TestFullRunOfAWarehouse(t *testing.T) {
	for name, set := range map[string][]func(*config.Target){"single": nil, "mass": {mass}} {
		t.Run(name, func(t *testing.T) {
			play(t, nightly(0, set...), func(t *testing.T, m *market) {
				m.virtpos.AddItem(virtpostest.Item{ID: "900", External: "old", Name: "no longer sold"})
				m.virtpos.Put("3", virtpostest.Balance{Item: "900", Quantity: 5000})
				m.sync()
				m.keepFull("office")
				m.until(night - minute)
				m.virtpos.Set("3", "101", 99000) // somebody else
				m.until(night + 24 + 10*minute)
				m.stop()
				if q, _ := m.virtpos.Holds("3", "900"); q != 0 || m.office("1") != "7" || m.office("2") != "2.35" {
					t.Errorf("old %s, milk %s, cheese %s", q, m.office("1"), m.office("2"))
				}
				if done := m.events("full_run_done"); len(done) != 2 {
					t.Errorf("%+v, stopped: %+v", done, m.events("full_run_stopped"))
				}
			})
		})
	}
}

// A run that a restart cuts goes on with the version that it began with.
func TestFullRunOfAWarehouseIsGoneOnWith(t *testing.T) {
	for _, call := range []string{virtpostest.CallUpdate, virtpostest.CallZero} {
		play(t, nightly(0, mass), func(t *testing.T, m *market) {
			m.sync()
			m.keepFull("office")
			m.until(night - minute)
			m.virtpos.Fail(call, virtpostest.Broken, 0, -1)
			m.until(night + 3*minute)
			m.stop()
			m.close()
			m.virtpos.ClearFaults()
			m.open()
			m.sync()
			m.keepFull("office")
			m.until(night + 2)
			m.stop()
			if n := m.virtpos.Calls(virtpostest.CallVersion); n != 1 {
				t.Errorf("%s: the version was asked for %d times", call, n)
			}
			if got := strings.Join([]string{m.office("1"), m.office("2"), m.office("3")}, " "); got != "7 2.35 0" {
				t.Errorf("%s: %s", call, got)
			}
			if done := m.events("full_run_done"); len(done) != 1 {
				t.Errorf("%s: %+v", call, done)
			}
		})
	}
}

// A product that VirtPOS does not know keeps the run from zeroing, every night,
// and people are told.
func TestFullRunWithAnUnknownProduct(t *testing.T) {
	play(t, nightly(0, mass), func(t *testing.T, m *market) {
		m.desk.card(card{id: "new", code: "77", quantity: "0"})
		m.virtpos.AddItem(virtpostest.Item{ID: "900", External: "old", Name: "no longer sold"})
		m.virtpos.Put("3", virtpostest.Balance{Item: "900", Quantity: 5000})
		m.sync()
		m.keepFull("office")
		m.until(night + 5)
		m.stop()
		if q, _ := m.virtpos.Holds("3", "900"); q != 5000 || m.virtpos.Calls(virtpostest.CallZero) != 0 {
			t.Errorf("zeroed though the list was not whole: %s", q)
		}
		if told := m.events("full_run_stopped"); len(told) != 1 {
			t.Errorf("%+v", told)
		}
	})
}

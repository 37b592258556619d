package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/agent/stock"
)

func TestLifeOfAShop(t *testing.T) {
	brokers(t, func(t *testing.T, b real) {
		o := newOperator(t, b)
		dir, s := t.TempDir(), newShop(450)
		a := start(t, dir, s, options(b.url))

		first := o.awaitState(message.Ready)
		if status := last(o, &o.statuses); status.Session != first.Session || status.Products != 450 || status.Version != "1.2.3" || status.Store != storeID {
			t.Errorf("status %+v at %+v", status, first)
		}
		eventually(t, "every level is known to the operator", func() bool { return len(o.figures()) == 450 })

		// Changes, one that leaves the catalogue among them.
		s.set("p-00007", 1500)
		s.set("p-99999", -stock.Unit)
		s.remove("p-00008")
		a.Changed([]string{"p-00007", "p-99999", "p-00008"})
		eventually(t, "changed levels arrive", func() bool {
			f := o.figures()
			_, there := f["p-00008"]
			return f["p-00007"] == "1.5" && f["p-99999"] == "-1" && !there
		})

		// An event, and the answer to a command.
		if err := a.journal.AddEvent(context.Background(), journal.Event{ID: "e-1", Kind: "test", Severity: journal.Info, Message: "hello"}); err != nil {
			t.Fatal(err)
		}
		o.send(order(t, observer, "c-1", command.Ping), false)
		if r := o.awaitResult("c-1"); r.Status != message.Done || r.Error != nil {
			t.Errorf("ping: %+v", r)
		}
		eventually(t, "the event arrives", func() bool { return o.countEvents("test") == 1 })

		// To all shops of the tenant, with progress.
		s.do = func(_ context.Context, _ command.Claims, progress func(any)) (any, error) {
			progress(map[string]int{"percent": 50})
			time.Sleep(3 * time.Second)
			return "synced", nil
		}
		done(t, o.client.Publish(message.CommandToAll(tenant), 1, false,
			order(t, manager, "c-2", command.Sync, func(c *command.Claims) { c.Audience = []string{"all"} })))
		if r := o.awaitResult("c-2"); r.Status != message.Done || string(r.Result) != `"synced"` {
			t.Errorf("sync: %+v", r)
		}
		if !slices.ContainsFunc(all(o, &o.results), func(r message.Result) bool { return r.ID == "c-2" && string(r.Progress) == `{"percent":50}` }) {
			t.Error("a long command reported no progress")
		}

		// Everything again, in numbered parts.
		before := len(all(o, &o.stock))
		o.send(order(t, observer, "c-3", command.Rebirth), false)
		var parts []int
		seen := map[string]bool{}
		eventually(t, "the last part of a rebirth arrives", func() bool { return last(o, &o.stock).Last })
		for _, m := range all(o, &o.stock)[before:] {
			if m.Full {
				parts = append(parts, m.Part)
				for _, c := range m.Changes {
					seen[c.Product] = true
				}
			}
		}
		if !slices.Equal(parts, []int{1, 2, 3}) || len(seen) != 450 {
			t.Errorf("a rebirth came in parts %v with %d products", parts, len(seen))
		}

		// Stopped on purpose; changes while it is away are found at the next start.
		a.stop()
		if bye := o.awaitState(message.Disconnected); bye.Session != first.Session {
			t.Errorf("left as %+v", bye)
		}
		s.set("p-00011", 99*stock.Unit)
		o.send(order(t, manager, "c-4", command.Resync), false)
		o.send(order(t, manager, "c-5", command.Resync, func(c *command.Claims) { c.ExpiresAt = time.Now().Add(time.Second) }), false)
		time.Sleep(1100 * time.Millisecond)
		s.do = nil
		start(t, dir, s, options(b.url))
		if again := o.awaitState(message.Ready); again.Session <= first.Session {
			t.Errorf("session %d came after %d", again.Session, first.Session)
		}
		eventually(t, "what changed meanwhile arrives", func() bool { return o.figures()["p-00011"] == "99" })
		if r := o.awaitResult("c-4"); r.Status != message.Done {
			t.Errorf("a command sent meanwhile: %+v", r)
		}
		if r := o.awaitResult("c-5"); r.Status != message.Expired || slices.Contains(s.ran(), "c-5") {
			t.Errorf("a command that expired meanwhile: %+v", r)
		}
		if bad := all(o, &o.bad); len(bad) > 0 {
			t.Errorf("not understood: %v", bad)
		}
		for i, m := range all(o, &o.stock) {
			if i > 0 {
				p := all(o, &o.stock)[i-1]
				if m.Session < p.Session || (m.Session == p.Session && m.Seq <= p.Seq) {
					t.Errorf("stock message %d/%d came after %d/%d", m.Session, m.Seq, p.Session, p.Seq)
				}
			}
		}
	})
}

// The will of an earlier connection that comes late is put right, and a journal
// that was lost begins above what the broker remembers.
func TestOldStateDoesNotStay(t *testing.T) {
	brokers(t, func(t *testing.T, b real) {
		o := newOperator(t, b)
		topic := message.TopicsOf(tenant, storeID).State
		put := func(session int64) {
			text, err := json.Marshal(message.State{State: message.Lost, Session: session})
			if err != nil {
				t.Fatal(err)
			}
			done(t, o.client.Publish(topic, 1, true, text))
		}
		put(1000)
		start(t, t.TempDir(), newShop(1), options(b.url))
		var now message.State
		eventually(t, "the session is above what the broker remembers", func() bool {
			now = last(o, &o.states)
			return now.State == message.Ready && now.Session > 1000
		})
		put(now.Session - 1)
		eventually(t, "the late will is seen", func() bool {
			return slices.ContainsFunc(all(o, &o.states), func(s message.State) bool { return s.Session == now.Session-1 })
		})
		eventually(t, "the late will is put right", func() bool { return last(o, &o.states) == now || last(o, &o.states).Session == now.Session })
	})
}

func TestBrokerComesAndGoes(t *testing.T) {
	brokers(t, func(t *testing.T, b real) {
		o := newOperator(t, b)
		b.stop() // gone at the start
		s := newShop(3)
		a := start(t, t.TempDir(), s, options("tcp://127.0.0.1:1", b.url))
		ctx := context.Background()
		const events = 300
		for i := range events {
			if err := a.journal.AddEvent(ctx, journal.Event{ID: fmt.Sprintf("e-%03d", i), Kind: "test", Severity: journal.Info, Message: "m"}); err != nil {
				t.Fatal(err)
			}
			if i%100 == 50 { // flapping
				b.start()
				eventually(t, "the shop is connected", func() bool { return a.Link().Connected })
				b.stop()
			}
		}
		s.set("p-00001", 7*stock.Unit)
		a.Changed([]string{"p-00001"})
		b.start()
		eventually(t, "every event arrives", func() bool {
			ids := map[string]bool{}
			for _, e := range all(o, &o.events) {
				ids[e.ID] = true
			}
			return len(ids) == events && o.figures()["p-00001"] == "7"
		})
		// Repeats are allowed, gaps and disorder within the repeats are not.
		var highest int64
		for _, e := range all(o, &o.events) {
			if e.Seq > highest+1 {
				t.Fatalf("event %d came after %d", e.Seq, highest)
			}
			highest = max(highest, e.Seq)
		}
		if b, err := a.journal.EventBacklog(ctx); err != nil || b.DroppedInfo != 0 {
			t.Errorf("backlog %+v, %v", b, err)
		}
	})
}

func TestSetConfig(t *testing.T) {
	b := nats(t)
	o := newOperator(t, b)
	dir, s := t.TempDir(), newShop(1)
	a := start(t, dir, s, options(b.url))
	o.awaitState(message.Ready)
	set := func(id, args string) message.Result {
		t.Helper()
		o.send(order(t, manager, id, command.SetConfig, func(c *command.Claims) { c.Args = json.RawMessage(args) }), false)
		return o.awaitResult(id)
	}
	for i, args := range []string{
		`{"values":{"mqtt.urls":["tcp://evil"]},"for":"1h"}`, `{"values":{"mqtt.operators":[]},"for":"1h"}`,
		`{"values":{"evotor.token":"x"},"for":"1h"}`, `{"values":{"evotor.poll":"1s"},"for":"1h"}`,
		`{"values":{"evotor.poll":"30s"}}`, `{"values":{"evotor.poll":"30s"},"for":"9000h"}`,
		`{"values":{"evotor.poll":"30s","evotor.token":"x"},"for":"1h"}`, `{"values":{},"for":"1h"}`, `{"poll":1}`, `[]`, `"x"`,
	} {
		if r := set(fmt.Sprintf("bad-%d", i), args); r.Status != message.Failed || r.Error.Code != "arguments" {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if got := s.overrides(); len(got) != 0 {
		t.Fatalf("in force: %+v", got)
	}
	if r := set("good", `{"values":{"evotor.poll":"30s"},"for":"1h"}`); r.Status != message.Done {
		t.Fatalf("%+v", r)
	}
	eventually(t, "the override has proved itself", func() bool {
		list, err := a.journal.Overrides(context.Background())
		return err == nil && len(list) == 1 && list[0].Confirmed && string(list[0].Value) == `"30s"`
	})
	eventually(t, "the status names it", func() bool { return slices.Equal(last(o, &o.statuses).Override, []string{"evotor.poll"}) })
	a.stop()
	s.mu.Lock()
	s.applied = nil
	s.mu.Unlock()
	start(t, dir, s, options(b.url))
	eventually(t, "it is in force after a restart", func() bool { return len(s.overrides()) == 1 })
	if r := set("off", `{"values":{"evotor.poll":null}}`); r.Status != message.Done || len(s.overrides()) != 0 {
		t.Errorf("%+v, in force %+v", r, s.overrides())
	}
}

func TestResultsAndFailures(t *testing.T) {
	b := nats(t)
	o := newOperator(t, b)
	s := newShop(1)
	s.do = func(_ context.Context, c command.Claims, _ func(any)) (any, error) {
		switch c.ID {
		case "coded":
			return nil, &message.Error{Code: "not_found", Message: "no such plan"}
		case "plain":
			return nil, errors.New("it rains")
		case "panic":
			panic("boom")
		case "large":
			return make([]int, maxResult), nil
		case "bad":
			return func() {}, nil
		}
		return nil, nil
	}
	start(t, t.TempDir(), s, options(b.url))
	o.awaitState(message.Ready)
	for id, code := range map[string]string{"coded": "not_found", "plain": "failed", "panic": "panic", "large": "result_too_large", "bad": "failed"} {
		o.send(order(t, manager, id, command.Sync), false)
		if r := o.awaitResult(id); r.Status != message.Failed || r.Error.Code != code || r.Error.Message == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// scripted is a broker in memory whose faults a test chooses. It works on the fake
// clock, over net.Pipe.
type scripted struct {
	mu        sync.Mutex
	dials     int
	refuse    error         // of the network
	code      byte          // of CONNACK
	mute      bool          // takes everything and answers nothing, pings neither
	deaf      bool          // reads nothing any more
	delay     time.Duration // before each answer
	loseAfter int           // messages acknowledged before the connection breaks, the breaking one unanswered
	heard     []*packets.PublishPacket
	conn      net.Conn
	nextID    uint16
}

func (b *scripted) dial(context.Context, *url.URL) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials++
	if b.refuse != nil {
		return nil, b.refuse
	}
	here, there := net.Pipe()
	b.conn = there
	go b.serve(there)
	return &queued{here, make(chan struct{}, 1)}, nil
}

// queued lets writers wait for each other at a channel. net.Pipe has them wait at
// a mutex, at which the fake clock stands still: while one waits for a broker that
// is slow, the other would wait for ever.
type queued struct {
	net.Conn
	turn chan struct{}
}

func (q *queued) Write(p []byte) (int, error) {
	q.turn <- struct{}{}
	defer func() { <-q.turn }()
	return q.Conn.Write(p)
}

func (b *scripted) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	acknowledged := 0
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		b.mu.Lock()
		mute, deaf, delay, code, lose := b.mute, b.deaf, b.delay, b.code, b.loseAfter
		var answer packets.ControlPacket
		switch p := p.(type) {
		case *packets.ConnectPacket:
			a := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
			a.ReturnCode = code
			answer = a
		case *packets.SubscribePacket:
			a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			a.MessageID, a.ReturnCodes = p.MessageID, p.Qoss
			answer = a
		case *packets.PublishPacket:
			if lose > 0 && acknowledged >= lose {
				b.mu.Unlock()
				return
			}
			acknowledged++
			if !mute {
				b.heard = append(b.heard, p)
			}
			a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			a.MessageID = p.MessageID
			answer = a
		case *packets.PingreqPacket:
			answer = packets.NewControlPacket(packets.Pingresp)
		case *packets.DisconnectPacket:
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		if deaf {
			time.Sleep(time.Hour)
			return
		}
		if mute || answer == nil {
			continue
		}
		time.Sleep(delay)
		if answer.Write(c) != nil {
			return
		}
	}
}

// give sends a command to the shop that is connected.
func (b *scripted) give(t *testing.T, token []byte) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextID++
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = 1, b.nextID, message.TopicsOf(tenant, storeID).Command, token
	if err := p.Write(b.conn); err != nil {
		t.Fatal(err)
	}
}

func (b *scripted) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// on returns the payloads heard on a topic.
func (b *scripted) on(topic string) (list [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.heard {
		if p.TopicName == topic {
			list = append(list, p.Payload)
		}
	}
	return list
}

func (b *scripted) events(t *testing.T) (list []message.Event) {
	t.Helper()
	for _, p := range b.on(message.TopicsOf(tenant, storeID).Event) {
		var e message.Event
		if err := json.Unmarshal(p, &e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func (b *scripted) result(t *testing.T, id string) (last message.Result) {
	t.Helper()
	for _, p := range b.on(message.TopicsOf(tenant, storeID).Result) {
		var r message.Result
		if err := json.Unmarshal(p, &r); err != nil {
			t.Fatal(err)
		}
		if r.ID == id {
			last = r
		}
	}
	return last
}

func (b *scripted) ready(t *testing.T) bool {
	t.Helper()
	list := b.on(message.TopicsOf(tenant, storeID).State)
	if len(list) == 0 {
		return false
	}
	var s message.State
	if err := json.Unmarshal(list[len(list)-1], &s); err != nil {
		t.Fatal(err)
	}
	return s.State == message.Ready
}

// inBubble runs a test on the fake clock with an agent on a scripted broker, as
// which it begins.
func inBubble(t *testing.T, b *scripted, products int, test func(t *testing.T, b *scripted, a *agent)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := options("tcp://one", "tcp://two")
		o.Dial, o.Random = b.dial, func() float64 { return 0.5 }
		a := start(t, dir, newShop(products), o)
		test(t, b, a)
		a.stop()
		time.Sleep(2 * time.Hour) // what the broker still sleeps
	})
}

func addEvents(t *testing.T, a *agent, from, to int, severity string) {
	t.Helper()
	for i := from; i < to; i++ {
		err := a.journal.AddEvent(context.Background(), journal.Event{ID: fmt.Sprintf("%s-%05d", severity, i), Kind: "test", Severity: severity, Message: "m"})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWeekWithoutBroker(t *testing.T) {
	inBubble(t, &scripted{refuse: errors.New("no route")}, 300, func(t *testing.T, b *scripted, a *agent) {
		time.Sleep(time.Hour)
		goroutines := runtime.NumGoroutine()
		for day := range 7 {
			addEvents(t, a, day*40, day*40+40, journal.Info)
			for p := range 300 {
				a.shop.set(fmt.Sprintf("p-%05d", p), 1000*7)
				a.Changed([]string{fmt.Sprintf("p-%05d", p)})
			}
			a.Wake()
			time.Sleep(24 * time.Hour)
		}
		a.mu.Lock()
		kept := len(a.dirty)
		a.mu.Unlock()
		if kept != 0 || runtime.NumGoroutine() > goroutines+20 { // some of the runtime's come and go
			t.Errorf("after a week %d changes are held in memory, %d goroutines of %d", kept, runtime.NumGoroutine(), goroutines)
		}
		b.mu.Lock()
		dials := b.dials
		b.mu.Unlock()
		if most := int(7 * 24 * time.Hour / (mostWait / 2) * 11 / 10); dials > most || dials < most/4 {
			t.Errorf("%d attempts in a week", dials)
		}
		if session, err := a.journal.Meta(t.Context(), "remote.session"); err != nil || session != "" {
			t.Errorf("attempts that reached nobody were written down: session %q, %v", session, err)
		}
		b.set(func() { b.refuse = nil })
		time.Sleep(5 * time.Minute)
		if !b.ready(t) {
			t.Fatal("it did not come back")
		}
		got := b.events(t)
		if len(got) != 280 || !slices.IsSortedFunc(got, func(a, b message.Event) int { return int(a.Seq - b.Seq) }) {
			t.Errorf("%d of 280 events, or not in order", len(got))
		}
		products := 0
		for _, p := range b.on(message.TopicsOf(tenant, storeID).Stock) {
			var m message.Stock
			if err := json.Unmarshal(p, &m); err != nil {
				t.Fatal(err)
			}
			products += len(m.Changes)
		}
		if products != 300 {
			t.Errorf("%d changes of 300 products: each is to be told once, with its newest level", products)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if first := b.heard[1].TopicName; first != message.TopicsOf(tenant, storeID).Status {
			t.Errorf("after birth came %s", first)
		}
	})
}

// Each way in which a broker can be there and not be of use, and what is sent
// through it in the end.
func TestBadBrokers(t *testing.T) {
	for name, fault := range map[string]struct {
		spoil, mend func(b *scripted)
		lasts       time.Duration
	}{
		"half open":             {func(b *scripted) { b.mute = true }, func(b *scripted) { b.mute = false }, 10 * time.Minute},
		"takes nothing":         {func(b *scripted) { b.deaf = true }, func(b *scripted) { b.deaf = false }, 10 * time.Minute},
		"refuses the name":      {func(b *scripted) { b.code = 5; _ = b.conn.Close() }, func(b *scripted) { b.code = 0 }, time.Hour},
		"slow":                  {func(b *scripted) { b.delay = 5 * time.Second }, func(*scripted) {}, time.Minute},
		"slower than deadlines": {func(b *scripted) { b.delay = time.Minute }, func(b *scripted) { b.delay = 0 }, time.Hour},
		"breaks at every fifth": {func(b *scripted) { b.loseAfter = 5; _ = b.conn.Close() }, func(b *scripted) { b.loseAfter = 0 }, time.Hour},
		"flapping":              {func(b *scripted) { b.loseAfter = 30; _ = b.conn.Close() }, func(*scripted) {}, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, &scripted{}, 5, func(t *testing.T, b *scripted, a *agent) {
				time.Sleep(time.Minute)
				if !b.ready(t) {
					t.Fatal("not ready")
				}
				b.give(t, order(t, manager, "before", command.Sync))
				time.Sleep(time.Minute)
				b.set(func() { fault.spoil(b) })
				addEvents(t, a, 0, 100, journal.Info)
				a.shop.set("p-00003", 42*1000)
				a.Changed([]string{"p-00003"})
				time.Sleep(fault.lasts)
				b.set(func() { fault.mend(b) })
				time.Sleep(30 * time.Minute)
				if r := b.result(t, "before"); r.Status != message.Done {
					t.Errorf("command: %+v", r)
				}
				ids := map[string]bool{}
				var highest int64
				for _, e := range b.events(t) {
					ids[e.ID] = true
					if e.Seq > highest+1 {
						t.Errorf("event %d came after %d", e.Seq, highest)
					}
					highest = max(highest, e.Seq)
				}
				if len(ids) != 100 {
					t.Errorf("%d of 100 events arrived", len(ids))
				}
				stock := b.on(message.TopicsOf(tenant, storeID).Stock)
				if !slices.ContainsFunc(stock, func(p []byte) bool {
					var m message.Stock
					return json.Unmarshal(p, &m) == nil && slices.ContainsFunc(m.Changes, func(c message.Change) bool {
						return c.Product == "p-00003" && *c.Quantity == 42*1000
					})
				}) {
					t.Error("the changed level did not arrive")
				}
				if got := a.shop.ran(); !slices.Equal(got, []string{"before"}) {
					t.Errorf("ran %v", got)
				}
			})
		})
	}
}

// A broker that is gone without a word is found out within about a minute.
func TestHalfOpenIsFound(t *testing.T) {
	inBubble(t, &scripted{}, 1, func(t *testing.T, b *scripted, a *agent) {
		time.Sleep(10 * time.Minute)
		b.set(func() { b.mute = true })
		before := a.Link()
		time.Sleep(keepAlive + pingTimeout + 15*time.Second)
		if now := a.Link(); !before.Connected || now.Connected && now.Session == before.Session {
			t.Errorf("still on session %+v", now)
		}
	})
}

// Beyond the bound events go by severity, and what went is counted.
func TestEventsAreBounded(t *testing.T) {
	inBubble(t, &scripted{}, 1, func(t *testing.T, b *scripted, a *agent) {
		b.set(func() { b.refuse = errors.New("no route") })
		large, err := json.Marshal(strings.Repeat("x", journal.KeepEventBytes/100))
		if err != nil {
			t.Fatal(err)
		}
		const infos, severe = 150, 20
		for i := range severe + infos {
			e := journal.Event{Kind: "test", Severity: journal.Info, Message: "m", Data: large}
			if i < severe {
				e.Severity = journal.Error
			}
			if err := a.journal.AddEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.journal.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.set(func() { b.refuse = nil })
		time.Sleep(10 * time.Minute)
		errors := 0
		got := b.events(t)
		for _, e := range got {
			if e.Severity == journal.Error {
				errors++
			}
		}
		if errors != severe || len(got) > 100 || len(got) < 90 {
			t.Errorf("%d events arrived, %d of them errors", len(got), errors)
		}
		backlog, err := a.journal.EventBacklog(t.Context())
		if err != nil || backlog.DroppedInfo != int64(infos+severe-len(got)) || backlog.DroppedError != 0 || backlog.Waiting != 0 {
			t.Errorf("backlog %+v, %v after %d", backlog, err, len(got))
		}
	})
}

// An override with which the broker is not reached is taken back.
func TestOverrideFallsBack(t *testing.T) {
	inBubble(t, &scripted{}, 1, func(t *testing.T, b *scripted, a *agent) {
		time.Sleep(time.Minute)
		a.shop.mu.Lock()
		a.shop.statusOf = func() error { return nil }
		a.shop.mu.Unlock()
		b.give(t, order(t, manager, "set", command.SetConfig, func(c *command.Claims) {
			c.Args = json.RawMessage(`{"values":{"evotor.poll":"20s"},"for":"48h"}`)
		}))
		b.set(func() { b.mute = true; b.refuse = errors.New("no route") })
		time.Sleep(trialTime / 2)
		if got := a.shop.overrides(); len(got) != 1 {
			t.Fatalf("in force: %+v", got)
		}
		time.Sleep(trialTime)
		if got := a.shop.overrides(); len(got) != 0 {
			t.Errorf("still in force without the broker: %+v", got)
		}
		b.set(func() { b.mute = false; b.refuse = nil })
		time.Sleep(5 * time.Minute)
		if !slices.ContainsFunc(b.events(t), func(e message.Event) bool { return e.Kind == "override_fell_back" }) {
			t.Error("nobody was told")
		}
		// One that proves itself stays until its time.
		b.give(t, order(t, manager, "again", command.SetConfig, func(c *command.Claims) {
			c.Args = json.RawMessage(`{"values":{"evotor.poll":"20s"},"for":"48h"}`)
		}))
		time.Sleep(time.Minute)
		b.set(func() { b.refuse = errors.New("no route"); _ = b.conn.Close() })
		time.Sleep(47 * time.Hour)
		if got := a.shop.overrides(); len(got) != 1 {
			t.Errorf("a proved override was taken back: %+v", got)
		}
		time.Sleep(time.Hour)
		if got := a.shop.overrides(); len(got) != 0 {
			t.Errorf("an override outlived its time: %+v", got)
		}
	})
}

// An override that was set under a clock a year ahead ends when the clock is set
// right, and not a year later; under one that is not trusted nothing ends early.
func TestOverrideOfAClockAhead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &scripted{}
		o := options("tcp://one")
		o.Dial, o.Random = b.dial, func() float64 { return 0.5 }
		var hands clock
		var untrusted atomic.Bool
		o.Clock = func() command.Clock {
			c := hands.read()
			c.Trusted, c.Best = !untrusted.Load(), c.Now
			return c
		}
		a := start(t, dir, newShop(1), o)
		defer func() { a.stop(); time.Sleep(2 * time.Hour) }() // what the broker still sleeps
		time.Sleep(time.Minute)
		const ahead = 365 * 24 * time.Hour
		hands.ahead.Store(int64(ahead))
		b.give(t, order(t, manager, "set", command.SetConfig, func(c *command.Claims) {
			c.Args = json.RawMessage(`{"values":{"evotor.poll":"20s"},"for":"48h"}`)
			c.IssuedAt, c.ExpiresAt = c.IssuedAt.Add(ahead), c.ExpiresAt.Add(ahead)
		}))
		time.Sleep(time.Minute)
		hands.ahead.Store(0)
		untrusted.Store(true)
		time.Sleep(5 * time.Minute)
		if got := a.shop.overrides(); len(got) != 1 {
			t.Fatalf("while nobody knows the time: %+v", got)
		}
		untrusted.Store(false)
		time.Sleep(5 * time.Minute)
		if got := a.shop.overrides(); len(got) != 0 {
			t.Errorf("still in force: %+v", got)
		}
	})
}

// Reading commands do not wait for a long one, and a restart waits for nothing.
func TestLanes(t *testing.T) {
	inBubble(t, &scripted{}, 1, func(t *testing.T, b *scripted, a *agent) {
		time.Sleep(time.Minute)
		release := make(chan struct{})
		a.shop.mu.Lock()
		a.shop.do = func(ctx context.Context, c command.Claims, _ func(any)) (any, error) {
			if c.Cmd == command.Sync {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-release:
				}
			}
			return nil, nil
		}
		a.shop.mu.Unlock()
		b.give(t, order(t, manager, "long", command.Sync))
		b.give(t, order(t, manager, "behind", command.Resync))
		b.give(t, order(t, observer, "read", command.Plan))
		b.give(t, order(t, manager, "rescue", command.Restart))
		time.Sleep(time.Minute)
		for id, want := range map[string]message.Outcome{
			"long": message.Started, "behind": message.Received, "read": message.Done, "rescue": message.Done,
		} {
			if r := b.result(t, id); r.Status != want {
				t.Errorf("%s: %+v, want %s", id, r, want)
			}
		}
		time.Sleep(2 * time.Hour) // what waits behind the long one expires
		close(release)
		time.Sleep(time.Minute)
		if long, behind := b.result(t, "long"), b.result(t, "behind"); long.Status != message.Done || behind.Status != message.Expired {
			t.Errorf("long: %+v, behind it: %+v", long, behind)
		}
		if ran := a.shop.ran(); slices.Contains(ran, "behind") {
			t.Errorf("ran %v", ran)
		}
	})
}

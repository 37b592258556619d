package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/message"
)

const (
	tenant   = "fleet"
	patience = time.Minute // for an answer of the broker
)

// watcher is an operator who notes when each shop was ready in which session, and
// the results of commands.
type watcher struct {
	client  mqtt.Client
	changed chan struct{}
	results chan message.Result

	mu    sync.Mutex
	ready map[string]map[int64]time.Time // by store and session
}

func newWatcher(ctx context.Context, url string) (*watcher, error) {
	w := &watcher{changed: make(chan struct{}, 1), results: make(chan message.Result, 100), ready: make(map[string]map[int64]time.Time)}
	topics := message.TopicsOf(tenant, message.Any)
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID("watcher").SetMaxReconnectInterval(time.Second)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { w.take(m) })
	subscribed := make(chan error, 1)
	o.SetOnConnectHandler(func(c mqtt.Client) {
		err := settle(c.SubscribeMultiple(map[string]byte{topics.State: 0, topics.Result: 0}, nil))
		select {
		case subscribed <- err:
		default: // only the first start can fail
		}
	})
	w.client = mqtt.NewClient(o)
	if err := settle(w.client.Connect()); err != nil {
		return nil, err
	}
	select {
	case err := <-subscribed:
		return w, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func settle(t mqtt.Token) error {
	if !t.WaitTimeout(patience) {
		return fmt.Errorf("the broker does not answer within %v", patience)
	}
	return t.Error()
}

func (w *watcher) close() { w.client.Disconnect(100) }

func (w *watcher) take(m mqtt.Message) {
	_, store, rest, _ := message.Split(m.Topic())
	switch rest {
	case "command/result":
		var r message.Result
		if json.Unmarshal(m.Payload(), &r) == nil && r.Status.Final() {
			select {
			case w.results <- r:
			default: // nobody waits for so many
			}
		}
	case "state":
		var s message.State
		if json.Unmarshal(m.Payload(), &s) != nil || s.State != message.Ready {
			return
		}
		w.mu.Lock()
		if w.ready[store] == nil {
			w.ready[store] = make(map[int64]time.Time)
		}
		if w.ready[store][s.Session].IsZero() {
			w.ready[store][s.Session] = time.Now()
		}
		w.mu.Unlock()
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// times are the moments at which shops were ready first, in a session from least
// on, in order.
func (w *watcher) times(least int64) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Time
	for _, sessions := range w.ready {
		var first time.Time
		for n, at := range sessions {
			if n >= least && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		if !first.IsZero() {
			all = append(all, first)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// await returns when n shops are ready in a session from least on.
func (w *watcher) await(ctx context.Context, least int64, n int, when string) error {
	for {
		have := len(w.times(least))
		if have >= n {
			return nil
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d shops are ready %s", have, n, when)
		}
	}
}

// newest is the highest session that a shop was ready in.
func (w *watcher) newest() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var newest int64
	for _, sessions := range w.ready {
		for n := range sessions {
			newest = max(newest, n)
		}
	}
	return newest
}

// reached is when the n-th shop was ready.
func (w *watcher) reached(least int64, n int) time.Time { return w.times(least)[max(0, n-1)] }

// peak is the largest number of shops that were ready within one second.
func (w *watcher) peak(least int64) int {
	all, most := w.times(least), 0
	for i := range all {
		j := i
		for j < len(all) && all[j].Sub(all[i]) < time.Second {
			j++
		}
		most = max(most, j-i)
	}
	return most
}

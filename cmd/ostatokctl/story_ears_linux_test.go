package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/message"
)

// ears hear all that is said under a tenant.
type ears struct {
	t       *testing.T
	client  mqtt.Client
	changed chan struct{} // has a token after a message

	mu    sync.Mutex
	heard map[string]*heard // by store
}

// heard is what was said on the topics of one store, in order.
type heard struct {
	states   []message.State
	statuses []message.Status
	results  []message.Result
	commands int
}

func (w *world) ears() *ears {
	w.t.Helper()
	e := &ears{t: w.t, changed: make(chan struct{}, 1), heard: make(map[string]*heard)}
	e.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(w.url).SetUsername("operator").SetClientID("ears").SetAutoReconnect(false))
	settled(w.t, e.client.Connect())
	w.t.Cleanup(func() { e.client.Disconnect(100) })
	settled(w.t, e.client.Subscribe("ostatok/v1/"+tenant+"/#", 1, func(_ mqtt.Client, m mqtt.Message) { e.hear(m) }))
	return e
}

func (e *ears) hear(m mqtt.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, store, topic, _ := message.Split(m.Topic())
	h := e.of(store)
	var err error
	switch topic {
	case "state":
		err = note(&h.states, m.Payload())
	case "status":
		err = note(&h.statuses, m.Payload())
	case "command/result":
		err = note(&h.results, m.Payload())
	case "command":
		h.commands++
	}
	if err != nil {
		e.t.Errorf("%s: %v in %s", m.Topic(), err, m.Payload())
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func note[T any](list *[]T, payload []byte) error {
	var v T
	err := json.Unmarshal(payload, &v)
	*list = append(*list, v)
	return err
}

// of is what was heard of a store; mu is held.
func (e *ears) of(store string) *heard {
	if e.heard[store] == nil {
		e.heard[store] = &heard{}
	}
	return e.heard[store]
}

// await waits until what was heard of a store is as wanted.
func (e *ears) await(store, what string, wanted func(*heard) bool) {
	e.t.Helper()
	end := time.After(patient)
	for {
		e.mu.Lock()
		ok := wanted(e.of(store))
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-e.changed:
		case <-end:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.t.Fatalf("waited for %s of %s in vain, heard %s", what, store, e.of(store))
		}
	}
}

// awaitState waits until a shop's newest word of its connection is as wanted, and
// returns its session.
func (e *ears) awaitState(store string, phase message.Phase, after int64) (session int64) {
	e.t.Helper()
	e.await(store, fmt.Sprintf("%s in a session after %d", phase, after), func(h *heard) bool {
		if len(h.states) == 0 {
			return false
		}
		s := h.states[len(h.states)-1]
		session = s.Session
		return s.State == phase && s.Session > after
	})
	return session
}

// newest is the last word on a command so far, "sent" for none.
func (e *ears) newest(store, id string) message.Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range slices.Backward(e.of(store).results) {
		if r.ID == id {
			return r.Status
		}
	}
	return "sent"
}

// awaitResult waits for what becomes of a command.
func (e *ears) awaitResult(store, id string) (r message.Result) {
	e.t.Helper()
	e.await(store, "the result of "+id, func(h *heard) (ok bool) {
		r, ok = h.final(id)
		return ok
	})
	return r
}

// final is the first final word on a command.
func (h *heard) final(id string) (message.Result, bool) {
	i := slices.IndexFunc(h.results, func(r message.Result) bool { return r.ID == id && r.Status.Final() })
	if i < 0 {
		return message.Result{}, false
	}
	return h.results[i], true
}

func (h *heard) String() string {
	var b strings.Builder
	for _, s := range h.states {
		fmt.Fprintf(&b, "%s %d, ", s.State, s.Session)
	}
	fmt.Fprintf(&b, "%d statuses, %d commands", len(h.statuses), h.commands)
	for _, r := range h.results[max(0, len(h.results)-10):] {
		fmt.Fprintf(&b, ", %s %s %s", r.ID, r.Cmd, r.Status)
	}
	return b.String()
}

// say publishes a state under a shop's name, retained, as the broker speaks a will.
func (w *world) say(store string, s message.State) {
	w.t.Helper()
	payload, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(w.url).SetUsername(store).SetClientID("will").SetAutoReconnect(false))
	settled(w.t, client.Connect())
	defer client.Disconnect(100)
	settled(w.t, client.Publish(message.TopicsOf(tenant, store).State, 1, true, payload))
}

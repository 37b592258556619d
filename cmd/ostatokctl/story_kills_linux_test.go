package main

import (
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/message"
)

// rounds is how often the agent of a shop is killed, on each broker.
const rounds = 20

// door stands before a cloud and counts the looks at it, by the life of the agent
// that looks: each life has an address of its own. An agent looks once when it
// begins, and once more for each sync that it is told to do.
type door struct {
	w       *world
	url     string
	changed chan struct{}

	mu    sync.Mutex
	looks map[string]int // by life
}

func (w *world) door(cloud readyFile) *door {
	w.t.Helper()
	target, err := url.Parse(cloud.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &door{w: w, changed: make(chan struct{}, 1), looks: make(map[string]int)}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // the agent was killed
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		life, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if path == "stores" { // what each look begins with
			d.count(life)
		}
		http.StripPrefix("/"+life, proxy).ServeHTTP(rw, r)
	}))
	w.t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d *door) count(life string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks[life]++
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// address is where the agent looks in one of its lives.
func (d *door) address(life int) string { return fmt.Sprintf("%s/life%d", d.url, life) }

// await waits until an agent has looked at least so often in one life, and
// returns how often it has.
func (d *door) await(life, least int) int {
	d.w.t.Helper()
	end := time.After(patient)
	for {
		d.mu.Lock()
		n := d.looks[fmt.Sprintf("life%d", life)]
		d.mu.Unlock()
		if n >= least {
			return n
		}
		select {
		case <-d.changed:
		case <-end:
			d.w.t.Fatalf("the agent has looked at its cloud %d times in life %d, not %d", n, life, least)
		}
	}
}

// kills ends the agent with SIGKILL at any moment of a slow command's life. The
// exact moments are the business of agent/remote; here it is the real process.
func kills(w *world) {
	e := w.ears()
	cloud := w.sandbox("cloud", "--latency", "25ms")
	d := w.door(cloud)
	b := w.branch("shop", d.address(0), cloud)
	b.start()
	e.awaitState(b.store, message.Ready, 0)
	e.await(b.store, "a complete first sync", func(h *heard) bool {
		return len(h.statuses) > 0 && h.statuses[len(h.statuses)-1].Sync.Complete
	})
	// How long a command lives when nobody disturbs it.
	began := time.Now()
	e.awaitResult(b.store, w.order(e, b.store))
	life := time.Since(began)

	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	cuts := make(map[string]int)
	for n := range rounds {
		looked := d.await(n, 1)
		id := w.order(e, b.store)
		<-time.After(time.Duration(rng.Float64() * 2 * float64(life)))
		b.kill()
		heard := e.newest(b.store, id)
		b.configure(d.address(n + 1))
		b.start()
		r := e.awaitResult(b.store, id)
		cuts[fmt.Sprintf("%s → %s", heard, r.Status)]++
		ran := d.await(n, looked) - looked
		if r.Status == message.Done && ran == 0 { // begun after the restart
			ran = d.await(n+1, 2) - 1
		} else {
			ran += d.await(n+1, 1) - 1
		}
		switch {
		case r.Status == message.Done && ran == 1:
		case r.Status == message.Failed && r.Error != nil && r.Error.Code == "interrupted" && ran <= 1:
		default:
			w.t.Errorf("round %d, seed %d: the command was run %d times and is %+v", n, seed, ran, r)
		}
	}
	b.stop()
	w.t.Logf("a command lives %v; last heard before the kill → in the end: %v", life.Round(time.Millisecond), cuts)
	e.mu.Lock()
	defer e.mu.Unlock()
	w.judge(e.of(b.store))
}

// order sends a sync and returns its id.
func (w *world) order(e *ears, store string) (id string) {
	w.t.Helper()
	key, err := (&settings{OperatorKeyFile: w.key}).signer()
	if err != nil {
		w.t.Fatal(err)
	}
	id = crand.Text()
	token, err := command.Sign(key, command.Claims{ID: id, Issuer: "anna", Audience: []string{store}, Cmd: command.Sync,
		IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	settled(w.t, e.client.Publish(message.TopicsOf(tenant, store).Command, 1, false, token))
	return id
}

// judge looks at all that was said of the commands: the story of each goes ahead
// only, and has one end.
func (w *world) judge(h *heard) {
	w.t.Helper()
	order := map[message.Outcome]int{message.Received: 0, message.Started: 1, message.Done: 2, message.Failed: 2}
	last := make(map[string]message.Result)
	for _, r := range h.results {
		place, known := order[r.Status]
		before, heardOf := last[r.ID]
		if !known || heardOf && (place < order[before.Status] || before.Status.Final() && string(r.Result) != string(before.Result)) {
			w.t.Errorf("command %s is %s (%s) after it was %s (%s)", r.ID, r.Status, r.At, before.Status, before.At)
		}
		last[r.ID] = r
	}
	for id, r := range last {
		if !r.Status.Final() {
			w.t.Errorf("the last word on command %s is %s", id, r.Status)
		}
	}
}

package main

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ostatok/agent/message"
)

// What people run, as they run it: clouds, a broker, two shops' agents and the
// operator's tool, each a process of its own.
func TestStory(t *testing.T) {
	bin := binaries(t)
	for _, kind := range []string{"nats", "mosquitto"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			story(newWorld(t, bin, kind))
		})
		t.Run("kills "+kind, func(t *testing.T) {
			t.Parallel()
			kills(newWorld(t, bin, kind))
		})
	}
}

func story(w *world) {
	e := w.ears()
	north, south := w.sandbox("north cloud"), w.sandbox("south cloud", "--seed", "2")
	a, b := w.branch("north", north.URL, north), w.branch("south", south.URL, south)
	a.start()
	b.start()
	for _, store := range []string{a.store, b.store} {
		e.awaitState(store, message.Ready, 0)
		e.await(store, "a complete first sync", func(h *heard) bool {
			return len(h.statuses) > 0 && h.statuses[len(h.statuses)-1].Sync.Complete
		})
	}
	w.seen("both are ready", func(shops map[string]exported) bool {
		return len(shops) == 2 && shops[a.store].State == message.Ready && shops[b.store].State == message.Ready &&
			shops[a.store].Status.Sync.Complete && shops[b.store].Status.Sync.Complete
	})
	watch := w.startCtl("watch")

	over := w.setting(e, a)
	session := w.lost(e, b, watch)
	w.back(e, b)
	w.lateWill(e, b, session, watch)
	w.all(a, b)
	w.restart(e, a)
	w.plainTools(a, b)
	w.fallback(e, a, over)

	if err := watch.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
	if code := watch.end(); code != 0 {
		w.t.Errorf("watch ended with %d", code)
	}
	a.stop()
	b.stop()
	e.awaitState(a.store, message.Disconnected, 0)
	e.awaitState(b.store, message.Disconnected, 0)
}

// seen looks at the fleet, again and again, until it is as wanted.
func (w *world) seen(what string, wanted func(map[string]exported) bool) {
	w.t.Helper()
	out := ""
	for end := time.Now().Add(patient); time.Now().Before(end); {
		text, says, code := w.ctl("watch", "--once", "--format", "json")
		var list []exported
		if err := json.Unmarshal([]byte(text), &list); err != nil || code != 0 {
			w.t.Fatalf("watch: exit %d, %v: %s%s", code, err, text, says)
		}
		shops := make(map[string]exported)
		for _, s := range list {
			shops[s.Store] = s
		}
		if wanted(shops) {
			return
		}
		out = text
	}
	w.t.Fatalf("never seen that %s, but\n%s", what, out)
}

// send sends a command and returns what the only shop answered.
func (w *world) send(want int, args ...string) answer {
	w.t.Helper()
	return w.answered(w.startCtl(append([]string{"send", "--format", "json", "--wait", "80s"}, args...)...), want)
}

func (w *world) answered(p *program, want int) (r answer) {
	w.t.Helper()
	if code := p.end(); code != want {
		w.t.Fatalf("%s: exit %d, want %d: %s%s", p.cmd, code, want, p.out.String(), p.err.String())
	}
	if err := json.Unmarshal([]byte(p.out.String()), &r); err != nil {
		w.t.Fatalf("%s: %v in %s", p.cmd, err, p.out.String())
	}
	return r
}

// setting lays a setting over a shop's file and returns when it ends.
func (w *world) setting(e *ears, b *branch) (until time.Time) {
	w.t.Helper()
	before := e.awaitState(b.store, message.Ready, 0)
	r := w.send(0, b.store, "config.set", `values:={"evotor.poll":"20s"}`, "for=1m")
	var laid struct{ Overrides []struct{ Until time.Time } }
	if err := json.Unmarshal(r.Result.Result, &laid); err != nil || len(laid.Overrides) != 1 {
		w.t.Fatalf("%v: %s", err, r.Result.Result)
	}
	e.awaitState(b.store, message.Ready, before)
	if layer, value := w.poll(b); layer != "operator" || value != "20s" {
		w.t.Errorf("evotor.poll is %s by %s", value, layer)
	}
	return laid.Overrides[0].Until
}

// poll is how often a shop looks at its cloud, and who says so.
func (w *world) poll(b *branch) (layer, value string) {
	w.t.Helper()
	var settings []struct{ Key, Value, Layer string }
	r := w.send(0, b.store, "config.get")
	if err := json.Unmarshal(r.Result.Result, &settings); err != nil {
		w.t.Fatalf("%v in %s", err, r.Result.Result)
	}
	for _, s := range settings {
		if s.Key == "evotor.poll" {
			return s.Layer, s.Value
		}
	}
	return "", ""
}

// lost pulls a shop's plug.
func (w *world) lost(e *ears, b *branch, watch *program) (session int64) {
	w.t.Helper()
	watch.out.await(w.t, b.store+" ready")
	session = e.awaitState(b.store, message.Ready, 0)
	b.kill()
	e.awaitState(b.store, message.Lost, session-1)
	watch.out.await(w.t, b.store+" lost severe connection lost")
	w.seen("the shop is lost", func(shops map[string]exported) bool {
		return shops[b.store].State == message.Lost && shops[b.store].Session == session && shops[b.store].Trouble == "severe"
	})
	return session
}

// back sends two commands to a shop that is off, one of which cannot wait, and
// starts it.
func (w *world) back(e *ears, b *branch) {
	w.t.Helper()
	patiently := w.startCtl("send", "--format", "json", "--wait", "80s", b.store, "sync")
	hastily := w.startCtl("send", "--format", "json", "--wait", "80s", b.store, "resync", "--expires", "1s")
	e.await(b.store, "two commands", func(h *heard) bool { return h.commands == 2 })
	<-time.After(time.Second) // the command's life, and not a guess
	b.start()
	if r := w.answered(patiently, 0); r.Status != message.Done {
		w.t.Errorf("a command that waited at the broker: %+v", r)
	}
	r := w.answered(hastily, exitIncomplete)
	if r.Status != message.Expired || r.Error == nil || r.Error.Code != "expired" {
		w.t.Errorf("a command that expired at the broker: %+v", r)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.ContainsFunc(e.of(b.store).results, func(m message.Result) bool { return m.ID == r.ID && m.Status == message.Started }) {
		w.t.Error("an expired command was started")
	}
}

// lateWill lets the broker speak the will of a session that is over.
func (w *world) lateWill(e *ears, b *branch, session int64, watch *program) {
	w.t.Helper()
	now := e.awaitState(b.store, message.Ready, session)
	watch.out.await(w.t, b.store+" ready")
	told := strings.Count(watch.out.String(), b.store+" lost")
	w.say(b.store, message.State{State: message.Lost, Session: session, Version: "dev", At: time.Now().UTC()})
	e.await(b.store, "the shop's own word after the will", func(h *heard) bool {
		n := len(h.states)
		return n > 1 && h.states[n-1].State == message.Ready && h.states[n-2].State == message.Lost
	})
	w.seen("the shop is ready", func(shops map[string]exported) bool {
		s := shops[b.store]
		if s.State != message.Ready || s.Session != now {
			w.t.Errorf("after the late will of session %d: %s in session %d, not ready in %d", session, s.State, s.Session, now)
		}
		return true
	})
	if n := strings.Count(watch.out.String(), b.store+" lost"); n != told {
		w.t.Errorf("watch believes a late will:\n%s", watch.out.String())
	}
}

// all sends a command to the whole fleet.
func (w *world) all(shops ...*branch) {
	w.t.Helper()
	out, says, code := w.ctl("send", "--all", "sync", "--wait", "80s")
	if code != 0 || !strings.Contains(says, strconv.Itoa(len(shops))+" of 2 done") {
		w.t.Errorf("exit %d: %s%s", code, out, says)
	}
	for _, b := range shops {
		if strings.Count(out, b.store+"  done") != 1 {
			w.t.Errorf("%s is not done once:\n%s", b.store, out)
		}
	}
}

// restart has an operator end the agent; whoever started it starts it again.
func (w *world) restart(e *ears, b *branch) {
	w.t.Helper()
	before := e.awaitState(b.store, message.Ready, 0)
	if r := w.send(0, b.store, "restart"); r.Status != message.Done {
		w.t.Errorf("%+v", r)
	}
	if code := b.end(); code != 0 {
		w.t.Errorf("the agent ended with %d", code)
	}
	e.awaitState(b.store, message.Disconnected, before-1)
	b.start()
	e.awaitState(b.store, message.Ready, before)
}

// plainTools reads the shops with what comes with any broker.
func (w *world) plainTools(shops ...*branch) {
	w.t.Helper()
	program, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		w.t.Log("not read with mosquitto_sub, which is not installed; .ci/run installs it")
		return
	}
	broker, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	p := launch(w.t, w.home, program, "-h", broker.Hostname(), "-p", broker.Port(), "-u", "operator", "-q", "1",
		"-C", strconv.Itoa(len(shops)), "-W", "60", "-t", "ostatok/v1/"+tenant+"/+/status")
	if code := p.end(); code != 0 {
		w.t.Fatalf("mosquitto_sub: exit %d: %s", code, p.err.String())
	}
	told := make(map[string]message.Status)
	for line := range strings.Lines(p.out.String()) {
		var s message.Status
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			w.t.Fatalf("%v in %s", err, line)
		}
		told[s.Store] = s
	}
	for _, b := range shops {
		if s := told[b.store]; s.Schema != message.Schema || s.Products < 20 || s.Devices != 1 || len(s.Targets) != 1 {
			w.t.Errorf("%s says %+v", b.store, s)
		}
	}
}

// fallback waits until a setting from afar has ended, with the agent opened anew
// for it.
func (w *world) fallback(e *ears, b *branch, until time.Time) {
	w.t.Helper()
	var session int64
	e.await(b.store, "the end of the setting", func(h *heard) bool {
		s := h.statuses[len(h.statuses)-1]
		session = s.Session
		return len(s.Override) == 0 && !s.At.Before(until)
	})
	layer, value := "operator", ""
	for end := time.Now().Add(patient); layer == "operator" && time.Now().Before(end); {
		layer, value = w.poll(b)
	}
	if layer == "operator" || value != "1m" {
		w.t.Errorf("after session %d evotor.poll is %s by %s", session, value, layer)
	}
}

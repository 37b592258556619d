package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/command"
	"ostatok/agent/message"
	"ostatok/cmd/ostatok-sandbox/broker"
)

const tenant = "acme"

// desk is an operator's desk: a broker, a key, and a configuration that names
// both.
type desk struct {
	t      *testing.T
	broker *broker.Broker
	home   string
	public command.Key
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	b, err := broker.Start(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, broker: b, home: t.TempDir()}
	config := "urls = [\"" + b.URL() + "\"]\ntenant = \"" + tenant + "\"\noperator = \"anna\"\noperator_key_file = \"operator.pem\"\n"
	file := defaultFile(filepath.Join(d.home, ".config"))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := d.run("keygen", filepath.Join(filepath.Dir(file), "operator.pem"))
	if code != 0 {
		t.Fatalf("keygen: exit %d", code)
	}
	if d.public, err = command.ParseKey(strings.TrimSpace(out)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) app(out, err *text) *app {
	return &app{out: out, err: err, environ: []string{"HOME=" + d.home, "USER=anna"}, now: time.Now}
}

// run runs a command to its end.
func (d *desk) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, err text
	code = d.app(&out, &err).main(d.t.Context(), quick(args))
	return out.String(), err.String(), code
}

// quick takes the broker of this machine for silent sooner than one far away.
func quick(args []string) []string {
	if slices.Contains(args, "--settle") {
		return args
	}
	return append([]string{"--settle", "400ms"}, args...)
}

// start runs a command that has no end until stop is called.
func (d *desk) start(args ...string) (out *text, stop func() int) {
	d.t.Helper()
	out = &text{}
	var err text
	ctx, cancel := context.WithCancel(d.t.Context())
	code := make(chan int, 1)
	go func() { code <- d.app(out, &err).main(ctx, quick(args)) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	d.t.Cleanup(func() { stop() })
	return out, stop
}

// text is what a command prints, to be read while it runs.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// await returns when the text holds all of the words.
func (t *text) await(tb testing.TB, words ...string) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		missing := ""
		for _, w := range words {
			if !strings.Contains(t.String(), w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("%q was never printed, only:\n%s", missing, t)
		}
	}
}

// played is a shop as the broker sees one.
type played struct {
	t      *testing.T
	desk   *desk
	store  string
	topics message.Topics
	client mqtt.Client
	do     func(command.Claims) message.Result // nil: everything is done
}

func (d *desk) shop(store string, session int64, do func(command.Claims) message.Result) *played {
	d.t.Helper()
	p := &played{t: d.t, desk: d, store: store, topics: message.TopicsOf(tenant, store), do: do}
	will, err := json.Marshal(message.State{State: message.Lost, Session: session, Version: "1.0.0", At: time.Now().UTC()})
	if err != nil {
		d.t.Fatal(err)
	}
	o := mqtt.NewClientOptions().AddBroker(d.broker.URL()).SetClientID(store).SetCleanSession(false).SetAutoReconnect(false)
	o.SetBinaryWill(p.topics.State, will, 1, true)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { go p.obey(m.Payload()) })
	p.client = mqtt.NewClient(o)
	p.settle(p.client.Connect())
	d.t.Cleanup(func() { p.client.Disconnect(100) })
	p.settle(p.client.Subscribe(p.topics.Command, 1, nil))
	p.settle(p.client.Subscribe(message.CommandToAll(tenant), 1, nil))
	p.say(p.topics.State, true, message.State{State: message.Ready, Session: session, Version: "1.0.0", At: time.Now().UTC()})
	return p
}

func (p *played) settle(token mqtt.Token) {
	p.t.Helper()
	if !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		p.t.Fatalf("the broker does not answer: %v", token.Error())
	}
}

func (p *played) say(topic string, retained bool, v any) {
	p.t.Helper()
	payload, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	p.settle(p.client.Publish(topic, 1, retained, payload))
	if retained {
		p.kept(topic, payload)
	}
}

// kept returns when the broker tells a newcomer what it was told to keep: NATS
// acknowledges a little earlier, and what comes in between reaches nobody.
func (p *played) kept(topic string, payload []byte) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		heard := make(chan []byte, 10)
		o := mqtt.NewClientOptions().AddBroker(p.desk.broker.URL()).SetClientID(rand.Text())
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- m.Payload() })
		newcomer := mqtt.NewClient(o)
		p.settle(newcomer.Connect())
		p.settle(newcomer.Subscribe(topic, 0, nil))
		var got []byte
		select {
		case got = <-heard:
		case <-time.After(100 * time.Millisecond):
		}
		newcomer.Disconnect(0)
		if bytes.Equal(got, payload) {
			return
		}
	}
	p.t.Fatalf("the broker does not keep %s", topic)
}

// obey judges a command as an agent does and answers, each time twice: what must
// arrive is sent at least once.
func (p *played) obey(token []byte) {
	now := time.Now()
	claims, err := command.Verify(token, p.store, []command.Key{p.desk.public}, command.Clock{Now: now, Trusted: true})
	if err != nil {
		p.t.Errorf("%s refuses: %v", p.store, err)
		return
	}
	r := message.Result{Status: message.Done}
	if p.do != nil {
		r = p.do(claims)
	}
	r.ID, r.Cmd, r.At = claims.ID, claims.Cmd, now.UTC()
	for _, answer := range []message.Result{{ID: claims.ID, Status: message.Received}, {ID: claims.ID, Status: message.Started}, r, r} {
		payload, _ := json.Marshal(answer)                                                 // plain fields
		p.client.Publish(p.topics.Result, 1, false, payload).WaitTimeout(30 * time.Second) // who waits for it will tell
	}
}

// status is that of a shop without trouble.
func (p *played) status(session int64) message.Status {
	lag, at := int64(40), time.Now().UTC()
	return message.Status{
		Schema: message.Schema, Session: session, At: at, Version: "1.0.0", Store: p.store, Uptime: 3600, Devices: 2, Products: 1210,
		Sync:   message.Sync{Phase: "polling", Percent: 100, Complete: true, LastSuccess: &at, Lag: &lag},
		Levels: message.Levels{Known: 1200, Assumed: 10},
		Targets: []message.Target{
			{Name: "evotor", Policy: "approve", Accepted: 1200}, {Name: "site", Policy: "auto", Accepted: 800},
		},
		Disk: message.Disk{Free: 900 << 20},
	}
}

package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/command"
	"ostatok/agent/config"
	"ostatok/agent/message"
	"ostatok/cmd/ostatok-sandbox/broker"
)

// office is an operator with a key, on a real broker.
type office struct {
	t       *testing.T
	url     string
	private ed25519.PrivateKey
	now     func() time.Time
	client  mqtt.Client
	sent    int

	mu      sync.Mutex
	changed chan struct{}
	results map[string]message.Result // by command, the newest
	states  []message.State
	status  message.Status
	levels  map[string]message.Change
	events  map[string]message.Event // by id
}

func newOffice(t *testing.T, now func() time.Time) *office {
	b, err := broker.Start(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return officeAt(t, b.URL(), now)
}

// officeAt is an office at a broker that is there.
func officeAt(t *testing.T, url string, now func() time.Time) *office {
	o := &office{t: t, url: url, now: now, private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)),
		changed: make(chan struct{}, 1), results: map[string]message.Result{}, levels: map[string]message.Change{},
		events: map[string]message.Event{}}
	// The broker keeps its place, whatever becomes of the connection.
	o.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(o.url).SetClientID("office").SetCleanSession(false).SetResumeSubs(true))
	if token := o.client.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("no connection to the broker: %v", token.Error())
	}
	t.Cleanup(func() { o.client.Disconnect(0) })
	token := o.client.Subscribe("ostatok/v1/acme/#", 1, func(_ mqtt.Client, m mqtt.Message) { o.hear(m) })
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("no subscription: %v", token.Error())
	}
	return o
}

func (o *office) hear(m mqtt.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _, rest, _ := message.Split(m.Topic())
	var err error
	switch rest {
	case "state":
		var s message.State
		err = json.Unmarshal(m.Payload(), &s)
		o.states = append(o.states, s)
	case "status":
		o.status = message.Status{}
		err = json.Unmarshal(m.Payload(), &o.status)
	case "stock":
		var s message.Stock
		err = json.Unmarshal(m.Payload(), &s)
		for _, c := range s.Changes {
			o.levels[c.Product] = c
		}
	case "event":
		var e message.Event
		err = json.Unmarshal(m.Payload(), &e)
		o.events[e.ID] = e
	case "command/result":
		var r message.Result
		err = json.Unmarshal(m.Payload(), &r)
		if !o.ended(r.ID) {
			o.results[r.ID] = r
		}
	}
	if err != nil {
		o.t.Errorf("%s: %v", m.Topic(), err)
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// told is the newest status.
func (o *office) told() message.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.status
}

// state is the newest state.
func (o *office) state() message.State {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.states[len(o.states)-1]
}

// level is the newest level of a product.
func (o *office) level(product string) message.Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.levels[product]
}

// result is the newest of a command.
func (o *office) result(id string) message.Result {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.results[id]
}

// ended tells whether the outcome of a command is known; mu is held.
func (o *office) ended(id string) bool {
	r, heard := o.results[id]
	return heard && r.Status.Final()
}

// await waits until what was heard is as wanted.
func (o *office) await(what string, heard func() bool) {
	o.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		o.mu.Lock()
		ok := heard()
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-o.changed:
		case <-deadline:
			o.t.Fatalf("waited for %s in vain; states %+v, status %+v, levels %+v", what, o.states, o.status, o.levels)
		}
	}
}

// send orders something and returns its id.
func (o *office) send(cmd, args string) string {
	o.t.Helper()
	o.sent++
	id := fmt.Sprintf("order-%d", o.sent)
	token, err := command.Sign(o.private, command.Claims{
		ID: id, Issuer: "office", Audience: []string{shop1}, Cmd: cmd, Args: json.RawMessage(args),
		IssuedAt: o.now(), ExpiresAt: o.now().Add(time.Hour),
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.client.Publish(message.TopicsOf("acme", shop1).Command, 1, false, token)
	return id
}

// order sends and waits for what comes of it.
func (o *office) order(cmd, args string) message.Result {
	o.t.Helper()
	id := o.send(cmd, args)
	o.await("the result of "+cmd, func() bool { return o.ended(id) })
	return o.result(id)
}

// operatedShop is an agent that runs under an operator's eyes, by Serve.
func operatedShop(t *testing.T) *office {
	d := tradingDesk(t)
	o := newOffice(t, d.now)
	operate(t, o, d, []string{o.url}, t.TempDir())
	return o
}

// tradingDesk is a cloud in which some trade has gone on, up to the real moment.
func tradingDesk(t *testing.T) *desk {
	start := time.Now()
	d := newDesk(t, "bread", "milk")
	d.now = func() time.Time { return today.Add(time.Since(start)) }
	d.write(document{kind: "ACCEPT", at: ago(3), lines: []string{line("bread", "10", "10"), line("milk", "5", "5")}},
		document{kind: "SELL", at: ago(2), lines: []string{line("bread", "3", "10")}})
	return d
}

// operate runs the agent of a desk's shop until stop is called, and returns when
// it is in step.
func operate(t *testing.T, o *office, d *desk, brokers []string, dir string) (stop func()) {
	c := config.Default()
	c.Store, c.DataDir = shop1, dir
	c.Evotor.URL, c.Evotor.Token = d.url, config.NewSecret("a-token")
	c.MQTT.URLs, c.MQTT.Tenant = brokers, "acme"
	public := o.private.Public().(ed25519.PublicKey)
	c.MQTT.Operators = []string{command.Key{Public: public, Right: command.Manage}.String()}
	level := ""
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for {
			ending, err := agent.Serve(ctx, c, agent.Options{
				Build: agent.Build{Version: "test", Time: today.AddDate(0, -1, 0)}, Now: d.now, Log: zerolog.Nop(),
				Logs: agent.Logs{
					SetLevel: func(l string) { o.mu.Lock(); level = l; o.mu.Unlock() },
					Tail:     func(int) []string { o.mu.Lock(); defer o.mu.Unlock(); return []string{"level " + level, "a-token"} },
				},
			})
			if err != nil || ctx.Err() != nil {
				done <- err
				return
			}
			if ending != agent.Restart {
				done <- fmt.Errorf("ended with %v", ending)
				return
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	o.await("a complete first sync", func() bool { return o.status.Sync.Complete && o.levels["bread"].Quantity != nil })
	return stop
}

func TestOperator(t *testing.T) {
	o := operatedShop(t)
	if got := o.level("bread").Quantity.String(); got != "7" {
		t.Errorf("told of %s bread", got)
	}
	if s := o.told(); s.Products != 2 || s.Levels.Known+s.Levels.Assumed != 2 || len(s.Targets) != 1 || s.Config == "" || s.Store != shop1 {
		t.Errorf("status %+v", s)
	}
	for _, test := range []struct {
		cmd, args string
		status    message.Outcome
		want      string // in the result or the error
	}{
		{command.Ping, `{}`, message.Done, `"version":"test"`},
		{command.Sync, `{"backfill":true}`, message.Done, `"complete":true`},
		{command.Sync, `{"backfil":true}`, message.Failed, `write the arguments as`},
		{command.Resync, ``, message.Done, `"complete":true`},
		{command.Stock, `{"query":"bread"}`, message.Done, `"quantity":7,`},
		{command.Stock, `{"limit":1}`, message.Done, `"more":true`},
		{command.Stock, `{"state":"odd"}`, message.Failed, `must be known`},
		{command.Explain, `{"product":"bread"}`, message.Done, `"type":"SELL"`},
		{command.Explain, `{"product":"nothing"}`, message.Failed, `no product`},
		{command.Plan, ``, message.Done, `"rows_total":2`},
		{command.Approve, `{"id":"nothing"}`, message.Failed, `there is no plan`},
		{command.GetConfig, ``, message.Done, `"key":"evotor.poll"`},
		{command.Tail, `{"lines":5}`, message.Done, `"lines":["level info","***"]`},
		{command.LogLevel, `{"level":"debug","for":"1m"}`, message.Done, `"level":"debug"`},
		{command.Tail, ``, message.Done, `level debug`},
		{command.Diagnose, ``, message.Done, `"file":"diagnosis.tar.gz"`},
		{command.Backup, ``, message.Done, `.tar"`},
		{command.Update, ``, message.Failed, `under its launcher`},
	} {
		r := o.order(test.cmd, test.args)
		text := string(r.Result)
		if r.Error != nil {
			text += r.Error.Message
		}
		if r.Status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%s %s: %s %s, want %s with %q", test.cmd, test.args, r.Status, text, test.status, test.want)
		}
		if strings.Contains(text, "a-token") {
			t.Errorf("%s tells the token", test.cmd)
		}
	}
}

// Setting from afar, what it reaches, and the agent that is opened anew for it.
func TestOperatorChangesTheConfiguration(t *testing.T) {
	d := tradingDesk(t)
	o, dir := newOffice(t, d.now), t.TempDir()
	operate(t, o, d, []string{o.url}, dir)
	// What somebody at the box sees of evotor.poll.
	shown := func() config.Setting {
		t.Helper()
		c := config.Default()
		c.Store, c.DataDir, c.Evotor.URL = shop1, dir, d.url
		c.MQTT.URLs, c.MQTT.Tenant = []string{o.url}, "acme"
		c, err := agent.InForce(t.Context(), c, agent.Options{Now: d.now, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		all := c.Settings()
		return all[slices.IndexFunc(all, func(s config.Setting) bool { return s.Key == "evotor.poll" })]
	}
	if s := shown(); s.Value != "1m" || s.Layer != config.FromDefault {
		t.Errorf("%+v", s)
	}
	session := o.told().Session
	if r := o.order(command.SetConfig, `{"values":{"evotor.poll":"1s"},"for":"1h"}`); r.Status != message.Failed {
		t.Errorf("a poll each second: %+v", r)
	}
	r := o.order(command.SetConfig, `{"values":{"evotor.poll":"7s"},"for":"1h"}`)
	if r.Status != message.Done {
		t.Fatalf("%+v", r)
	}
	o.await("the agent with the new setting", func() bool {
		return o.status.Session > session && len(o.status.Override) == 1 && o.status.Override[0] == "evotor.poll"
	})
	if r := o.order(command.GetConfig, ``); !strings.Contains(string(r.Result), `"value":"7s","layer":"operator"`) {
		t.Errorf("%s", r.Result)
	}
	if s := shown(); s.Value != "7s" || s.Layer != config.Operator || s.Until == "" || !strings.HasPrefix(s.By, "office ") {
		t.Errorf("%+v", s)
	}
	session = o.told().Session
	if r := o.order(command.SetConfig, `{"values":{"evotor.poll":null}}`); r.Status != message.Done {
		t.Fatalf("%+v", r)
	}
	o.await("the agent with the file alone", func() bool { return o.status.Session > session && len(o.status.Override) == 0 })
	if r := o.order(command.GetConfig, ``); strings.Contains(string(r.Result), `"layer":"operator"`) {
		t.Errorf("%s", r.Result)
	}

	session = o.told().Session
	if r := o.order(command.Restart, ``); r.Status != message.Done {
		t.Errorf("%+v", r)
	}
	o.await("the next process", func() bool { return o.status.Session > session })
}

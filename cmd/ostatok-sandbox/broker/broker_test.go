package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func run(t *testing.T, o Options) *Broker {
	t.Helper()
	b, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func options(url, id string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetAutoReconnect(false).SetConnectTimeout(10 * time.Second)
}

// connect tries until it is let in, as clients do: a cluster that has lost a node
// turns sessions away until it has chosen another leader.
func connect(t *testing.T, o *mqtt.ClientOptions) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(o.SetConnectRetry(true).SetConnectRetryInterval(300 * time.Millisecond))
	settle(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func settle(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(30 * time.Second) {
		t.Fatal("the broker does not answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t *testing.T, c mqtt.Client, filter string) <-chan mqtt.Message {
	t.Helper()
	in := make(chan mqtt.Message, 100)
	settle(t, c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { in <- m }))
	return in
}

func receive(t *testing.T, in <-chan mqtt.Message) mqtt.Message {
	t.Helper()
	select {
	case m := <-in:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func TestRetainedMessagesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Options{Dir: dir})
	settle(t, connect(t, options(b.URL(), "shop")).Publish("ostatok/v1/acme/s1/state", 1, true, "ready"))
	address := b.Address()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = run(t, Options{Listen: address, Dir: dir})
	m := receive(t, subscribe(t, connect(t, options(b.URL(), "operator")), "ostatok/v1/acme/+/state"))
	if string(m.Payload()) != "ready" || !m.Retained() || m.Topic() != "ostatok/v1/acme/s1/state" {
		t.Errorf("got %q on %s, retained %v", m.Payload(), m.Topic(), m.Retained())
	}
}

func TestTheWillOfACutConnectionIsPublished(t *testing.T) {
	b := run(t, Options{})
	in := subscribe(t, connect(t, options(b.URL(), "operator")), "s1/state")
	o := options(b.URL(), "shop").SetWill("s1/state", "lost", 1, true)
	cut := make(chan func(), 1)
	o.SetCustomOpenConnectionFn(dialer(cut))
	connect(t, o)
	(<-cut)()
	if m := receive(t, in); string(m.Payload()) != "lost" {
		t.Errorf("got %q", m.Payload())
	}
}

func TestUsersMayDoOnlyWhatTheyAreGiven(t *testing.T) {
	b := run(t, Options{Users: []User{
		{Name: "s1", Password: "one", Publish: []string{"v1/s1/#"}, Subscribe: []string{"v1/s1/command", "v1/all/command"}},
		{Name: "operator", Password: "two"},
	}})
	operator := connect(t, options(b.URL(), "operator").SetUsername("operator").SetPassword("two"))
	in := subscribe(t, operator, "v1/#")
	shop := connect(t, options(b.URL(), "shop").SetUsername("s1").SetPassword("one"))
	commands := subscribe(t, shop, "v1/s1/command")

	// A publication that is not allowed is dropped or ends the connection, as
	// the broker likes; in both cases it must not arrive.
	settle(t, shop.Publish("v1/s1/state", 1, false, "mine"))
	if m := receive(t, in); m.Topic() != "v1/s1/state" {
		t.Fatalf("got %q on %s", m.Payload(), m.Topic())
	}
	settle(t, operator.Publish("v1/s1/command", 1, false, "order"))
	if m := receive(t, commands); string(m.Payload()) != "order" {
		t.Fatalf("got %q", m.Payload())
	}
	receive(t, in) // the operator hears itself
	shop.Publish("v1/s2/state", 1, false, "not mine").WaitTimeout(5 * time.Second)
	settle(t, operator.Publish("v1/end", 1, false, "end"))
	if m := receive(t, in); m.Topic() != "v1/end" {
		t.Errorf("a shop could publish on %s", m.Topic())
	}

	stranger := mqtt.NewClient(options(b.URL(), "stranger").SetUsername("s1").SetPassword("two"))
	token := stranger.Connect()
	if !token.WaitTimeout(30*time.Second) || token.Error() == nil {
		t.Error("a wrong password lets in")
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	b := run(t, Options{})
	for address, want := range map[string]string{
		"nonsense":     "missing port",
		"127.0.0.1:x":  "no port",
		"127.0.0.1:-1": "no port",
		b.Address():    "in use",
	} {
		other, err := Start(Options{Listen: address})
		if err == nil {
			_ = other.Close()
			t.Errorf("%s: no error", address)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAClusterLosesNothingWithANode(t *testing.T) {
	c, err := StartCluster(3, Options{Dir: t.TempDir()})
	if errors.Is(err, ErrNarrow) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	settle(t, connect(t, options(c.Brokers[0].URL(), "shop")).Publish("s1/state", 1, true, "ready"))
	// A session that asks for it keeps what comes while its node is away.
	waiting := options(c.Brokers[0].URL(), "waiting").SetCleanSession(false)
	session := connect(t, waiting)
	subscribe(t, session, "s1/command")
	if err := c.Brokers[0].Close(); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, subscribe(t, connect(t, options(c.Brokers[1].URL(), "operator")), "s1/state")); string(m.Payload()) != "ready" {
		t.Errorf("got %q", m.Payload())
	}
	settle(t, connect(t, options(c.Brokers[1].URL(), "operator2")).Publish("s1/command", 1, false, "sync"))
	again := options(c.Brokers[2].URL(), "waiting").SetCleanSession(false)
	in := make(chan mqtt.Message, 10)
	again.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { in <- m })
	connect(t, again)
	if m := receive(t, in); string(m.Payload()) != "sync" {
		t.Errorf("got %q", m.Payload())
	}
	if err := c.Restart(0); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, subscribe(t, connect(t, options(c.Brokers[0].URL(), "operator3")), "s1/state")); string(m.Payload()) != "ready" {
		t.Errorf("got %q from the node that came back", m.Payload())
	}
}

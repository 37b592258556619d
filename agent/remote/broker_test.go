package remote

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/message"
	"ostatok/cmd/ostatok-sandbox/broker"
	"ostatok/platform/network/networktest"
)

// real is a broker that can be stopped and started again on its address, keeping
// what it has.
type real struct {
	url   string
	start func()
	stop  func()
}

// brokers runs a test against every real broker that there is.
func brokers(t *testing.T, test func(t *testing.T, b real)) {
	t.Helper()
	brokersThatWait(t, 0, test)
}

// brokersThatWait is brokers for tests in which messages are not acknowledged:
// those that give them again after a while do so after this one.
func brokersThatWait(t *testing.T, wait time.Duration, test func(t *testing.T, b real)) {
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, natsThatWaits(t, wait))
	})
	t.Run("mosquitto", func(t *testing.T) {
		t.Parallel()
		path, err := exec.LookPath("mosquitto")
		if err != nil {
			t.Skip("mosquitto is not installed: apt-get install mosquitto")
		}
		test(t, mosquitto(t, path))
	})
}

func nats(t *testing.T) real {
	t.Helper()
	return natsThatWaits(t, 0)
}

func natsThatWaits(t *testing.T, wait time.Duration) real {
	t.Helper()
	address, dir := networktest.FreeAddress(t), t.TempDir()
	var current *broker.Broker
	b := real{url: "tcp://" + address}
	b.start = func() {
		var err error
		if current, err = broker.Start(broker.Options{Listen: address, Dir: dir, AckWait: wait}); err != nil {
			t.Fatal(err)
		}
	}
	b.stop = func() {
		if err := current.Close(); err != nil {
			t.Error(err)
		}
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func mosquitto(t *testing.T, path string) real {
	t.Helper()
	address, dir := networktest.FreeAddress(t), t.TempDir()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "mosquitto.conf")
	text := "listener " + port + " " + host + "\nallow_anonymous true\npersistence true\npersistence_location " + dir +
		"/\nmax_queued_messages 0\nuser root\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var cmd *exec.Cmd
	b := real{url: "tcp://" + address}
	b.start = func() {
		cmd = exec.Command(path, "-c", config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "mosquitto listens", func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
	}
	b.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// eventually waits for a condition that must come true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 1500 {
		if holds() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("it did not come to pass that %s", what)
}

// operator is somebody at the broker who hears everything.
type operator struct {
	t      testing.TB
	client mqtt.Client

	mu       sync.Mutex
	states   []message.State
	ready    []string // stores, as they became ready
	statuses []message.Status
	events   []message.Event
	stock    []message.Stock
	results  []message.Result
	bad      []string
}

func newOperator(t testing.TB, b real) *operator {
	t.Helper()
	o := &operator{t: t}
	o.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.url).SetClientID("operator").SetCleanSession(false).
		SetMaxReconnectInterval(200 * time.Millisecond).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).
		SetResumeSubs(true).SetDefaultPublishHandler(o.hear))
	done(t, o.client.Connect())
	done(t, o.client.Subscribe("ostatok/v1/"+tenant+"/+/+", 1, nil))
	done(t, o.client.Subscribe("ostatok/v1/"+tenant+"/+/command/result", 1, nil))
	t.Cleanup(func() { o.client.Disconnect(100) })
	return o
}

func done(t testing.TB, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(20 * time.Second) {
		t.Fatal("the broker does not answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

func (o *operator) hear(_ mqtt.Client, m mqtt.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, store, topic, ok := message.Split(m.Topic())
	var err error
	switch topic {
	case "state":
		if err = keep(&o.states, m); o.states[len(o.states)-1].State == message.Ready {
			o.ready = append(o.ready, store)
		}
	case "status":
		err = keep(&o.statuses, m)
	case "event":
		err = keep(&o.events, m)
	case "stock":
		err = keep(&o.stock, m)
	case "command/result":
		err = keep(&o.results, m)
	case "command":
	default:
		ok = false
	}
	if !ok || err != nil {
		o.bad = append(o.bad, fmt.Sprintf("%s: %s (%v)", m.Topic(), m.Payload(), err))
	}
}

func keep[T any](list *[]T, m mqtt.Message) error {
	var v T
	err := json.Unmarshal(m.Payload(), &v)
	*list = append(*list, v)
	return err
}

// send publishes a command.
func (o *operator) send(token []byte, retained bool) {
	o.t.Helper()
	done(o.t, o.client.Publish(message.TopicsOf(tenant, storeID).Command, 1, retained, token))
}

// last returns the newest of what was heard.
func last[T any](o *operator, list *[]T) (v T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(*list); n > 0 {
		v = (*list)[n-1]
	}
	return v
}

func all[T any](o *operator, list *[]T) []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]T(nil), *list...)
}

func (o *operator) awaitState(phase message.Phase) message.State {
	o.t.Helper()
	eventually(o.t, "the state is "+string(phase), func() bool { return last(o, &o.states).State == phase })
	return last(o, &o.states)
}

// awaitResult waits for the final result of a command.
func (o *operator) awaitResult(id string) (r message.Result) {
	o.t.Helper()
	eventually(o.t, "command "+id+" has a final result", func() bool {
		for _, m := range all(o, &o.results) {
			if m.ID == id && m.Status.Final() {
				r = m
				return true
			}
		}
		return false
	})
	return r
}

// countEvents counts the events of a kind; an event may come more than once.
func (o *operator) countEvents(kind string) int {
	ids := map[string]bool{}
	for _, e := range all(o, &o.events) {
		if e.Kind == kind {
			ids[e.ID] = true
		}
	}
	return len(ids)
}

// figures are what the operator knows of the levels, by what was heard.
func (o *operator) figures() map[string]string {
	known := map[string]string{}
	for _, m := range all(o, &o.stock) {
		for _, c := range m.Changes {
			if c.State == message.Removed {
				delete(known, c.Product)
			} else {
				known[c.Product] = c.Quantity.String()
			}
		}
	}
	return known
}

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/message"
)

// The waits between connections: a random time below a bound that doubles, so
// that a thousand shops do not come back at once.
const (
	firstWait = 4 * time.Second
	mostWait  = 2 * time.Minute
	// A connection that lived as long as this begins the waits anew.
	steady = time.Minute
)

// connect keeps a connection until ctx ends.
func (r *Remote) connect(ctx context.Context) {
	failed, next := 0, 0
	for ctx.Err() == nil {
		broker := r.o.URLs[next%len(r.o.URLs)]
		begun := time.Now()
		err := r.once(ctx, broker)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) >= steady {
			failed = 0
		}
		next++
		// All brokers are tried before the wait grows.
		bound := mostWait
		if round := failed / len(r.o.URLs); round < 5 {
			bound = firstWait << round
		}
		failed++
		wait := time.Duration(r.o.Random() * float64(bound))
		r.mu.Lock()
		if r.link.Connected || r.link.Since.IsZero() {
			r.link.Since = r.o.Clock().Time()
		}
		r.link.Connected, r.link.URL, r.link.LastError = false, broker, explain(err)
		r.scan = true // nothing is collected meanwhile
		clear(r.dirty)
		r.mu.Unlock()
		r.log.Warn().Err(err).Str("broker", broker).Dur("wait", wait).Msg("no connection to the broker")
		if !pause(ctx, wait) {
			return
		}
	}
}

// connection is one connection to a broker.
type connection struct {
	client  mqtt.Client
	session int64
	lost    chan struct{} // closed when it is over
	end     sync.Once
	err     error // why, once lost is closed

	contradicted atomic.Bool // the topic `state` says something older than this connection
}

// fail ends the connection.
func (c *connection) fail(err error) {
	c.end.Do(func() {
		c.err = err
		close(c.lost)
	})
}

// once makes one connection and serves it until it is lost or ctx ends. The error
// says why it ended, nil only with ctx.
func (r *Remote) once(ctx context.Context, text string) error {
	broker, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("cannot read the broker's address: %w", err)
	}
	password, err := r.o.password()
	if err != nil {
		return err
	}
	raw, err := r.o.dial(ctx, broker)
	if err != nil {
		return fmt.Errorf("cannot reach the broker: %w", err)
	}
	network := trim(raw)
	defer func() { _ = network.Close() }() // the client closes it too
	c := &connection{session: r.nextSession(ctx), lost: make(chan struct{})}
	will, err := json.Marshal(r.state(c, message.Lost))
	if err != nil {
		return err
	}
	c.client = mqtt.NewClient(mqtt.NewClientOptions().
		AddBroker("tcp://broker"). // unused: the connection is there
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return network, nil }).
		SetClientID("ostatok-"+r.o.Store).SetProtocolVersion(4).SetCleanSession(false). // commands wait at the broker
		SetUsername(r.o.Username).SetPassword(password).
		SetBinaryWill(r.topics.State, will, 1, true).
		SetKeepAlive(keepAlive).SetPingTimeout(pingTimeout).SetConnectTimeout(dialTimeout).
		SetAutoReconnect(false).SetConnectRetry(false).SetStore(mqtt.NewOrderedMemoryStore()).
		SetAutoAckDisabled(true). // a command is acknowledged once it is in the journal
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { r.accept(c, m) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.fail(fmt.Errorf("connection lost: %w", err)) }))
	defer func() {
		c.fail(context.Canceled)
		_ = network.Close()
		c.client.Disconnect(0)
	}()
	token := c.client.Connect()
	select {
	case <-token.Done():
		if err := token.Error(); err != nil {
			return fmt.Errorf("the broker refused the connection: %w", err)
		}
	case <-ctx.Done():
		return nil
	}
	r.mu.Lock()
	r.link = Link{Connected: true, URL: text, Session: c.session, Since: r.o.Clock().Time()}
	r.mu.Unlock()
	err = r.serve(ctx, c)
	if ctx.Err() != nil {
		r.leave(c)
		return nil
	}
	return err
}

// nextSession numbers a connection. When the journal cannot be written, the
// operator must hear of just that, so counting goes on in memory.
func (r *Remote) nextSession(ctx context.Context) int64 {
	n, err := r.journal.NextSession(ctx)
	if err != nil {
		r.log.Error().Err(err).Msg("session not noted")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = max(n, r.session+1)
	return r.session
}

func (r *Remote) state(c *connection, p message.Phase) message.State {
	return message.State{State: p, Session: c.session, Version: r.o.Version, At: r.now()}
}

func (r *Remote) now() time.Time { return r.o.Clock().Time().UTC().Truncate(time.Millisecond) }

// subscribe asks for commands and for the shop's own state.
func (r *Remote) subscribe(ctx context.Context, c *connection) error {
	for topic, qos := range map[string]byte{
		r.topics.Command: 1, message.CommandToAll(r.o.Tenant): 1,
		r.topics.State: 0, // news of the past is not to be kept by the broker
	} {
		token := c.client.Subscribe(topic, qos, nil)
		if err := c.await(ctx, token); err != nil {
			return fmt.Errorf("cannot subscribe to %s: %w", topic, err)
		}
		const refused = 0x80
		if s, ok := token.(*mqtt.SubscribeToken); ok && s.Result()[topic] == refused {
			// The rest is worth having without it.
			r.mu.Lock()
			r.link.LastError = "the broker does not let the shop read " + topic + ": look at the broker's rules"
			r.mu.Unlock()
			r.log.Error().Str("topic", topic).Msg("subscription refused by the broker")
		}
	}
	return nil
}

// errSilent is a broker that does not acknowledge.
var errSilent = errors.New("the broker did not answer in time")

// await waits until the broker of this connection has answered.
func (c *connection) await(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-c.lost:
		return c.err
	case <-timer.C:
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send publishes in order, a window at a time, and returns when the broker has
// acknowledged all.
func (c *connection) send(ctx context.Context, topic string, retained bool, payloads ...[]byte) error {
	tokens := make([]mqtt.Token, len(payloads))
	for i, p := range payloads {
		tokens[i] = c.client.Publish(topic, 1, retained, p)
	}
	for _, t := range tokens {
		if err := c.await(ctx, t); err != nil {
			return fmt.Errorf("cannot publish to %s: %w", topic, err)
		}
	}
	return nil
}

// leave says good-bye; there is little time for it.
func (r *Remote) leave(c *connection) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	s := &sender{r: r, c: c}
	_, err := s.results(ctx) // the answer to `restart` may be among them
	r.flushLevels(ctx, s)
	if bye, e := json.Marshal(r.state(c, message.Disconnected)); err == nil && e == nil {
		err = c.send(ctx, r.topics.State, true, bye)
	}
	if err != nil {
		r.log.Debug().Err(err).Msg("left the broker without a word")
		return
	}
	c.client.Disconnect(500)
}

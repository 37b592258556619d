package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	keepAlive = 30 * time.Second
	patience  = 20 * time.Second // for each answer of the broker
	refused   = 0x80             // in the answer to a subscription
	idle      = "ostatok/v1/-/-" // a filter that nobody has
)

// subscription is a topic filter and its quality of service. What the broker
// keeps is asked for with 0: brokers limit the messages of a higher one that they
// hold for a client, and drop the rest of a large fleet's without a word.
type subscription struct {
	filter string
	qos    byte
}

// publication is one message as it came.
type publication struct {
	topic    string
	payload  []byte
	retained bool
}

// connection is a connection to one of the brokers. When it is lost it comes
// back by itself and subscribes again.
type connection struct {
	client mqtt.Client
}

// connect connects, subscribes and hands each publication to take, one after the
// other. A publication is acknowledged when take returns. session names what the
// broker keeps for us between two connections, "" for nothing.
func (a *app) connect(ctx context.Context, s *settings, session string, subscriptions []subscription, take func(publication)) (*connection, error) {
	o := mqtt.NewClientOptions()
	for _, u := range s.URLs {
		o.AddBroker(u)
	}
	secure, err := s.tls()
	if err != nil {
		return nil, err
	}
	o.SetTLSConfig(secure)
	if s.Username != "" {
		o.SetUsername(s.Username)
	}
	if s.PasswordFile != "" {
		password, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, usage("cannot read the broker's password: %v", err)
		}
		o.SetPassword(strings.TrimSpace(string(password)))
	}
	o.SetClientID("ostatokctl-" + rand.Text()).SetCleanSession(true)
	if session != "" {
		o.SetClientID("ostatokctl-" + session).SetCleanSession(false)
	}
	o.SetKeepAlive(keepAlive).SetPingTimeout(patience).SetConnectTimeout(patience).SetWriteTimeout(patience)
	o.SetMaxReconnectInterval(30 * time.Second)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		take(publication{m.Topic(), m.Payload(), m.Retained()})
	})
	subscribed := make(chan error, 1)
	o.SetOnConnectHandler(func(client mqtt.Client) {
		err := subscribe(client, subscriptions)
		select {
		case subscribed <- err: // the first time
		default:
			if err != nil {
				a.say("%v", err)
			}
		}
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		a.say("the connection to the broker is lost (%v); trying again", err)
	})
	c := &connection{client: mqtt.NewClient(o)}
	if err := wait(ctx, c.client.Connect()); err != nil {
		c.client.Disconnect(0)
		return nil, fmt.Errorf("cannot reach the broker at %s: %w; look at urls, username and the TLS files in %s", strings.Join(s.URLs, ", "), err, s.file)
	}
	select {
	case err := <-subscribed:
		if err == nil {
			return c, nil
		}
		c.close()
		return nil, err
	case <-ctx.Done():
		c.close()
		return nil, ctx.Err()
	}
}

func subscribe(client mqtt.Client, subscriptions []subscription) error {
	for _, s := range subscriptions {
		token := client.Subscribe(s.filter, s.qos, nil)
		if !token.WaitTimeout(patience) {
			return fmt.Errorf("cannot subscribe to %s: the broker does not answer", s.filter)
		}
		if err := token.Error(); err != nil {
			return fmt.Errorf("cannot subscribe to %s: %w", s.filter, err)
		}
		// The library takes the broker's no for an answer like any other.
		if t, ok := token.(*mqtt.SubscribeToken); ok && t.Result()[s.filter] == refused {
			return fmt.Errorf("the broker does not let this user read %s: look at its access list", s.filter)
		}
	}
	// Brokers answer in order: by the time of this answer to an idle question, most
	// of them have sent what they kept.
	if !client.Unsubscribe(idle).WaitTimeout(patience) {
		return errors.New("cannot subscribe: the broker does not answer")
	}
	return nil
}

// publish returns when the broker has taken the message.
func (c *connection) publish(ctx context.Context, topic string, payload []byte) error {
	if err := wait(ctx, c.client.Publish(topic, 1, false, payload)); err != nil {
		return fmt.Errorf("cannot publish to %s: %w", topic, err)
	}
	return nil
}

// close says goodbye to the broker.
func (c *connection) close() { c.client.Disconnect(250) }

// wait waits for the broker's answer. A token is no proof once the connection was
// lost, and then nothing is claimed.
func wait(ctx context.Context, token mqtt.Token) error {
	timeout := time.NewTimer(2 * patience) // several URLs may have to be tried
	defer timeout.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-timeout.C:
		return errors.New("the broker does not answer")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tls reads the files of a TLS connection.
func (s *settings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		text, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, usage("cannot read ca_file: %v", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, usage("ca_file %s holds no certificate in PEM", s.CAFile)
		}
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, usage("cannot read cert_file and key_file: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

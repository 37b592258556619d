// Package broker is a real MQTT 3.1.1 broker inside this process: NATS with its
// MQTT listener. It is for the sandbox and for tests; the agent never links it.
package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience is how long a broker may take until it answers; a cluster elects its
// leader in this time on a machine that is busy with other tests.
const patience = 60 * time.Second

// Options of a broker. The zero value listens on a free port of this machine and
// lets everybody in.
type Options struct {
	Listen string      // host:port of the MQTT listener; "" is 127.0.0.1 and a free port
	Dir    string      // where messages are kept; "" is a folder of its own, removed by Close
	Users  []User      // who may come in; none: everybody, without a password
	TLS    *tls.Config // nil: plain TCP

	// AckWait is after how long a message that was not acknowledged is given
	// again; 0 is the server's own 30 s.
	AckWait time.Duration
}

// User is one account of the broker.
type User struct {
	Name, Password string

	// Topic filters of what this user may publish and subscribe to; both nil:
	// everything.
	Publish, Subscribe []string
}

// Broker is a running broker.
type Broker struct {
	server  *server.Server
	address string
	secure  bool
	remove  string // the folder that goes with it, "" for none
}

// Start starts a broker and returns when it takes connections. The caller
// closes it. A broker that is started again with the same Listen and Dir still
// has its retained messages.
func Start(o Options) (*Broker, error) {
	return start(o, nil)
}

func start(o Options, n *node) (*Broker, error) {
	host, port, err := hostPort(o.Listen)
	if err != nil {
		return nil, err
	}
	b := &Broker{secure: o.TLS != nil}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "ostatok-broker-"); err != nil {
			return nil, fmt.Errorf("cannot make the broker's folder: %w", err)
		}
		b.remove = o.Dir
	}
	options := &server.Options{
		ServerName: "ostatok-sandbox", // MQTT needs one
		DontListen: true,              // only MQTT is offered, not NATS' own protocol
		NoSigs:     true,              // signals belong to the program around
		JetStream:  true,              // where MQTT sessions and retained messages live
		StoreDir:   o.Dir,
		Users:      accounts(o.Users),
		MQTT:       server.MQTTOpts{Host: host, Port: port, TLSConfig: o.TLS, AckWait: o.AckWait},
	}
	if n != nil {
		n.join(options)
	}
	if b.server, err = server.NewServer(options); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the broker: %w", err), b.clean())
	}
	complaint := &complaint{}
	b.server.SetLoggerV2(complaint, false, false, false)
	b.server.Start()
	for end := time.Now().Add(patience); !b.server.ReadyForConnections(100 * time.Millisecond); {
		if !complaint.final() && time.Now().Before(end) {
			continue
		}
		b.server.Shutdown()
		return nil, errors.Join(fmt.Errorf("cannot start the broker on %s: %s", net.JoinHostPort(host, strconv.Itoa(port)), complaint), b.clean())
	}
	b.address = net.JoinHostPort(host, strconv.Itoa(options.MQTT.Port))
	return b, nil
}

// URL is what an MQTT client is given: tcp://host:port, or ssl://host:port.
func (b *Broker) URL() string {
	if b.secure {
		return "ssl://" + b.address
	}
	return "tcp://" + b.address
}

// Address is the host:port that the broker listens on.
func (b *Broker) Address() string { return b.address }

// Close cuts all connections and ends the broker. Closing it again does nothing.
func (b *Broker) Close() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return b.clean()
}

func (b *Broker) clean() error {
	if b.remove == "" {
		return nil
	}
	if err := os.RemoveAll(b.remove); err != nil {
		return fmt.Errorf("cannot remove the broker's folder: %w", err)
	}
	return nil
}

// hostPort splits an address as net.Listen takes it; -1 is NATS' word for a
// free port.
func hostPort(listen string) (string, int, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("cannot read the broker's address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("cannot read the broker's address %s: %q is no port", listen, text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

func accounts(users []User) []*server.User {
	var all []*server.User
	for _, u := range users {
		account := &server.User{Username: u.Name, Password: u.Password}
		if u.Publish != nil || u.Subscribe != nil {
			account.Permissions = &server.Permissions{
				Publish: permission(u.Publish),
				// The broker hands QoS 1 messages to a session through subjects of
				// its own.
				Subscribe: permission(append([]string{"$MQTT/sub/#", "$MQTT/deliver/#"}, u.Subscribe...)),
			}
		}
		all = append(all, account)
	}
	return all
}

func permission(filters []string) *server.SubjectPermission {
	p := &server.SubjectPermission{Allow: make([]string, len(filters))}
	for i, f := range filters {
		p.Allow[i] = strings.NewReplacer("/", ".", "+", "*", "#", ">").Replace(f)
	}
	if len(filters) == 0 {
		p.Deny = []string{">"} // an empty list would allow everything
	}
	return p
}

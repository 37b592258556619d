// Package remote is the shop as the operator sees it over MQTT: birth and will,
// status, events, changed levels, and the commands that come back.
//
// It owns the connection: one paho client for each, thrown away with it, because
// a client that reconnects by itself reports what it sent before as delivered.
// What must arrive lies in the journal until the broker of this connection has
// acknowledged it, and goes again otherwise; readers tell repeats apart by id.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// Shop is what remote asks of the agent. Its methods may be called from several
// goroutines at once.
type Shop interface {
	// Status is the shop's state; what only remote knows is filled in by remote:
	// Schema, Session, At, Version, Store, Override, Feed.
	Status(ctx context.Context) (message.Status, error)
	// Levels is every product of the catalogue.
	Levels(ctx context.Context) iter.Seq2[message.Change, error]
	// Level is one product; found is false when it has left the catalogue.
	Level(ctx context.Context, product string) (change message.Change, found bool, err error)

	// Do runs a command that remote does not answer itself. progress may be called
	// at any time until Do returns. The result is encoded as JSON; an error that is
	// a *message.Error keeps its code. When ctx ends because the agent stops, the
	// outcome is left to Interrupted.
	Do(ctx context.Context, c command.Claims, progress func(any)) (result any, err error)
	// Interrupted is asked at the start for a command that had begun when the agent
	// ended: it is never run again, but its outcome may be known, as for `restart`
	// and `update`. ErrInterrupted is the answer for all others.
	Interrupted(ctx context.Context, c command.Claims) (result any, err error)

	// Settings are those that config.set may lay over the file.
	Settings() []Setting
	// Apply makes the overrides effective; none means the file alone.
	Apply(ctx context.Context, overrides []journal.Override) error
}

// Setting is one that an operator may change from afar.
type Setting struct {
	Key string
	// Check tells why a value is outside of its bounds.
	Check func(value json.RawMessage) error
}

// ErrInterrupted says that nobody knows how far a command came.
var ErrInterrupted = &message.Error{Code: "interrupted",
	Message: "the agent ended while the command ran; look at the shop before sending it again"}

// Options say where the brokers are and who the shop is.
type Options struct {
	URLs    []string // tried in turn: ssl://, tls://, mqtts://, tcp://, mqtt://, ws://, wss://
	Tenant  string
	Store   string
	Version string

	Username     string
	PasswordFile string // read anew for each connection, as are the following
	CAFile       string // "" trusts the system's authorities
	CertFile     string // with KeyFile the client's certificate
	KeyFile      string

	Keys   []command.Key        // operators
	Clock  func() command.Clock // required
	Random func() float64       // in [0, 1); nil: math/rand
	Log    zerolog.Logger

	// Network opens TCP connections; nil is the system's way.
	Network func(ctx context.Context, network, address string) (net.Conn, error)
	// Dial opens the whole connection in tests; nil goes by the URL.
	Dial func(ctx context.Context, broker *url.URL) (net.Conn, error)
}

// Times of the connection. Keepalive and the deadlines for acknowledgements find
// a connection that is only half open within about a minute.
const (
	keepAlive    = 30 * time.Second
	pingTimeout  = 10 * time.Second
	dialTimeout  = 30 * time.Second
	ackTimeout   = 30 * time.Second
	writeTimeout = 20 * time.Second
)

// Remote is the shop's side of the broker.
type Remote struct {
	o       Options
	shop    Shop
	journal *journal.Journal
	topics  message.Topics
	log     zerolog.Logger
	at      func(step string) // a named moment, for tests that end the process there

	inbox   chan incoming
	lanes   [lanes]chan struct{}
	wake    chan struct{} // something is to be sent
	drops   atomic.Int64  // messages that did not fit into the inbox
	trial   trial
	refused refusals

	mu       sync.Mutex
	link     Link
	session  int64
	status   bool                      // a new status is worth sending
	dirty    map[string]struct{}       // products whose level changed
	scan     bool                      // … too many to name: compare all
	progress map[string]message.Result // by command: what is told once, newest only
}

// Link is the state of the connection, for the shop's own status and its doctor.
type Link struct {
	Connected bool
	URL       string // of the broker in use, or tried last
	Session   int64
	Since     time.Time // of the connection, or of its loss
	LastError string
	Dropped   int64 // incoming messages that did not fit, since the start
}

// New makes the remote side; nothing happens before Run.
func New(o Options, shop Shop, j *journal.Journal) (*Remote, error) {
	if len(o.URLs) == 0 || o.Tenant == "" || o.Store == "" || o.Clock == nil {
		return nil, errors.New("cannot report over MQTT: broker, tenant, store and clock are needed")
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	r := &Remote{
		o: o, shop: shop, journal: j, topics: message.TopicsOf(o.Tenant, o.Store), log: o.Log, at: func(string) {},
		inbox: make(chan incoming, inboxSize), wake: make(chan struct{}, 1),
		dirty: map[string]struct{}{}, scan: true, status: true, progress: map[string]message.Result{},
	}
	for i := range r.lanes {
		r.lanes[i] = make(chan struct{}, 1)
	}
	return r, nil
}

// Run keeps the connection and does the commands until ctx ends. Errors are only
// those of the start; whatever the broker does, Run goes on.
func (r *Remote) Run(ctx context.Context) error {
	clock := r.o.Clock()
	if err := errors.Join(
		// A command has whole seconds, and may be issued in this one.
		r.journal.CommandsSince(ctx, clock.Time().Truncate(time.Second).UnixMilli(), clock.Trusted),
		r.journal.FeedEvents(ctx),
		r.recoverOverrides(ctx),
		r.recoverCommands(ctx),
	); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var running sync.WaitGroup
	for lane := range r.lanes {
		running.Go(func() { r.work(ctx, lane) })
	}
	running.Go(func() { r.receive(ctx) })
	running.Go(func() { r.keepOverrides(ctx) })
	running.Go(func() { r.connect(ctx) })
	running.Wait()
	return nil
}

// Changed tells of products whose level is, or may be, another one. It never
// blocks; without products all are compared.
func (r *Remote) Changed(products []string) {
	r.mu.Lock()
	if len(products) == 0 || len(r.dirty)+len(products) > maxDirty {
		r.scan = true
		clear(r.dirty)
	}
	if !r.scan { // a comparison of all finds them anyway
		for _, p := range products {
			r.dirty[p] = struct{}{}
		}
	}
	r.mu.Unlock()
	r.rouse()
}

// Wake tells that the status is another one. It never blocks.
func (r *Remote) Wake() {
	r.mu.Lock()
	r.status = true
	r.mu.Unlock()
	r.rouse()
}

// Link returns the state of the connection.
func (r *Remote) Link() Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.link
	l.Dropped = r.drops.Load()
	return l
}

func (r *Remote) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// pause waits, and tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

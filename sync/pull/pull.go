// Package pull keeps the mirror of one shop in step with the Evotor cloud:
// the first synchronisation month by month, older months in the background,
// and polling. It never concludes anything from silence: an answer that is
// empty, short or refused leaves every product and level as it was and is shown
// as a problem, with what to do about it.
package pull

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// Cloud is what the puller asks of the Evotor cloud; *evotor.Client is one.
type Cloud interface {
	Stores(ctx context.Context) ([]evotor.Store, error)
	Devices(ctx context.Context) ([]evotor.Device, error)
	Products(ctx context.Context, store, cursor string, each func(evotor.Item[stock.Product]) error) (evotor.Page, error)
	Groups(ctx context.Context, store, cursor string, each func(evotor.Item[evotor.Group]) error) (evotor.Page, error)
	Documents(ctx context.Context, query evotor.DocumentsQuery, each func(evotor.Item[stock.Document]) error) (evotor.Page, error)
	Document(ctx context.Context, store, id string) (evotor.Item[stock.Document], error)
}

// Options say how to pull. Only Store is required; a zero means the default in
// brackets.
type Options struct {
	Store   string // id of the shop, as the cloud spells it
	Horizon int    // months of the first synchronisation [6, the guide's step 3]

	Poll      time.Duration // between two cycles of Run [60 s]
	Overlap   time.Duration // polled again below the newest document [26 h]
	Deep      time.Duration // how far the daily re-scan looks back [35 days]
	Catalogue time.Duration // between two readings of the catalogue [1 h]
	Retry     time.Duration // before the first repeat of a page that broke off [1 s]

	PerDevice      bool  // ask the first synchronisation per terminal (guide, step 3)
	PageLimit      int   // items a page [the cloud's own, 1000]
	BatchDocuments int   // most documents in one transaction [8192]
	InFlight       int   // most bytes of bodies between download and mirror [2 MiB]
	Large          int64 // documents above which the windows that remain are halved [50 000]

	Now    func() time.Time
	Jitter func(time.Duration) time.Duration // spreads a pause [±10 %]
	Log    zerolog.Logger

	OnProgress func(Progress)                                 // called often: the receiver throttles
	OnChange   func([]mirror.Change)                          // levels that changed
	OnEvent    func(kind, severity, message string, data any) // what an operator should hear of
}

// Puller pulls one shop. Its methods may be called from several goroutines;
// cycles and backfill steps wait for each other.
type Puller struct {
	cloud  Cloud
	mirror *mirror.Mirror
	o      Options
	log    zerolog.Logger

	turn chan struct{} // holds one token: the right to pull
	kick chan struct{}

	// Owned by the holder of the turn.
	facts  facts
	loaded bool
	saved  string          // the facts as they lie in the mirror
	told   map[string]bool // notices already raised

	mu     sync.Mutex // guards status
	status Status
}

// New returns a puller that has not asked anything yet.
func New(cloud Cloud, m *mirror.Mirror, o Options) *Puller {
	def(&o.Horizon, 6)
	def(&o.Poll, time.Minute)
	def(&o.Overlap, 26*time.Hour)
	def(&o.Deep, 35*24*time.Hour)
	def(&o.Catalogue, time.Hour)
	def(&o.Retry, time.Second)
	def(&o.BatchDocuments, 8192)
	def(&o.InFlight, 2<<20)
	def(&o.Large, 50_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func(d time.Duration) time.Duration {
			return d - d/10 + rand.N(d/5+1)
		}
	}
	p := &Puller{
		cloud: cloud, mirror: m, o: o, log: o.Log,
		turn: make(chan struct{}, 1), kick: make(chan struct{}, 1), told: map[string]bool{},
		status: Status{Phase: PhaseIdle},
	}
	p.turn <- struct{}{}
	return p
}

// def puts a default in place of a zero.
func def[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// now is the clock in epoch ms.
func (p *Puller) now() int64 { return p.o.Now().UnixMilli() }

// take waits for the right to pull and returns how to give it back.
func (p *Puller) take(ctx context.Context) (func(), error) {
	select {
	case <-p.turn:
		return func() { p.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Puller) event(kind, severity, message string, data any) {
	if p.o.OnEvent != nil {
		p.o.OnEvent(kind, severity, message, data)
	}
}

func (p *Puller) changed(changes []mirror.Change) {
	if p.o.OnChange != nil && len(changes) > 0 {
		p.o.OnChange(changes)
	}
}

package agent

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/config"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/match"
	"ostatok/sync/push"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/zelenka"
)

// backend is one configured target and what is particular about it.
type backend struct {
	config.Target
	target  target.Target
	matcher *match.Matcher // set when the agent opens
	learned int64          // edition of the catalogue that the matcher knows, 0: none; under Agent.mapping
	lessons int64          // times that it learned; under Agent.mapping

	// check reaches the system with its key and changes nothing; note says what
	// could not be found out.
	check func(context.Context) (note string, err error)

	// full makes its full runs, nil when it has none.
	full func(fullSetup) (fullRun, error)

	reserves *reserveFeed // nil when it tells none
}

// backends are the configured targets with their clients: one for each account,
// because its limits and its tokens are the account's.
type backends struct {
	list    []*backend
	clients map[account]client
	options clientOptions
	rates   map[account]int // requests a minute: the least that a target of the account is set to
}

type account struct{ kind, url, user, key string }

type client interface{ Close() }

// clientOptions are what all clients have in common.
type clientOptions struct {
	version   string
	transport http.RoundTripper // nil: each client's own
	now       func() time.Time
	log       zerolog.Logger
}

// connect makes the clients. It does not touch the network.
func connect(targets []config.Target, o clientOptions) (*backends, error) {
	b := &backends{clients: make(map[account]client), rates: make(map[account]int), options: o}
	for _, t := range targets {
		id := accountOf(&t)
		if least, ok := b.rates[id]; !ok || t.Rate < least {
			b.rates[id] = t.Rate
		}
	}
	for _, t := range targets {
		made, err := b.connect(&t)
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("cannot set up target %s: %w", t.Name, err)
		}
		b.list = append(b.list, made)
	}
	return b, nil
}

// Close lets go of idle connections.
func (b *backends) Close() {
	for _, c := range b.clients {
		c.Close()
	}
}

// named returns the backend of a target, nil when there is none.
func (b *backends) named(name string) *backend {
	for _, each := range b.list {
		if each.Name == name {
			return each
		}
	}
	return nil
}

func (b *backends) connect(t *config.Target) (*backend, error) {
	switch t.Kind {
	case config.VirtPOS:
		return b.virtpos(t)
	case config.Zelenka:
		return b.zelenka(t)
	case config.KeyCRM:
		return b.keycrm(t)
	}
	return nil, fmt.Errorf("its kind %q is not known", t.Kind)
}

func accountOf(t *config.Target) account {
	id := account{t.Kind, strings.TrimRight(t.URL, "/"), t.Username, t.Key.Reveal()}
	if t.Kind == config.VirtPOS { // its pace and its format are the target's
		id.user = t.Name
	}
	return id
}

// shared returns the client of a target's account, which its first target makes.
func shared[C client](b *backends, t *config.Target, open func() (C, error)) (C, error) {
	id := accountOf(t)
	if c, ok := b.clients[id].(C); ok {
		return c, nil
	}
	c, err := open()
	if err == nil {
		b.clients[id] = c
	}
	return c, err
}

func (b *backends) virtpos(t *config.Target) (*backend, error) {
	c, err := shared(b, t, func() (*virtpos.Client, error) {
		return virtpos.New(virtpos.Options{
			URL: t.URL, Key: t.Key.Reveal(), Format: t.Format, Pace: t.Pace,
			Transport: b.options.transport, Version: b.options.version, Now: b.options.now, Log: b.options.log,
		})
	})
	if err != nil {
		return nil, err
	}
	o := virtpos.TargetOptions{
		Warehouse: virtpos.Ref{ID: t.Warehouse, External: t.WarehouseExternal}, External: t.External,
	}
	made := &backend{Target: *t, target: c.Target(o)}
	made.check = func(ctx context.Context) (string, error) { return "", c.Check(ctx, o) }
	made.full = func(s fullSetup) (fullRun, error) { return newVirtposRun(c, o, t.FullZero == "mass", s) }
	return made, nil
}

func (b *backends) zelenka(t *config.Target) (*backend, error) {
	c, err := shared(b, t, func() (*zelenka.Client, error) {
		return zelenka.New(zelenka.Options{
			URL: t.URL, Username: t.Username, Key: t.Key.Reveal(),
			Transport: b.options.transport, Version: b.options.version, Now: b.options.now, Log: b.options.log,
		})
	})
	if err != nil {
		return nil, err
	}
	warehouse, err := zelenka.ParseWarehouse(t.Warehouse)
	if err != nil {
		return nil, err
	}
	o := zelenka.TargetOptions{Warehouse: warehouse}
	made := &backend{Target: *t, target: c.Target(o)}
	made.check = func(ctx context.Context) (string, error) {
		return "whether point of sale " + t.Warehouse + " is the right one only a write can tell", c.Check(ctx)
	}
	made.full = func(s fullSetup) (fullRun, error) { return newZelenkaRun(c, o, t.Full, s) }
	return made, nil
}

func (b *backends) keycrm(t *config.Target) (*backend, error) {
	rate := b.rates[accountOf(t)]
	c, err := shared(b, t, func() (*keycrm.Client, error) {
		return keycrm.New(keycrm.Options{
			URL: t.URL, Key: t.Key.Reveal(), Rate: rate,
			Transport: b.options.transport, Version: b.options.version, Now: b.options.now, Log: b.options.log,
		})
	})
	if err != nil {
		return nil, err
	}
	warehouse, err := strconv.ParseInt(t.Warehouse, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("its warehouse %q is not a number", t.Warehouse)
	}
	precision, err := stock.ParseQuantity(t.Precision)
	if err != nil {
		return nil, err
	}
	made := &backend{Target: *t}
	made.target, err = c.Target(keycrm.TargetOptions{
		Warehouse: t.Warehouse, Batch: t.Batch, Precision: precision, Negative: t.Negative,
	})
	made.check = func(ctx context.Context) (string, error) {
		known, err := c.Check(ctx, warehouse)
		if known {
			return "", err
		}
		return "nothing on its first page is kept in warehouse " + t.Warehouse + "; look whether that is the right one", err
	}
	if t.Reserves {
		made.reserves = newReserveFeed(c, warehouse, rate, b.options.now)
	}
	return made, err
}

// setup is the target as the engine has it.
func (b *backend) setup() push.TargetSetup {
	return push.TargetSetup{
		Name: b.Name, Kind: b.Kind, Target: b.target, Policy: push.Policy(b.Write),
		Match: b.matcher.Key, Available: b.available(),
	}
}

// available tells whether it is told what can still be sold, and not what is on
// the shelf.
func (b *backend) available() bool { return b.Quantity == "available" }

package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/agent/stock"
)

const (
	tenant  = "acme"
	storeID = "20170222-D58C-40E0-8051-B53ADFF38860"
)

var (
	manager  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	observer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	former   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, ed25519.SeedSize))
)

func operators() []command.Key {
	list := []command.Key{}
	for _, k := range []struct {
		key   ed25519.PrivateKey
		right command.Right
	}{{manager, command.Manage}, {observer, command.Observe}, {former, command.Revoked}} {
		public := k.key.Public().(ed25519.PublicKey)
		list = append(list, command.Key{ID: command.KeyID(public), Public: public, Right: k.right})
	}
	return list
}

// shop is a shop in memory.
type shop struct {
	mu       sync.Mutex
	levels   map[string]stock.Quantity
	done     []string // ids of commands run, in order
	applied  []journal.Override
	do       func(ctx context.Context, c command.Claims, progress func(any)) (any, error)
	statusOf func() error
}

func newShop(products int) *shop {
	s := &shop{levels: map[string]stock.Quantity{}}
	for i := range products {
		s.levels[fmt.Sprintf("p-%05d", i)] = stock.Quantity(i) * stock.Unit
	}
	return s
}

func (s *shop) set(product string, q stock.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.levels[product] = q
}

func (s *shop) remove(product string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.levels, product)
}

func (s *shop) ran() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

func (s *shop) overrides() []journal.Override {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.applied)
}

func (s *shop) Status(context.Context) (message.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statusOf != nil {
		if err := s.statusOf(); err != nil {
			return message.Status{}, err
		}
	}
	return message.Status{Products: len(s.levels)}, nil
}

func (s *shop) Levels(context.Context) iter.Seq2[message.Change, error] {
	return func(yield func(message.Change, error) bool) {
		s.mu.Lock()
		products := make([]string, 0, len(s.levels))
		for p := range s.levels {
			products = append(products, p)
		}
		s.mu.Unlock()
		slices.Sort(products)
		for _, p := range products {
			if c, found, err := s.Level(context.Background(), p); found && !yield(c, err) {
				return
			}
		}
	}
}

func (s *shop) Level(_ context.Context, product string) (message.Change, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, found := s.levels[product]
	return message.Change{Product: product, Code: product[2:], Quantity: &q, State: stock.Known}, found, nil
}

func (s *shop) Do(ctx context.Context, c command.Claims, progress func(any)) (any, error) {
	s.mu.Lock()
	s.done = append(s.done, c.ID)
	do := s.do
	s.mu.Unlock()
	if do != nil {
		return do(ctx, c, progress)
	}
	return map[string]string{"did": c.Cmd}, nil
}

func (s *shop) Interrupted(_ context.Context, c command.Claims) (any, error) {
	if c.Cmd == command.Restart {
		return map[string]bool{"restarted": true}, nil
	}
	return nil, ErrInterrupted
}

func (s *shop) Settings() []Setting {
	return []Setting{{Key: "evotor.poll", Check: func(v json.RawMessage) error {
		var text string
		if err := json.Unmarshal(v, &text); err != nil {
			return errors.New("write a duration")
		}
		if d, err := time.ParseDuration(text); err != nil || d < 10*time.Second {
			return errors.New("at least 10s")
		}
		return nil
	}}}
}

func (s *shop) Apply(_ context.Context, overrides []journal.Override) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = overrides
	return nil
}

// agent is a remote side under test with its journal, stopped at the end.
type agent struct {
	*Remote
	shop    *shop
	journal *journal.Journal
	stop    func()
}

func openJournal(t testing.TB, dir string) *journal.Journal {
	t.Helper()
	j, _, err := journal.Open(context.Background(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func trusted() command.Clock { return command.Clock{Now: time.Now(), Trusted: true} }

func options(urls ...string) Options {
	return Options{URLs: urls, Tenant: tenant, Store: storeID, Version: "1.2.3", Keys: operators(), Clock: trusted,
		Random: func() float64 { return 0.02 }, Log: zerolog.Nop()}
}

// start runs an agent on the journal of dir.
func start(t testing.TB, dir string, s *shop, o Options) *agent {
	t.Helper()
	j := openJournal(t, dir)
	r, err := New(o, s, j)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	a := &agent{Remote: r, shop: s, journal: j, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
			if err := j.Close(); err != nil {
				t.Errorf("close the journal: %v", err)
			}
		})
	}}
	t.Cleanup(a.stop)
	return a
}

// order is a command of the manager, changed by the given functions.
func order(t testing.TB, key ed25519.PrivateKey, id, cmd string, change ...func(*command.Claims)) []byte {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	c := command.Claims{ID: id, Issuer: "anna", Audience: []string{storeID}, Cmd: cmd, IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	for _, f := range change {
		f(&c)
	}
	token, err := command.Sign(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(token)
}

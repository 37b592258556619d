package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/agent/remote"
	"ostatok/agent/stock"
)

// products is small: levels are compared at each connection, and what is measured
// is the fleet and not its catalogues.
const products = 20

// shop answers what the MQTT side of an agent asks for.
type shop struct{}

func (shop) Status(context.Context) (message.Status, error) {
	lag := int64(30)
	return message.Status{
		Products: products, Devices: 2, Sync: message.Sync{Phase: "polling", Percent: 100, Complete: true, Lag: &lag},
		Levels:  message.Levels{Known: products},
		Targets: []message.Target{{Name: "evotor", Policy: "approve", Accepted: products}, {Name: "site", Policy: "auto", Accepted: products}},
	}, nil
}

func (s shop) Levels(ctx context.Context) iter.Seq2[message.Change, error] {
	return func(yield func(message.Change, error) bool) {
		for i := range products {
			c, _, err := s.Level(ctx, fmt.Sprintf("product-%d", i))
			if !yield(c, err) {
				return
			}
		}
	}
}

func (shop) Level(_ context.Context, product string) (message.Change, bool, error) {
	q := 5 * stock.Unit
	return message.Change{Product: product, Code: product, Quantity: &q, State: stock.Known}, true, nil
}

func (shop) Do(context.Context, command.Claims, func(any)) (any, error) { return nil, nil }
func (shop) Interrupted(context.Context, command.Claims) (any, error) {
	return nil, remote.ErrInterrupted
}
func (shop) Settings() []remote.Setting                      { return nil }
func (shop) Apply(context.Context, []journal.Override) error { return nil }
func openJournals(ctx context.Context, dir string, n int) ([]*journal.Journal, error) {
	all := make([]*journal.Journal, n)
	for i := range all {
		d := filepath.Join(dir, store(i))
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
		var err error
		if all[i], _, err = journal.Open(ctx, journal.Options{Dir: d, Log: zerolog.Nop()}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func store(i int) string { return fmt.Sprintf("20170222-D58C-40E0-8051-%012d", i) }

// fleet is the MQTT side of many agents.
type fleet struct {
	cancel   context.CancelFunc
	running  sync.WaitGroup
	private  ed25519.PrivateKey
	journals []*journal.Journal
}

func startFleet(ctx context.Context, url string, w *watcher, journals []*journal.Journal) (*fleet, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	key := command.Key{ID: command.KeyID(public), Public: public, Right: command.Manage}
	ctx, cancel := context.WithCancel(ctx)
	f := &fleet{cancel: cancel, private: private, journals: journals}
	for i, j := range journals {
		r, err := remote.New(remote.Options{
			URLs: []string{url}, Tenant: tenant, Store: store(i), Version: "fleet", Keys: []command.Key{key},
			Clock: func() command.Clock { now := time.Now(); return command.Clock{Now: now, Trusted: true, Best: now} },
			Log:   zerolog.Nop(),
		}, shop{}, j)
		if err != nil {
			cancel()
			return nil, err
		}
		f.running.Go(func() {
			if err := r.Run(ctx); err != nil {
				say("%s ended: %v", store(i), err)
			}
		})
	}
	return f, nil
}

func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
	for _, j := range f.journals {
		_ = j.Close() // the folder is removed anyway
	}
}

// time sends pings to one shop after another and returns, in order, how long each
// took from its signature to its final result.
func (f *fleet) time(ctx context.Context, w *watcher, n int) ([]time.Duration, error) {
	var trips []time.Duration
	for i := range n {
		to, id := store(i%len(f.journals)), rand.Text()
		begun := time.Now()
		token, err := command.Sign(f.private, command.Claims{
			ID: id, Issuer: "fleet", Audience: []string{to}, Cmd: command.Ping, IssuedAt: begun, ExpiresAt: begun.Add(time.Hour),
		})
		if err != nil {
			return nil, err
		}
		if err := settle(w.client.Publish(message.TopicsOf(tenant, to).Command, 1, false, token)); err != nil {
			return nil, err
		}
		for answered := false; !answered; {
			select {
			case r := <-w.results:
				if answered = r.ID == id; answered && r.Status != message.Done {
					return nil, fmt.Errorf("%s answers %s: %v", to, r.Status, r.Error)
				}
			case <-time.After(patience):
				return nil, fmt.Errorf("%s does not answer", to)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		trips = append(trips, time.Since(begun))
	}
	slices.Sort(trips)
	return trips, nil
}

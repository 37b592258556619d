package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"ostatok/cmd/ostatok-sandbox/broker"
	"ostatok/sync/evotor/evotortest"
)

// serve makes the shop and serves its cloud until ctx or --for ends.
func serve(ctx context.Context, o *options, out io.Writer) (err error) {
	if o.during > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.during)
		defer cancel()
	}
	shop := evotortest.NewShop(o.settings(time.Now().Add(-o.behind).Truncate(time.Second)))
	clock := newClock(time.Now, shop.Now(), o.speed) // not earlier: making a shop takes time
	journal := &journal{out: out, now: clock.Now}
	faults, err := profile(o.faults)
	if err != nil {
		return err
	}
	cloudNow := clock.Now
	if o.behind > 0 { // the shop is late, and not the agent that compares the cloud's clock with its own
		cloudNow = time.Now
	}
	cloud := evotortest.NewCloud(shop, evotortest.CloudOptions{
		Tokens: []string{o.token}, RateLimit: o.rateLimit, Faults: faults, FaultSeed: o.seed, Now: cloudNow,
	})
	backends := newBackends(o, shop)
	defer backends.close()
	life := newLife(shop, cloud, backends, clock, journal)
	journal.say("shop %s: %d terminals, %d products, %d documents", shop.Store(), o.terminals, len(shop.Products()), len(shop.Documents()))

	mqtt := ""
	if o.mqtt != "" {
		b, err := broker.Start(broker.Options{Listen: o.mqtt})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		mqtt = b.URL()
		journal.say("MQTT broker %s", mqtt)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", o.listen, err)
	}
	url := "http://" + listener.Addr().String()
	journal.say("serving %s", url)
	if o.ready != "" {
		if err := newReady(url, shop.Store(), o.token, mqtt).write(o.ready); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	if err := live(ctx, life, listener, routes(o, life)); err != nil {
		return err
	}
	journal.say("ended")
	return nil
}

// live lets the shop live on and serves it until ctx ends.
func live(ctx context.Context, l *life, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	living, dead := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { l.run(living) })
	wait.Go(func() {
		<-living.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close() // whoever still hangs on is cut off
		}
	})
	err := server.Serve(listener)
	dead()
	wait.Wait()
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

// routes puts the cloud at the root, and the backends and the shop's own doors
// beside it.
func routes(o *options, l *life) http.Handler {
	back := admin(l)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.admin && strings.HasPrefix(r.URL.Path, "/sandbox/") {
			back.ServeHTTP(w, r)
			return
		}
		select {
		case <-time.After(o.latency):
		case <-r.Context().Done():
			return
		}
		if s := l.backends.of(r.URL.Path); s != nil {
			l.backends.serve(s, w, r)
			return
		}
		l.shop.Run(l.clock.Now()) // a client never sees an old shop
		l.cloud.ServeHTTP(w, r)
	})
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"ostatok/sync/evotor/evotortest"
)

// serve makes the shop and serves its cloud until ctx or --for ends.
func serve(ctx context.Context, o *options, out io.Writer) error {
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
	life := newLife(shop, cloud, clock, journal)

	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", o.listen, err)
	}
	url := "http://" + listener.Addr().String()
	server := &http.Server{Handler: routes(o, life), ReadHeaderTimeout: 10 * time.Second}
	journal.say("shop %s: %d terminals, %d products, %d documents", shop.Store(), o.terminals, len(shop.Products()), len(shop.Documents()))
	journal.say("serving %s", url)
	if o.ready != "" {
		if err := writeReady(o.ready, url, shop.Store(), o.token); err != nil {
			return errors.Join(err, listener.Close())
		}
	}

	living, dead := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { life.run(living) })
	wait.Go(func() {
		<-living.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close() // whoever still hangs on is cut off
		}
	})
	err = server.Serve(listener)
	dead()
	wait.Wait()
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", err)
	}
	journal.say("ended")
	return nil
}

// routes puts the cloud at the root, and the shop's own doors beside it.
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
		l.shop.Run(l.clock.Now()) // a client never sees an old shop
		l.cloud.ServeHTTP(w, r)
	})
}

// writeReady tells whoever started this where it serves. The file appears
// whole; it holds a token, so only the owner may read it.
func writeReady(file, url, store, token string) error {
	b, err := json.Marshal(map[string]string{"url": url, "store": store, "token": token})
	if err == nil {
		err = renameio.WriteFile(file, append(b, '\n'), os.FileMode(0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}
	return nil
}

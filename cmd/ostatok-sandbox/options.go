package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"ostatok/sync/evotor/evotortest"
)

// options are what the command line says.
type options struct {
	listen, token, ready, faults, mqtt string

	terminals, products, documents, months int

	seed             uint64
	download, during time.Duration
	behind, latency  time.Duration
	outside, late    float64
	fullCounts       int
	partialCounts    int
	speed            float64
	shown, admin     bool
	rateLimit        int
	keycrmRate       int
}

func (o *options) flags(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` to serve on; port 0 takes a free one")
	f.StringVar(&o.mqtt, "mqtt", "", "`address` of an MQTT broker to run beside it; port 0 takes a free one, \"\" runs none")
	f.StringVar(&o.token, "token", "sandbox", "the `token` that the cloud accepts")
	f.StringVar(&o.ready, "ready", "", "write urls, store, token and key files to this `file` and beside it when serving")
	f.DurationVar(&o.during, "for", 0, "end after this time; 0 serves until it is stopped")
	f.BoolVar(&o.admin, "admin", false, "serve /sandbox/: truth, holds, mapping, faults, speed, advance, log")
	f.StringVar(&o.faults, "faults", "none", "what goes wrong: none, some, many")
	f.DurationVar(&o.latency, "latency", 0, "how long the cloud and the backends take for an answer")
	f.IntVar(&o.rateLimit, "rate-limit", 0, "requests a minute before the cloud answers 429; 0 is no limit")
	f.IntVar(&o.keycrmRate, "keycrm-rate", 20, "requests a minute before KeyCRM answers 429; 0 is no limit")

	f.Uint64Var(&o.seed, "seed", 1, "the same seed gives the same shop")
	f.IntVar(&o.terminals, "terminals", 2, "terminals of the shop")
	f.IntVar(&o.products, "products", 2000, "products of its catalogue")
	f.IntVar(&o.documents, "documents", 40000, "documents of its history, about")
	f.IntVar(&o.months, "months", 14, "length of its history")
	f.DurationVar(&o.download, "download", 4*time.Hour, "how often a terminal downloads the cloud's figures; 0 is never")
	f.Float64Var(&o.outside, "outside", 1, "changes of stock without a document, per product over the history")
	f.Float64Var(&o.late, "late", 0, "share of time that a terminal is without a network, 0 to 0.9")
	f.IntVar(&o.fullCounts, "full-counts", 0, "complete counts over the history")
	f.IntVar(&o.partialCounts, "partial-counts", 6, "partial counts over the history")
	f.BoolVar(&o.shown, "quantities", false, "the cloud shows quantities from the start, not only those written")
	f.DurationVar(&o.behind, "behind", 0, "end the history so long ago, and let the shop live on from there; the cloud's own clock is right all the same")
	f.Float64Var(&o.speed, "speed", 1, "seconds of the shop a second; 0 stands still, 3600 is an hour a second")
}

// check says what is wrong and what would be right.
func (o *options) check() error {
	for _, n := range []struct {
		name        string
		value       float64
		least, most float64
	}{
		{"terminals", float64(o.terminals), 1, 50},
		{"products", float64(o.products), 1, 200_000},
		{"documents", float64(o.documents), 1, 5_000_000},
		{"months", float64(o.months), 1, 120},
		{"outside", o.outside, 0, 1000},
		{"late", o.late, 0, 0.9},
		{"full-counts", float64(o.fullCounts), 0, 1000},
		{"partial-counts", float64(o.partialCounts), 0, 100_000},
		{"speed", o.speed, 0, fastest},
		{"rate-limit", float64(o.rateLimit), 0, 1_000_000},
		{"keycrm-rate", float64(o.keycrmRate), 0, 1_000_000},
		{"download", o.download.Seconds(), 0, 1e9},
		{"for", o.during.Seconds(), 0, 1e9},
		{"behind", o.behind.Seconds(), 0, furthest.Seconds()},
		{"latency", o.latency.Seconds(), 0, 60},
	} {
		if n.value < n.least || n.value > n.most {
			return fmt.Errorf("--%s must be between %g and %g, not %g", n.name, n.least, n.most, n.value)
		}
	}
	if o.download > 0 && o.download < time.Minute {
		return fmt.Errorf("--download must be 0 or at least 1m, not %v", o.download)
	}
	if o.token == "" {
		return fmt.Errorf("--token must not be empty")
	}
	_, err := profile(o.faults)
	return err
}

// profile is what goes wrong, by name.
func profile(name string) (evotortest.Profile, error) {
	switch name {
	case "none":
		return nil, nil
	case "some":
		return evotortest.SomeFaults(), nil
	case "many":
		return evotortest.ManyFaults(), nil
	}
	return nil, fmt.Errorf("faults must be none, some or many, not %q", name)
}

// settings describe the shop; its history ends at now.
func (o *options) settings(now time.Time) evotortest.Settings {
	return evotortest.Settings{
		Seed: o.seed, Terminals: o.terminals, Products: o.products, Documents: o.documents,
		From: now.AddDate(0, -o.months, 0), To: now, Download: o.download, Outside: o.outside, LateShare: o.late,
		FullCounts: o.fullCounts, PartialCounts: o.partialCounts, QuantityShown: o.shown,
	}
}

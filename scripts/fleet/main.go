// Command fleet measures what a fleet costs: the MQTT side of many agents in one
// process against a real mosquitto on this machine. It prints a table and fails
// when a promise is broken.
//
//	go run ./scripts/fleet -agents 1000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

type options struct {
	agents, commands int
	mosquitto        string
}

func main() {
	var o options
	flag.IntVar(&o.agents, "agents", 1000, "how many shops")
	flag.IntVar(&o.commands, "commands", 500, "how many commands to time, one after the other")
	flag.StringVar(&o.mosquitto, "mosquitto", "mosquitto", "the broker's program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// run measures in a folder that it removes again.
func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "ostatok-fleet-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := startMosquitto(ctx, o.mosquitto, dir)
	if err != nil {
		return err
	}
	defer m.stop()
	brokerIdle := memory(m.pid())
	watch, err := newWatcher(ctx, m.url)
	if err != nil {
		return err
	}
	defer watch.close()

	journals, err := openJournals(ctx, dir, o.agents)
	if err != nil {
		return err
	}
	before := ownMemory()
	f, err := startFleet(ctx, m.url, watch, journals)
	if err != nil {
		return err
	}
	defer f.stop()
	started := time.Now()
	if err := watch.await(ctx, 1, o.agents, "at the start"); err != nil {
		return err
	}
	first := time.Since(started)
	say("%d agents are ready after %v", o.agents, first.Round(time.Millisecond))
	agentMemory, brokerMemory := ownMemory()-before, memory(m.pid())-brokerIdle

	trips, err := f.time(ctx, watch, o.commands)
	if err != nil {
		return err
	}
	say("%d commands are answered", o.commands)

	session := watch.newest() + 1
	if err := m.restart(ctx); err != nil {
		return err
	}
	back := time.Now()
	if err := watch.await(ctx, session, o.agents, "after the broker's restart"); err != nil {
		return err
	}
	return report(o, measured{
		first: first, again: time.Since(back), half: watch.reached(session, o.agents/2).Sub(back), peak: watch.peak(session),
		agent: agentMemory / int64(o.agents), broker: brokerMemory / int64(o.agents), trips: trips,
	})
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "fleet: "+format+"\n", args...) }

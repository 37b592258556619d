// Command ostatokctl looks after a fleet of shops over MQTT: see `ostatokctl help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	// Minimal systems have no certificates of their own.
	_ "ostatok/platform/network"
)

func main() { os.Exit(run()) }

// run is main with a result, for the tests that run this program as a command.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{out: os.Stdout, err: os.Stderr, environ: os.Environ(), now: time.Now}
	return a.main(ctx, os.Args[1:])
}

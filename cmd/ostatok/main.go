// Command ostatok is the stock agent of one shop: see `ostatok help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

// run is main with a result, for the tests that run this program as a command.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{
		out: os.Stdout, err: os.Stderr, environ: os.Environ(), now: time.Now, build: readBuild(),
	}
	return a.main(ctx, os.Args[1:])
}

// Command demo shows the main job on a shop of its own: it starts the sandbox,
// runs the first sync, prints what stands on the shelf, what must be counted and
// what would be written, approves that, and shows in one table that the Evotor
// cloud, VirtPOS, Zelenka and KeyCRM hold the figures. With -keep the shop goes on
// selling and the agent goes on working.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	bin := flag.String("bin", "bin", "`folder` of the programs")
	dir := flag.String("dir", "demo", "`folder` for the demo's files; what an earlier demo left there is removed")
	keep := flag.Bool("keep", false, "leave the shop selling and the agent running")
	run := flag.String("run", "", "`program` that runs the agent's binary, for another processor")
	agent := flag.String("agent", "", "the agent's `binary`, when it is not in the folder of the programs")
	products := flag.Int("products", 2000, "products of the shop")
	documents := flag.Int("documents", 40000, "documents of its history")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := demo{
		sandbox: filepath.Join(*bin, "ostatok-sandbox"), agent: []string{filepath.Join(*bin, "ostatok")},
		dir: *dir, products: *products, documents: *documents,
	}
	if *agent != "" {
		d.agent = []string{*agent}
	}
	if *run != "" {
		d.agent = append([]string{*run}, d.agent...)
	}
	if err := d.play(ctx, *keep); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// Command crash kills the agent, again and again, at moments it has not chosen,
// and looks whether anything was lost: the real binary against the sandbox, with
// faults on, in its first synchronisation, while it polls, while it delivers.
//
// After each kill both databases must be sound and nothing that was committed
// may be gone. In the end the levels must be what the shop's documents tell, the
// cloud must hold them, and the mirror must be, step by step, the one that an
// agent which was never killed would have.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	kills := flag.Int("kills", 300, "how often to kill, at least")
	seed := flag.Uint64("seed", 1, "decides on the shops, the faults and the moments; the moments also depend on the machine")
	bin := flag.String("bin", "bin", "directory of ostatok and ostatok-sandbox")
	keep := flag.Bool("keep", false, "keep the files of a run in which nothing failed")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := newTally(os.Stdout)
	dir, err := os.MkdirTemp("", "ostatok-crash-")
	if err == nil {
		fmt.Printf("seed %d, %d kills, files in %s\n", *seed, *kills, dir)
		err = campaign(ctx, t, *bin, dir, *seed, *kills)
	}
	if err != nil {
		t.check(false, "%v", err)
	}
	t.print(*kills)
	if t.failed == 0 && !*keep {
		if err := os.RemoveAll(dir); err != nil {
			t.check(false, "cannot clean up: %v", err)
		}
	} else {
		fmt.Printf("the files are in %s; again with -seed %d\n", dir, *seed)
	}
	fmt.Printf("%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 {
		return 1
	}
	return 0
}

// perShop is how many kills one shop sees: enough for each phase to be hit at
// many points, few enough for several shops.
const perShop = 50

// atOnce is how many shops are played at the same time: an agent that is being
// killed spends much of its life waiting for the cloud.
const atOnce = 3

// campaign plays the shops.
func campaign(ctx context.Context, t *tally, bin, dir string, seed uint64, kills int) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return fmt.Errorf("cannot find the binaries: %w", err)
	}
	outer := ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	shops := (kills + perShop - 1) / perShop
	rounds, failures := make([]*round, shops), make([]error, shops)
	turns := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for n := range rounds {
		r := newRound(t.out, bin, filepath.Join(dir, fmt.Sprintf("shop-%d", n+1)), seed*1000+uint64(n)+1)
		r.quota = (kills + 3*shops - 1) / (3 * shops)
		rounds[n] = r
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			began := time.Now()
			if err := r.play(ctx); err != nil {
				if ctx.Err() == nil {
					failures[n] = fmt.Errorf("shop %d: %w", n+1, err)
				}
				cancel() // the files of this moment are what is wanted
				return
			}
			t.say("shop %d of %d: %s, %.0f s", n+1, shops, r.summary(), time.Since(began).Seconds())
		})
	}
	wait.Wait()
	for _, r := range rounds {
		t.add(r.t)
	}
	if outer.Err() != nil {
		return errors.New("interrupted")
	}
	return errors.Join(failures...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ostatok/agent/stock"
)

// round is one shop whose agent is killed in every phase.
type round struct {
	t     *tally // of this round alone
	bin   string
	dir   string
	seed  uint64
	rng   *rand.Rand
	quota int // kills in each phase

	horizon int // months of the first synchronisation

	sandbox *sandbox
	history []int64 // close times of the documents that the cloud had from the start, sorted
	data    string  // the agent's directory at present
	datas   int     // directories so far
	last    *state  // what the kill before left, nil in a new directory
	counts  map[phase]int
	spread  map[phase]time.Duration // in which a kill of the phase falls
	cards   int                     // catalogue cards that were spoilt

	told    map[string]map[stock.Quantity]bool // what each product's stock was while figures could be written
	patched map[string]int                     // figures written that were judged already
	odd     []write                            // figures written that are not what documents tell
}

func newRound(out io.Writer, bin, dir string, seed uint64) *round {
	return &round{
		t: newTally(out), bin: bin, dir: dir, seed: seed, rng: rand.New(rand.NewPCG(seed, 0x6b696c6c)),
		counts: map[phase]int{},
		spread: map[phase]time.Duration{first: 800 * time.Millisecond, polling: 150 * time.Millisecond, delivery: 500 * time.Millisecond},
		told:   map[string]map[stock.Quantity]bool{}, patched: map[string]int{},
	}
}

// The shop's history ends so long before now, and the shop catches up while the
// agent is killed. Its clock runs at busy while documents are read and stands
// still while figures are written: only then is it certain what they should be.
const (
	behind = 30 * 24 * time.Hour
	busy   = 600
)

// What goes wrong, by share of answers. Where a wait would be noted in the
// journal, as with figures, only what passes at once.
var (
	roughReads  = map[string]float64{"broken": 0.02, "unavailable": 0.02, "cut": 0.04, "slow": 0.005, "html": 0.01, "empty_object": 0.01, "bad_json": 0.01, "limited": 0.003}
	roughWrites = map[string]float64{"broken": 0.004, "unavailable": 0.004, "cut": 0.01, "html": 0.01, "empty_object": 0.01, "bad_json": 0.01}
)

func (r *round) play(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("cannot begin: %w", err)
	}
	terminals, fullCounts := 1+r.rng.IntN(4), r.rng.IntN(4)/3
	r.horizon = []int{6, 11}[r.rng.IntN(2)] // with months to go on with, or the whole history
	r.sandbox, err = startSandbox(ctx, r.bin, r.dir,
		"--seed", fmt.Sprint(r.seed), "--terminals", fmt.Sprint(terminals), "--full-counts", fmt.Sprint(fullCounts),
		"--products", fmt.Sprint(100+r.rng.IntN(100)), "--documents", "8000", "--months", "8", "--behind", behind.String(),
		"--outside", "0.2", "--late", "0.01", "--latency", "4ms", "--speed", fmt.Sprint(busy))
	if err != nil {
		return err
	}
	defer r.sandbox.stop()
	for _, step := range []func(context.Context) error{r.readHistory, r.firstSync, r.poll, r.deliver, r.finish, r.judge} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readHistory notes which documents every reading must have from now on.
func (r *round) readHistory(ctx context.Context) error {
	documents, err := r.cloud(ctx)
	if err != nil {
		return err
	}
	for i := range documents {
		r.history = append(r.history, documents[i].Closed)
	}
	slices.Sort(r.history)
	return nil
}

func (r *round) summary() string {
	return fmt.Sprintf("seed %d, kills: %d opening, %d first, %d polling, %d delivery", r.seed,
		r.counts[opening], r.counts[first], r.counts[polling], r.counts[delivery])
}

// fresh begins with an empty directory.
func (r *round) fresh() error {
	r.datas++
	r.data, r.last = filepath.Join(r.dir, fmt.Sprintf("data-%d", r.datas)), nil
	token := filepath.Join(r.dir, "token")
	err := os.WriteFile(token, []byte(r.sandbox.Token+"\n"), 0o600)
	for _, write := range []string{"approve", "auto"} {
		// The overlap is longer than a terminal may be offline: days pass in
		// minutes here, and the daily look further back does not come.
		text := fmt.Sprintf("store = %q\ndata_dir = %q\n[evotor]\nurl = %q\ntoken_file = %q\npoll = \"5s\"\noverlap = \"96h\"\nhorizon = %d\nwrite = %q\n[local]\nlisten = \"\"\n",
			r.sandbox.Store, r.data, r.sandbox.URL, token, r.horizon, write)
		err = errors.Join(err, os.WriteFile(r.config(write), []byte(text), 0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot begin: %w", err)
	}
	return nil
}

func (r *round) config(write string) string { return filepath.Join(r.dir, write+".toml") }

// tries bounds a phase that cannot be hit.
func (r *round) tries() int { return 8*r.quota + 20 }

// firstSync kills first synchronisations, some of which go on from where an
// earlier kill left them.
func (r *round) firstSync(ctx context.Context) error {
	if err := r.sandbox.faults(ctx, roughReads); err != nil {
		return err
	}
	again := 0
	for tries := r.tries(); r.counts[first] < r.quota && tries > 0; tries-- {
		if again == 0 {
			if err := r.fresh(); err != nil {
				return err
			}
			again = 1 + r.rng.IntN(5)
		}
		again--
		at := trigger{after: r.within(first)}
		if r.rng.IntN(2) == 0 { // in a month, or after the last one
			at = trigger{mark: "documents of", n: min(1+r.rng.IntN(r.horizon*3/2), r.horizon), after: r.within(first) / 3}
		}
		if err := r.kill(ctx, first, "approve", at); err != nil {
			return err
		}
		if r.last.at() != first {
			again = 0
		}
	}
	return nil
}

// poll kills an agent that catches up with a shop that goes on selling.
func (r *round) poll(ctx context.Context) error {
	for tries := r.tries(); r.last.at() == first && tries > 0; tries-- {
		if err := r.kill(ctx, first, "approve", trigger{after: 2 * time.Second}); err != nil {
			return err
		}
	}
	for tries := r.tries(); r.counts[polling] < r.quota && tries > 0; tries-- {
		if err := r.later(ctx, time.Hour, 9*time.Hour); err != nil {
			return err
		}
		if r.rng.IntN(4) == 0 {
			r.cards++
			if err := r.sandbox.badCard(ctx); err != nil {
				return err
			}
		}
		at := trigger{after: r.within(polling)}
		if r.rng.IntN(2) == 0 { // where documents are read
			at = trigger{mark: "documents of", n: 1, after: r.within(polling) / 4}
		}
		if err := r.kill(ctx, polling, "approve", at); err != nil {
			return err
		}
	}
	_, products, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	for id, p := range products {
		r.t.check(len(p.Patched) == 0, "product %s was written before anybody approved it", id)
	}
	return nil
}

// within draws when a kill comes: anywhere in the phase, as long as it lately
// took.
func (r *round) within(p phase) time.Duration {
	const soonest = 5 * time.Millisecond
	return soonest + time.Duration(r.rng.Int64N(int64(r.spread[p])))
}

// later lets the shop live on for some hours, but not beyond the present.
func (r *round) later(ctx context.Context, least, most time.Duration) error {
	at, _, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	by := least + time.Duration(r.rng.Int64N(int64(most-least)))
	if by > time.Since(at)-time.Hour {
		return nil
	}
	return r.sandbox.advance(ctx, by)
}

// kill starts the agent, kills it, and looks at what it has left.
func (r *round) kill(ctx context.Context, p phase, write string, at trigger) error {
	command := []string{"sync", "--once"}
	switch {
	case p != delivery && r.rng.IntN(3) == 0:
		command, at.mark = []string{"run"}, ""
	case p == delivery && at.mark != "" && r.last.underWay == 0 && r.rng.IntN(8) == 0:
		// It waits two seconds for the levels to settle, and then writes.
		command, at = []string{"run"}, trigger{after: 2100*time.Millisecond + r.within(p)}
	}
	args := append([]string{"--config", r.config(write)}, command...)
	resumes := r.last != nil && (r.last.underWay > 0 || r.last.at() == first && r.last.begun())
	e, err := execute(ctx, r.bin, r.log(), &at, args...)
	if err != nil {
		return err
	}
	if e.unexpected() {
		return fmt.Errorf("%v ended with code %d, see %s", args, e.code, r.log())
	}
	if resumes && e.said {
		r.t.resumed++
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.adapt(p, command[0], e.killed)
	if !e.killed {
		r.t.ended++
		return nil
	}
	in := r.last.at()
	if !e.said {
		in = opening
	} else {
		r.t.points[in][r.last.point()]++
	}
	r.counts[in]++
	r.t.kills[in]++
	return nil
}

// adapt brings the moments of kills to how long the phase takes on this
// machine: most kills should come before the end, and some shortly before it.
func (r *round) adapt(p phase, command string, killed bool) {
	const least, most = 30 * time.Millisecond, 1500 * time.Millisecond
	switch {
	case command == "run" && r.last.at() == p: // it never ends
	case killed && r.last.at() == p:
		r.spread[p] = min(r.spread[p]*21/20, most)
	default:
		r.spread[p] = max(r.spread[p]*3/4, least)
	}
}

// look examines what the agent has left.
func (r *round) look(ctx context.Context) error {
	now, checked, err := look(ctx, r.data, filepath.Join(r.dir, "look"))
	r.t.integrity += checked
	r.t.passed += checked
	if err != nil {
		return err
	}
	before := r.last
	r.last = now
	if before != nil {
		if err := now.lost(before); err != nil {
			return fmt.Errorf("%s: %w", r.data, err)
		}
	}
	if err := now.gap(r.history); err != nil {
		return fmt.Errorf("%s: %w", r.data, err)
	}
	if len(now.aside) > 0 {
		return fmt.Errorf("a kill was taken for damage: %v", now.aside)
	}
	return nil
}

func (r *round) log() string { return filepath.Join(r.dir, "agent.log") }

// finish lets the agent finish in peace: faults off, the shop stands still.
func (r *round) finish(ctx context.Context) error {
	if err := r.sandbox.faults(ctx, nil); err != nil {
		return err
	}
	return r.settle(ctx, "--backfill")
}

// settle lets the agent work until nothing is left to do.
func (r *round) settle(ctx context.Context, flags ...string) error {
	args := append([]string{"--config", r.config("auto"), "sync", "--once"}, flags...)
	const patience, pause = 3 * time.Minute, time.Second
	began := time.Now()
	for {
		if err := r.note(ctx); err != nil {
			return err
		}
		e, err := execute(ctx, r.bin, r.log(), nil, args...)
		if err != nil {
			return err
		}
		if err := errors.Join(r.look(ctx), r.judgeWrites(ctx)); err != nil {
			return err
		}
		switch {
		case e.unexpected():
			return fmt.Errorf("%v ended with code %d, see %s", args, e.code, r.log())
		case e.code == 0 && r.last.underWay == 0:
			return nil
		case time.Since(began) > patience:
			return fmt.Errorf("after %v: exit code %d, outbox %v, see %s", patience, e.code, r.last.outbox, r.log())
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

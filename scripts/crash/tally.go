package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// phase is what a kill interrupted.
type phase string

const (
	opening  phase = "opening the files"
	first    phase = "first synchronisation"
	polling  phase = "polling"
	delivery phase = "delivery"
)

// tally counts what was done and what was found.
type tally struct {
	out            io.Writer
	passed, failed int

	kills     map[phase]int
	points    map[phase]map[string]int // where in the phase
	ended     int                      // ended by itself before the kill
	integrity int                      // databases that were checked
	resumed   int                      // starts on work that a kill had interrupted
	documents int                      // compared with the cloud's
	products  int                      // whose stock the documents tell
	known     int
	assumed   int
	silent    int // neither, though the documents tell
	wrong     int // known, and not what the documents tell: the rules' mistake, without a kill too
	figures   int // known figures compared with the cloud's
	patches   int // figures written
	misled    int // … that follow such a mistake
	steps     int // of chains, compared with those of a mirror that was built at once
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, kills: map[phase]int{}, points: map[phase]map[string]int{first: {}, polling: {}, delivery: {}}}
}

func (t *tally) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// mostTold bounds how many failures are named; the rest is counted.
const mostTold = 40

// check counts one thing that was looked at, and names it when it is not right.
func (t *tally) check(right bool, format string, args ...any) bool {
	if right {
		t.passed++
		return true
	}
	if t.failed++; t.failed <= mostTold {
		t.say("WRONG: "+format, args...)
	}
	return false
}

func (t *tally) total() int {
	n := 0
	for _, k := range t.kills {
		n += k
	}
	return n
}

// add takes over what another counted.
func (t *tally) add(o *tally) {
	t.passed, t.failed = t.passed+o.passed, t.failed+o.failed
	for p, n := range o.kills {
		t.kills[p] += n
	}
	for p, points := range o.points {
		for point, n := range points {
			t.points[p][point] += n
		}
	}
	t.ended += o.ended
	t.integrity += o.integrity
	t.resumed += o.resumed
	t.documents += o.documents
	t.products += o.products
	t.known += o.known
	t.assumed += o.assumed
	t.silent += o.silent
	t.wrong += o.wrong
	t.figures += o.figures
	t.patches += o.patches
	t.misled += o.misled
	t.steps += o.steps
}

// print prints the table and, of a run that came to its end, judges the whole.
func (t *tally) print(kills int) {
	t.say("")
	for _, p := range []phase{opening, first, polling, delivery} {
		t.say("%-44s %8d", "kills in "+string(p), t.kills[p])
		for _, point := range slices.Sorted(maps.Keys(t.points[p])) {
			t.say("  %-42s %8d", point, t.points[p][point])
		}
	}
	for _, row := range []struct {
		name string
		n    int
	}{
		{"kills", t.total()},
		{"ended before the kill", t.ended},
		{"databases checked after a kill", t.integrity},
		{"restarts that resumed interrupted work", t.resumed},
		{"documents compared with the cloud's", t.documents},
		{"steps compared with an undisturbed mirror's", t.steps},
		{"products of which documents tell", t.products},
		{"… known", t.known},
		{"… assumed", t.assumed},
		{"… neither", t.silent},
		{"… known and wrong", t.wrong},
		{"figures compared with the cloud's", t.figures},
		{"figures written", t.patches},
		{"… following a known and wrong level", t.misled},
	} {
		t.say("%-44s %8d", row.name, row.n)
	}
	if t.failed > 0 {
		return
	}
	t.check(t.total() >= kills, "%d kills, not %d", t.total(), kills)
	for _, p := range []phase{first, polling, delivery} {
		t.check(t.kills[p] >= kills/4, "%d kills in %s: too few to say anything of it", t.kills[p], p)
	}
	// The rules do not see an outside change that brings the cloud's figure to
	// what a terminal shows already; `make accuracy` measures how often.
	t.check(t.wrong*200 <= t.known, "%d of %d known levels are wrong, as they would be without kills: more than 0.5 %%", t.wrong, t.known)
	t.check(t.known*100 >= t.products*95, "%d of %d products are known: less than 95 %%", t.known, t.products)
}

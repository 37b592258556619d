package push

import (
	"fmt"
	"math"
)

// The kinds of guards that follow from a plan itself; Options.Ready adds others.
const (
	GuardEmpty     = "empty_catalogue"
	GuardUnmatched = "nothing_matched"
	GuardSilent    = "unresolved"
	GuardFall      = "fall"
)

// guards are the reasons why a person should look at a plan first.
func (e *Engine) guards(p *Plan, fall int) []Guard {
	n := &p.Counts
	if n.Products == 0 {
		return []Guard{{Kind: GuardEmpty, Message: "the catalogue is empty, so there is nothing to compare: this says nothing about what the target should hold"}}
	}
	if n.Matched == 0 {
		return []Guard{{Kind: GuardUnmatched, Message: fmt.Sprintf("none of %d products has a key at the target: check how products are matched", n.Products)}}
	}
	var guards []Guard
	silent := n.Unresolved + n.Unknown
	if float64(silent) > e.o.Guards.SilentShare*float64(n.Matched) {
		guards = append(guards, Guard{Kind: GuardSilent, Message: fmt.Sprintf(
			"%d of %d products have no level yet (%d wait for older months, %d need a count): they are not written",
			silent, n.Matched, n.Unresolved, n.Unknown)})
	}
	if valued := n.Known + n.Assumed; e.falls(fall, valued) {
		guards = append(guards, Guard{Kind: GuardFall, Message: fmt.Sprintf(
			"%d of %d products would fall to zero or below (limit %g %%)", fall, valued, percent(e.o.Guards.FallShare))})
	}
	return guards
}

// falls is the rule against vanishing stock: see Guards.
func (e *Engine) falls(fall, valued int) bool {
	return fall >= e.o.Guards.FallFloor && float64(fall) > e.o.Guards.FallShare*float64(valued)
}

func percent(share float64) float64 { return math.Round(share*1000) / 10 }

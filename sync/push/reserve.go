package push

import (
	"context"
	"fmt"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// ReserveState is how far the reserves in the mirror can be relied on.
type ReserveState struct {
	// Known tells that every source has been read in full at least once. Until
	// then nothing is written to targets that get the available quantity.
	Known bool

	// Old tells that a source has been silent for longer than may be overlooked:
	// somebody may have ordered meanwhile, so no figure is raised. Figures that
	// fall are written on.
	Old bool

	Reason string // for people, when not Known or Old
}

// want is the figure that a product with a level should have at the target: in
// its precision, and never less than nothing where it is sold from.
func (l *lane) want(row *mirror.Row) stock.Quantity {
	q := row.Level.Quantity
	if l.Available {
		q = max(q-max(row.Reserved, 0), 0)
	}
	return l.figure(q)
}

// GuardReserves is the guard of targets that get the available quantity while it
// is not known.
const GuardReserves = "reserves_unknown"

func (e *Engine) reserves(ctx context.Context, l *lane) ReserveState {
	if !l.Available || e.o.Reserves == nil {
		return ReserveState{Known: true}
	}
	return e.o.Reserves(ctx)
}

func (s *ReserveState) unknown() string {
	return "what other systems have reserved is not known yet, so nothing is written: " + s.Reason
}

func (s *ReserveState) guards() []Guard {
	if s.Known {
		return nil
	}
	return []Guard{{Kind: GuardReserves, Message: s.unknown()}}
}

// againstRaising is why a figure must not be written, "" when it may. from is what
// the target holds where that is known.
func (s *ReserveState) againstRaising(from stock.Quantity, known bool, want stock.Quantity) string {
	if !s.Old || known && want <= from || want <= 0 {
		return ""
	}
	return fmt.Sprintf("its figure is not raised to %s while the reserves are old: %s", want, s.Reason)
}

// waitForReserves asks how far the reserves can be relied on, and pauses a
// target that cannot do without.
func (e *Engine) waitForReserves(ctx context.Context, r *run) bool {
	r.reserves = e.reserves(ctx, r.lane)
	if r.reserves.Known {
		return false
	}
	r.stopped, r.waits = true, r.reserves.unknown()
	r.report.Reason = r.waits
	r.pausedUntil.Store(e.millis() + lookAgain.Milliseconds())
	return true
}

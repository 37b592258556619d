package pull

import (
	"slices"
	"time"

	"ostatok/agent/mirror"
)

// Phase is what the puller is doing.
type Phase string

// The phases, in the order of a first synchronisation.
const (
	PhaseIdle     Phase = "idle"
	PhaseShop     Phase = "shop" // stores and terminals
	PhaseProducts Phase = "products"
	PhaseFirst    Phase = "first"
	PhaseRescan   Phase = "rescan"
	PhasePoll     Phase = "poll"
	PhaseFold     Phase = "fold"
	PhaseBackfill Phase = "backfill"
)

// Progress is how far the work at hand has come.
type Progress struct {
	Phase     Phase
	Percent   float64 // of the whole first synchronisation, or of the phase
	Documents int64   // received in this run
	Products  int
	Window    string // the period being asked, "2026-05-21 – 2026-06-21"
}

// Status is the puller's state for a person or an operator.
type Status struct {
	Phase       Phase
	Percent     float64
	Complete    bool          // the last cycle left nothing open: figures may be written
	LastSuccess time.Time     // end of the last complete cycle, zero for never
	Lag         time.Duration // since then, 0 for never
	Documents   int64         // received in the run at hand
	Products    int
	Window      string
	Coverage    mirror.Coverage
	Problems    []Problem
}

// Status returns the state; it never waits for the pulling itself.
func (p *Puller) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Problems = slices.Clone(s.Problems)
	if !s.LastSuccess.IsZero() {
		// A clock set back must not show a negative age.
		s.Lag = max(0, p.o.Now().Sub(s.LastSuccess))
	}
	return s
}

// update changes the status under its lock.
func (p *Puller) update(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// progress shows how far a phase has come.
func (p *Puller) progress(phase Phase, percent float64, window string) {
	p.update(func(s *Status) {
		if s.Phase == phase { // an estimate that turns out worse does not take back what was shown
			percent = max(percent, s.Percent)
		}
		s.Phase, s.Percent, s.Window = phase, percent, window
	})
	p.tell()
}

// tell shows the progress as it stands.
func (p *Puller) tell() {
	if p.o.OnProgress == nil {
		return
	}
	p.mu.Lock()
	s := &p.status
	shown := Progress{Phase: s.Phase, Percent: s.Percent, Documents: s.Documents, Products: s.Products, Window: s.Window}
	p.mu.Unlock()
	p.o.OnProgress(shown)
}

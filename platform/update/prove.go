package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"ostatok/platform/update/trial"
)

// Trial returns whether the running version is on trial, and whether going back
// from it would put the data back to before it (step). While step is true the
// agent acknowledges nothing and sends nothing out: it could not be kept.
func (m *Manager) Trial() (trying, step bool) {
	r, err := trial.Read(m.o.Root)
	if err != nil || !r.Trial || r.Version != m.o.Version {
		return false, false
	}
	return true, r.Copy != ""
}

// GaveUpError says that the running version did not prove itself and that the
// next start is the previous one: the agent ends now.
type GaveUpError struct{ Version, Reason string }

func (e *GaveUpError) Error() string {
	return "version " + e.Version + " gives up its trial: " + e.Reason
}

// Prove watches over the trial of the running version and returns nil when it is
// committed, or at once when there is no trial. healthy tells of this box only:
// files open, main loop turning, journal writable. It must hold without a break
// for the time that counts as stable. When that does not come about in time,
// Prove ends the trial and returns *GaveUpError.
func (m *Manager) Prove(ctx context.Context, healthy func(context.Context) error) error {
	if trying, _ := m.Trial(); !trying {
		return nil
	}
	r, err := trial.Read(m.o.Root)
	if err != nil {
		return err
	}
	deadline := r.Deadline
	if deadline <= 0 {
		deadline = trial.DefaultDeadline
	}
	// A little before the guard, which knows no reason.
	end := time.NewTimer(deadline - deadline/8)
	defer end.Stop()
	look := time.NewTicker(max(m.o.Stable/20, time.Millisecond))
	defer look.Stop()
	since := time.Now()
	ill := fmt.Errorf("it was not healthy for %s without a break", m.o.Stable)
	for {
		if err := healthy(ctx); err != nil {
			ill, since = err, time.Now()
		} else if time.Since(since) >= m.o.Stable {
			err := m.Commit()
			if _, over := errors.AsType[*trial.OverError](err); err == nil || over {
				return err
			}
			ill = err // a disk that is full now may have room in a minute
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case <-end.C:
			reason := fmt.Sprintf("not healthy within %s: %v", deadline-deadline/8, ill)
			if err := m.Fail(reason); err != nil {
				return err
			}
			return &GaveUpError{m.o.Version, reason}
		}
	}
}

// Commit ends the trial: this version stays. It returns *trial.OverError when
// the version is not on trial any more.
func (m *Manager) Commit() error {
	m.turn.Lock()
	err := trial.Change(m.o.Files, m.o.Root, func(r *trial.Record) error {
		if !r.Trial || r.Version != m.o.Version {
			return &trial.OverError{Version: m.o.Version, Reason: r.Reason}
		}
		r.Trial, r.Starts, r.Copy = false, 0, ""
		return nil
	})
	m.turn.Unlock()
	if err != nil {
		return err
	}
	m.o.At("committed")
	m.o.Log.Info().Str("version", m.o.Version).Msg("update committed")
	m.log.end()
	collectGuard()
	m.mu.Lock()
	if m.book.Staged == m.o.Version {
		m.book.Staged = ""
	}
	err = m.book.save(m.o.Files, m.o.Root)
	m.mu.Unlock()
	if err == nil {
		err = m.Sweep()
	}
	m.o.At("swept")
	if err != nil {
		// The version stays all the same; the next commit sweeps again.
		m.o.Log.Warn().Err(err).Msg("update leftovers not removed")
	}
	return nil
}

// Fail ends the trial of the running version: the previous one starts next. The
// agent ends after it.
func (m *Manager) Fail(reason string) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.o.Log.Error().Str("version", m.o.Version).Str("reason", reason).Msg("update given up")
	return trial.Fail(m.o.Files, m.o.Root, m.o.Version, reason)
}

// collectGuard waits for the guard, which the launcher left us as a child and
// which ends by itself once the trial is over: otherwise it would stay in the
// process table as long as the agent runs.
func collectGuard() {
	pid, err := strconv.Atoi(os.Getenv(trial.GuardVariable))
	if err != nil {
		return
	}
	if p, err := os.FindProcess(pid); err == nil {
		_, _ = p.Wait()
	}
}

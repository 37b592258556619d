package agent

import (
	"context"
	"errors"
	"time"

	"ostatok/agent/config"
)

// Ending is why Run returned.
type Ending int

// The endings.
const (
	Stopped Ending = iota // its context ended
	Reopen                // the configuration is another one: open the agent anew
	Restart               // an operator, or an update, wants a new process
)

// Serve opens the agent and runs it, and opens it anew when its configuration was
// changed from afar, until ctx ends or a new process is wanted.
func Serve(ctx context.Context, c *config.Config, o Options) (Ending, error) {
	for {
		a, err := openService(ctx, c, o)
		if err != nil {
			return Stopped, err
		}
		ending := a.Run(ctx)
		if err := a.Close(); err != nil || ending != Reopen || ctx.Err() != nil {
			return ending, err
		}
	}
}

// openService opens the agent. A command that a person runs at this moment may
// have the files open: under the launcher that is waited for, because the start of
// a version on trial is one of a few.
func openService(ctx context.Context, c *config.Config, o Options) (*Agent, error) {
	const patience, step = time.Minute, 200 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		a, err := Open(ctx, c, o)
		_, busy := errors.AsType[*BusyError](err)
		if !busy || o.Launch.Program == "" || waited >= patience || !sleep(ctx, step) {
			return a, err
		}
	}
}

// partingTime lets the answer to the command that ends the agent reach the broker.
// It goes out with the next session otherwise.
const partingTime = 2 * time.Second

// end makes Run return soon. The first ending counts, except that a new process
// also opens anew.
func (a *Agent) end(e Ending) {
	select {
	case a.endings <- e:
	default:
	}
}

// ends waits for an ending and then cancels what runs.
func (a *Agent) ends(ctx context.Context, cancel context.CancelFunc) Ending {
	select {
	case <-ctx.Done():
		return Stopped
	case e := <-a.endings:
		sleep(ctx, partingTime)
		if ctx.Err() != nil {
			return Stopped
		}
		cancel()
		return e
	}
}

// sleep waits, and tells whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/platform/lock"
)

// Shop is an agent to ask, here or in another process.
type Shop interface {
	local.Shop
	io.Closer
}

// Attach returns the agent that runs on the data directory, or else opens the
// files itself. The caller closes it.
func Attach(ctx context.Context, c *config.Config, o Options) (Shop, error) {
	// An agent that is just starting has the lock and not yet its socket; one
	// that rebuilds a large mirror takes this long.
	const patience, step = 10 * time.Second, 100 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		client, err := local.Dial(ctx, c.DataDir)
		if err == nil {
			return client, nil
		}
		if !errors.Is(err, local.ErrNotRunning) {
			return nil, err
		}
		a, err := Open(ctx, c, o)
		if err == nil {
			return a, nil
		}
		if _, busy := errors.AsType[*BusyError](err); !busy || waited >= patience {
			return nil, err
		}
		if !sleep(ctx, step) {
			return nil, ctx.Err()
		}
	}
}

// BusyError says that another process works on the data directory.
type BusyError struct {
	Config *config.Config
	Held   *lock.HeldError
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.Held.PID != 0 {
		who = fmt.Sprintf("process %d", e.Held.PID)
	}
	return fmt.Sprintf("%s is working on %s: wait for it to end, stop it, or name another shop's configuration with --config (this one is %s)",
		who, e.Config.DataDir, e.Config.File)
}

func (e *BusyError) Unwrap() error { return e.Held }

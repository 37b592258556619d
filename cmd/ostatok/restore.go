package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/local"
)

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the present databases, which are kept, also while the agent runs",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("cannot read the backup: %w; name a file that `ostatok backup` made", err)
			}
			defer f.Close()
			const done = "restored the state of %s; the files before are kept in %s as *.replaced-*. "
			m, err := agent.Restore(cmd.Context(), c, f, a.now())
			if _, busy := errors.AsType[*agent.BusyError](err); busy {
				at, dialErr := a.restoreInto(cmd.Context(), c.DataDir, f)
				if errors.Is(dialErr, local.ErrNotRunning) {
					return err // some other command has the files
				}
				if dialErr == nil {
					a.say(done+"The agent goes on from there", a.moment(&at), c.DataDir)
				}
				return dialErr
			}
			if err != nil {
				return err
			}
			a.say(done+"Run `ostatok sync --once` to catch up", a.moment(&m.At), c.DataDir)
			return nil
		},
	}
}

// restoreInto hands a backup to the agent that runs on a data directory, and
// waits until it has gone on from it. It returns when the backup was made.
func (a *app) restoreInto(ctx context.Context, dir string, backup io.Reader) (at time.Time, err error) {
	shop, err := local.Dial(ctx, dir)
	if err != nil {
		return at, err
	}
	defer func() { err = errors.Join(err, shop.Close()) }()
	before, err := shop.Status(ctx)
	if err != nil {
		return at, err
	}
	restored, err := shop.Restore(ctx, backup)
	if err != nil {
		return at, err
	}
	if !local.AwaitNext(ctx, dir, before.Opening) {
		return at, errors.New("the backup is verified and will be in force when the agent is started anew, which has not happened yet: " +
			"look at `ostatok status`, and at the log of the service")
	}
	return restored.At, nil
}

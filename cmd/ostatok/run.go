package main

import (
	"context"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/platform/service"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground, as the service does",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !a.configured() {
				if err := a.setUp(cmd.Context()); err != nil {
					return stopped(cmd.Context(), err)
				}
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			o := a.options(zerolog.Nop())
			o.Log, o.Logs = a.logger(c)
			o.Launch = agent.Launch{Program: a.variable(service.ProgramVariable), Environ: a.environ}
			// A new process is whoever started this one's to make.
			_, err = agent.Serve(cmd.Context(), c, o)
			return err
		},
	}
}

// stopped is nil when the program was told to stop: that is how a service ends.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// logger writes JSON for the journal of the system, and lines to a person. The
// newest lines are kept for an operator.
func (a *app) logger(c *config.Config) (zerolog.Logger, agent.Logs) {
	var w io.Writer = a.err
	if terminal(a.err) {
		w = zerolog.ConsoleWriter{Out: a.err, TimeFormat: time.TimeOnly}
	}
	newest, besides := new(tail), new(branch)
	// The library's own level: one of a logger is copied into all that are made
	// of it, and could not be set while the agent runs.
	level := func(name string) {
		level, err := zerolog.ParseLevel(name)
		if err != nil {
			level = zerolog.InfoLevel
		}
		zerolog.SetGlobalLevel(level)
	}
	level(c.Log.Level)
	return zerolog.New(zerolog.MultiLevelWriter(w, newest, besides)).With().Timestamp().Logger(),
		agent.Logs{SetLevel: level, Tail: newest.lines, Keep: besides.set}
}

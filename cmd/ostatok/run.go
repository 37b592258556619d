package main

import (
	"errors"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground, as the service does",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := a.load()
			if err != nil {
				return err
			}
			log := a.logger(c)
			own, err := agent.Open(cmd.Context(), c, a.options(log))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, own.Close()) }()
			own.Run(cmd.Context())
			return nil
		},
	}
}

// logger writes JSON for the journal of the system, and lines to a person.
func (a *app) logger(c *config.Config) zerolog.Logger {
	var w io.Writer = a.err
	if terminal(a.err) {
		w = zerolog.ConsoleWriter{Out: a.err, TimeFormat: time.TimeOnly}
	}
	level, err := zerolog.ParseLevel(c.Log.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ostatok/agent"
)

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the present databases, which are kept",
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
			m, err := agent.Restore(cmd.Context(), c, f, a.now())
			if err != nil {
				return err
			}
			a.say("restored the state of %s; the files before are kept in %s as *.replaced-*. Run `ostatok sync --once` to catch up",
				a.moment(&m.At), c.DataDir)
			return nil
		},
	}
}

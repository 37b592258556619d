package main

import (
	"encoding/json"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
)

// selfcheckCommand is what an older version asks of this one before it is
// switched to: whether it can use this shop's configuration and data.
func (a *app) selfcheckCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "selfcheck --data DIR",
		Short: "Open a copy of the databases and tell whether this version can use it",
		Long: "Reads the configuration, opens the databases in DIR, brings them to this version's level and checks them. DIR is\n" +
			"changed by it: give it a copy. Prints {\"version\",\"schema_level\"}; exit code 0 when all is well.",
		Args:   arguments(cobra.NoArgs),
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage("name a directory with a copy of the databases with --data")
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			report, err := agent.SelfCheck(cmd.Context(), c, a.options(zerolog.Nop()), dir)
			if err != nil {
				return err
			}
			return json.NewEncoder(a.out).Encode(report)
		},
	}
	c.Flags().StringVar(&dir, "data", "", "the directory with the copy")
	return c
}

package main

import (
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
)

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print an example, check the configuration, show what is in force",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return usage("config needs init, check or show") },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "init", Short: "Print a commented example", Args: arguments(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprint(a.out, config.Example)
				return err
			},
		},
		&cobra.Command{
			Use: "check", Short: "Check the configuration: exit 0 valid, 2 not", Args: arguments(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error {
				if _, err := a.load(); err != nil {
					return err
				}
				a.say("%s is valid", a.file)
				return nil
			},
		},
		&cobra.Command{
			Use: "show", Short: "Print every value in force and where it comes from", Args: arguments(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := a.load()
				if err != nil {
					return err
				}
				c, err = agent.InForce(cmd.Context(), c, a.options(zerolog.Nop()))
				if err != nil { // the file is worth showing all the same
					a.say("warning: what operators have set from afar is not among these: %v", err)
				}
				return a.printSettings(c.Settings())
			},
		},
	)
	return c
}

func (a *app) printSettings(settings []config.Setting) error {
	if a.format == formatJSON {
		return a.printJSON(settings)
	}
	l := a.list(column{title: "KEY", name: "key"}, column{title: "VALUE", name: "value"}, column{title: "FROM", name: "layer"})
	for _, s := range settings {
		from := string(s.Layer)
		switch {
		case s.Variable != "":
			from = s.Variable
		case s.Until != "":
			from = fmt.Sprintf("%s %s, until %s", s.Layer, s.By, s.Until)
		case s.Line > 0:
			from = fmt.Sprintf("line %d", s.Line)
		}
		if a.format == formatCSV {
			from = string(s.Layer)
		}
		l.add(s.Key, s.Value, from)
	}
	return l.end()
}

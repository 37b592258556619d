package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
)

// app is what the commands share. What a program reads goes to out, what a
// person reads about progress and mistakes to err.
type app struct {
	out, err io.Writer
	environ  []string
	now      func() time.Time
	build    agent.Build
	dialer   net.Dialer // how the box opens connections; zero: as the system does

	file   string // --config
	format string // --format
}

// main runs one command and returns the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		if text := explain(ctx, err); text != "" {
			fmt.Fprintln(a.err, "ostatok: "+text)
		}
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ostatok",
		Short: "Knows the stock of a shop with Evotor terminals, and why",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
		// Errors are printed once, by main, and a mistake in a file is not mended
		// by reading how flags are written.
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			switch a.format {
			case formatTable, formatJSON, formatCSV:
				return nil
			}
			return usage("--format %s is not known: write table, json or csv", a.format)
		},
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v; see `%s --help`", err, c.CommandPath())
	})
	root.PersistentFlags().StringVar(&a.file, "config", config.DefaultFile, "the configuration file")
	root.PersistentFlags().StringVar(&a.format, "format", formatTable, "how lists are printed: table, json or csv")
	root.AddCommand(
		a.runCommand(), a.syncCommand(), a.stockCommand(), a.explainCommand(), a.planCommand(), a.mappingCommand(),
		a.statusCommand(), a.doctorCommand(), a.backupCommand(), a.restoreCommand(), a.diagnoseCommand(),
		a.configCommand(), a.setupCommand(), a.accessCommand(), a.versionCommand(), a.updateCommand(), a.selfcheckCommand(),
	)
	root.AddCommand(a.serviceCommands()...)
	return root
}

// arguments makes a mistake in the arguments a mistake in the usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err != nil && strings.Contains(err.Error(), "arg(s)") { // the library counts; people want to see
			return usage("write it as `%s`; see `%s --help`", strings.TrimSuffix(c.UseLine(), " [flags]"), c.CommandPath())
		}
		if err != nil {
			return usage("%v; see `%s --help`", err, c.CommandPath())
		}
		return nil
	}
}

// load reads the configuration and tells its warnings.
func (a *app) load() (*config.Config, error) {
	c, err := config.Load(a.file, a.environ)
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		fmt.Fprintln(a.err, "warning: "+w.String())
	}
	return c, nil
}

func (a *app) options(log zerolog.Logger) agent.Options {
	return agent.Options{Build: a.build, Now: a.now, Dialer: a.dialer, Log: log}
}

// shop returns the agent of the configured shop: the one that runs, or else this
// process with the files open. The caller closes it.
func (a *app) shop(ctx context.Context) (agent.Shop, *config.Config, error) {
	c, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	// A command tells people what happens in its own words; the log is for `run`.
	shop, err := agent.Attach(ctx, c, a.options(zerolog.Nop()))
	if err != nil {
		return nil, nil, err
	}
	if own, ok := shop.(*agent.Agent); ok {
		for _, notice := range own.Notices() {
			fmt.Fprintln(a.err, "warning: "+notice)
		}
	}
	return shop, c, nil
}

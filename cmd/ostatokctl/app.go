package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the linker: -X main.version=1.2.3.
var version string

// The exit codes, the same as those of `ostatok`.
const (
	exitUnexpected = 1
	exitUsage      = 2 // bad usage or configuration
	exitIncomplete = 3 // not every shop did what it was told
	exitNotFound   = 4 // no such shop has ever shown itself
)

// exitError ends the program with a code. Its text may be empty when the command
// has said everything itself.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// app is what the commands share. What a program reads goes to out, what a
// person reads about progress and mistakes to err.
type app struct {
	out, err io.Writer
	environ  []string
	now      func() time.Time

	file   string        // --config
	settle time.Duration // --settle
}

// main runs one command and returns the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		a.say("interrupted")
	case err.Error() != "":
		a.say("ostatokctl: %v", err)
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitUnexpected
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ostatokctl",
		Short: "Looks after a fleet of shops over MQTT",
		Long: `Looks after a fleet of shops over MQTT: which shop is behind and why, and
signed commands to one, some or all of them.

Its configuration is a small file, ` + defaultFile("~/.config") + ` unless --config or
OSTATOKCTL_CONFIG names another:

` + indent(exampleConfig) + `
Each setting can come from the environment instead: OSTATOKCTL_URLS (with
commas), OSTATOKCTL_TENANT and so on.

Exit codes: 0 done, 1 unexpected error, 2 bad usage or configuration, 3 not every
shop did what it was told, 4 there is no such shop.`,
		Example: `  ostatokctl keygen ~/.config/ostatok/operator.pem
  ostatokctl watch
  ostatokctl send --all sync`,
		Version: readVersion(),
		Args:    arguments(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
		// Errors are printed once, by main, and a mistake in a file is not mended
		// by reading how flags are written.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetVersionTemplate("ostatokctl {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v; see `%s --help`", err, c.CommandPath())
	})
	root.PersistentFlags().StringVar(&a.file, "config", "", "the configuration file")
	root.PersistentFlags().DurationVar(&a.settle, "settle", time.Second,
		"the broker has told everything it kept when it is silent for so long; more for slow lines")
	root.AddCommand(
		a.keygenCommand(), a.watchCommand(), a.showCommand(), a.sendCommand(),
		a.eventsCommand(), a.stockCommand(), a.exportCommand(), a.releaseCommand(),
	)
	return root
}

// arguments makes a mistake in the arguments a mistake in the usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usage("%v; see `%s --help`", err, c.CommandPath())
		}
		return nil
	}
}

// formatFlag adds --format with the formats of a command, the default first.
func formatFlag(c *cobra.Command, format *string, formats ...string) {
	c.Flags().StringVar(format, "format", formats[0], "how it is printed: "+strings.Join(formats, ", "))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		for _, f := range formats {
			if *format == f {
				if before != nil {
					return before(c, args)
				}
				return nil
			}
		}
		return usage("--format %s is not known here: write %s", *format, strings.Join(formats, " or "))
	}
}

// The formats of lists.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

// say tells a person something that is not the result.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

func readVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}

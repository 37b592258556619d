package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/platform/service"
)

func (a *app) setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Serve the page that makes the first configuration, until it is made",
		Long: "Serves a form at local.listen (http://127.0.0.1:8480) that asks for the token, the shop and the systems to be\n" +
			"kept in step, tries each of them, and writes the configuration with the files of its secrets. The form asks for\n" +
			"the access code that this command prints. `ostatok run` does the same when there is no configuration, and then goes on.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.configured() {
				return usage("%s is there already: change it with an editor, or move it away first", a.file)
			}
			if err := a.setUp(cmd.Context()); err != nil {
				return err
			}
			a.say("%s is written; start the agent with `ostatok run`, or its service", a.file)
			return nil
		},
	}
}

// configured tells whether there is a configuration, a broken one too.
func (a *app) configured() bool {
	_, err := os.Stat(a.file)
	return !errors.Is(err, fs.ErrNotExist)
}

// setUp has a person make the first configuration on the setup page.
func (a *app) setUp(ctx context.Context) error {
	o := agent.SetupOptions{File: a.file, Environ: a.environ, Say: a.tellSetup}
	log, _ := a.logger(config.Default())
	o.Options = a.options(log)

	// For a service manager a page that waits for a person is a start that is
	// complete, and all is well as long as this process runs.
	manager := service.NewNotifier(a.environ)
	if err := manager.Ready(); err != nil {
		log.Warn().Err(err).Msg("service manager not told")
	}
	ctx, stop := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { manager.Keep(ctx, func(context.Context) error { return nil }, nil) })
	defer keeping.Wait()
	defer stop()
	return agent.Setup(ctx, o)
}

func (a *app) tellSetup(address, code string) {
	fmt.Fprintf(a.err, "There is no configuration %s yet: make it at %s\nAccess code, shown once: %s\n", a.file, address, code)
}

// Command ostatok-sandbox is a shop on your desk: a simulated Evotor cloud with
// a shop behind it that goes on selling, and simulated VirtPOS, Zelenka and KeyCRM
// that hold the shop's stock, for trying the agent out and for tests from outside.
// It knows what is really on the shelf, and in the other systems, and tells it
// under /sandbox/truth and /sandbox/holds.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ostatok-sandbox:", err)
		os.Exit(exitCode(err))
	}
}

func command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:           "ostatok-sandbox",
		Short:         "a simulated Evotor cloud with a shop behind it, and the backends beside it",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err}
			}
			return serve(c.Context(), &o, c.OutOrStdout())
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	o.flags(c.Flags())
	return c
}

// usageError is a command line that cannot be carried out: exit code 2.
type usageError struct{ error }

func exitCode(err error) int {
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return 2
	}
	return 1
}

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
)

func (a *app) diagnoseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diagnose FILE",
		Short: "Write a bundle for support, without secrets",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Before the files are opened, so that the doctor sees them as they lie.
			checks := a.examine(cmd.Context(), false) // the bundle may be wanted where only root can write
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				err := writeFile(args[0], func(w io.Writer) error { return shop.Diagnose(ctx, w, checks) })
				if err == nil {
					a.say("written to %s; it holds no secrets and can be sent to support", args[0])
				}
				return err
			})
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
	"ostatok/platform/disk"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the databases into one file, also while the agent runs",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withShop(cmd.Context(), func(ctx context.Context, shop local.Shop) error {
				err := writeFile(args[0], func(w io.Writer) error { return shop.Backup(ctx, w) })
				if err == nil {
					a.say("saved to %s", args[0])
				}
				return err
			})
		},
	}
}

// writeFile writes a file that appears under its name only when it is whole and
// on the disk. It is the owner's alone: it holds a shop's sales.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w; name a file in a directory that you may write in", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(name)) // else a power cut takes the name
}

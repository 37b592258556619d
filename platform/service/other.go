//go:build !linux

package service

import (
	"context"
	"errors"
	"fmt"
)

func prepare(Options) error        { return unsupported() }
func remove(Options) error         { return unsupported() }
func replace(string, []byte) error { return unsupported() }

// ActAs does nothing: there is no root.
func ActAs(string) error { return nil }

// Supervise is only needed, and only there, on Linux.
func Supervise(context.Context, Supervision) error { return unsupported() }

func unsupported() error {
	return fmt.Errorf("cannot do this on this system: %w", errors.ErrUnsupported)
}

package main

import (
	"context"
	"errors"
	"fmt"

	"ostatok/agent/config"
	"ostatok/agent/local"
)

// The exit codes, a part of the contract with scripts.
const (
	exitUnexpected = 1
	exitUsage      = 2 // bad usage or configuration
	exitIncomplete = 3 // the sync left something open, and said what
	exitNotFound   = 4
	exitWarnings   = 5 // the doctor found something to look at
	exitErrors     = 6 // … something that keeps the agent from working
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

// exitCode is the program's exit code for what a command returned.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*config.InvalidError](err); ok {
		return exitUsage
	}
	switch local.CodeOf(err) {
	case local.NotFound:
		return exitNotFound
	case local.Refused:
		return exitUsage
	}
	return exitUnexpected
}

// explain is what a person is told of an error.
func explain(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return "interrupted; what was done so far is kept, run the command again to go on"
	case errors.Is(err, local.ErrNotRunning):
		return err.Error() + "; start it with `ostatok run`"
	}
	return err.Error()
}

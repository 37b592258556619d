// Package lock keeps a directory for one process at a time.
//
// The operating system drops the lock with the process, however it ends, so
// there is no stale lock to clean up; the file stays and means nothing by itself.
package lock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// HeldError says that another process has the lock.
type HeldError struct {
	File string
	PID  int // 0 when the holder did not write it yet
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return e.File + " is held by another process"
	}
	return fmt.Sprintf("%s is held by process %d", e.File, e.PID)
}

// errHeld is what the system's lock call says when another process was first.
var errHeld = errors.New("held")

// Lock is a lock that this process holds.
type Lock struct{ file *os.File }

// Take locks the file, making it when needed, or returns *HeldError at once.
func Take(name string) (*Lock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make the lock file: %w", err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if errors.Is(err, errHeld) {
			return nil, &HeldError{File: name, PID: holder(f)}
		}
		return nil, fmt.Errorf("cannot lock %s: %w", name, err)
	}
	// The number is for people. A card so full that it cannot be written must not
	// keep the agent from starting.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{f}, nil
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() }

func holder(f *os.File) int {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

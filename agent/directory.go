package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ostatok/agent/config"
	"ostatok/platform/lock"
	"ostatok/platform/service"
	"ostatok/platform/update/trial"
)

// Files of the data directory.
const (
	lockName   = "ostatok.lock" // says which process owns the directory
	mirrorName = "mirror.db"
)

// takeDir makes the data directory and locks it. Another process that works on
// it is a *BusyError.
func takeDir(c *config.Config) (*lock.Lock, error) {
	err := makeDir(c.DataDir)
	var l *lock.Lock
	if err == nil {
		err = service.ActAs(c.DataDir) // files of root's would be closed to the service
	}
	if err == nil {
		l, err = lock.Take(filepath.Join(c.DataDir, lockName))
	}
	if held, ok := errors.AsType[*lock.HeldError](err); ok {
		return nil, &BusyError{Config: c, Held: held}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot use %s: %w; run as the service's user, or set data_dir in the configuration", c.DataDir, err)
	case err != nil:
		return nil, fmt.Errorf("cannot use %s: %w; check the card, or set data_dir in the configuration", c.DataDir, err)
	}
	return l, nil
}

// makeDir makes a directory that a power cut does not take away again with all
// that was durable in it: its own name is in the directory above.
func makeDir(dir string) error {
	var fresh []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		fresh = append(fresh, d)
	}
	// 0700: the databases hold a shop's sales.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range fresh {
		// Not every system can sync a directory, and none of them loses by it.
		_ = (trial.Disk{}).SyncDir(filepath.Dir(d))
	}
	return nil
}

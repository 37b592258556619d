package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What is saved of a damaged FILE is FILE.saving until it is whole and on the
// card, and FILE.saved until it has taken the place of the damaged one.
const (
	saving = ".saving"
	saved  = ".saved"
)

// Rescue saves what can be read of the damaged o.File into a new one that takes
// its place, and sets the damaged one aside as SetAside does. rows are those that
// were saved of each table. A power cut at any moment leaves the damaged file to
// begin with anew, or one for FinishRescue. The file must be closed.
func Rescue(ctx context.Context, o Options, now time.Time) (moved string, rows map[string]int64, err error) {
	file := o.File
	o.File += saving
	if err := removeSet(o.File); err != nil { // of an attempt that was cut off
		return "", nil, fmt.Errorf("cannot begin to save what %s holds: %w", file, err)
	}
	fresh, err := Open(ctx, o)
	if err != nil {
		return "", nil, err
	}
	rows, err = Salvage(ctx, file, fresh)
	if err := errors.Join(err, fresh.Close()); err != nil {
		return "", rows, fmt.Errorf("cannot save what %s holds: %w", file, err)
	}
	if err := publish(o.File, file+saved); err != nil {
		return "", rows, fmt.Errorf("cannot save what %s holds: %w", file, err)
	}
	moved, _, err = FinishRescue(file, now)
	return moved, rows, err
}

// FinishRescue puts what was saved of a damaged file in its place, if there is
// something: done tells. moved is where the damaged one lies, "" when an attempt
// before this one has moved it. The file must be closed.
func FinishRescue(file string, now time.Time) (moved string, done bool, err error) {
	if !exists(file + saved) {
		return "", false, nil
	}
	if exists(file) {
		if moved, err = SetAside(file, Corrupt, now); err != nil {
			return "", false, err
		}
	}
	err = os.Rename(file+saved, file)
	if err := errors.Join(err, syncDirectory(filepath.Dir(file))); err != nil {
		return moved, false, fmt.Errorf("cannot put what was saved of %s in its place: %w", file, err)
	}
	return moved, true, nil
}

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/sqlite"
	"ostatok/platform/disk"
)

// What is restored lies beside the files whose place it takes until it is
// verified and on the card: changes of one directory become durable in their
// order, those of two in none. Then one file decides the restore, and from there
// on the next start finishes it, whenever the power is cut. Another file says
// that everything is in place and the restored journal does not know of it yet.
const (
	unpackedSuffix = ".restored"
	decidedName    = "restore.decided"
	doneName       = "restore.done"
)

func unpackedName(dir, name string) string { return filepath.Join(dir, name+unpackedSuffix) }

// restorable are the files that a restore puts in place, in that order.
func restorable() [2]string { return [...]string{journal.FileName, mirrorName} }

// decide makes the unpacked files, which are synced, those to go on from.
func decide(dir string) error {
	err := disk.SyncDir(dir) // their names
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, decidedName), nil, 0o600)
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot restore: %w", errors.Join(err, os.RemoveAll(filepath.Join(dir, decidedName))))
	}
	return nil
}

// decideRestore decides a restore of the files in from, which stay there and
// which nobody changes any more. It can be cut off anywhere and called again.
func decideRestore(dir, from string) error {
	if exists(filepath.Join(dir, decidedName)) {
		return nil
	}
	err := dropUnpacked(dir)
	for _, name := range restorable() {
		if err == nil {
			err = copyTo(filepath.Join(from, name), unpackedName(dir, name))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	return decide(dir)
}

func copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = unpackFile(in, to)
	return err
}

// finishRestore moves the files of a decided restore into place and tells whether
// there was one. It can be cut off anywhere and called again, until endRestore.
func finishRestore(dir string, now time.Time) (restored bool, err error) {
	decided, done := filepath.Join(dir, decidedName), filepath.Join(dir, doneName)
	if !exists(decided) {
		return exists(done), dropUnpacked(dir)
	}
	for _, name := range restorable() {
		unpacked := unpackedName(dir, name)
		if !exists(unpacked) {
			continue // it is in place already
		}
		// A write-ahead log left beside the restored file would be played into it.
		_, err := sqlite.SetAside(filepath.Join(dir, name), sqlite.Replaced, now)
		if err == nil {
			err = os.Rename(unpacked, filepath.Join(dir, name))
		}
		if err != nil {
			return false, fmt.Errorf("cannot finish the restore: %w", err)
		}
	}
	// Nothing is written to files whose names a power cut could still take back.
	err = disk.SyncDir(dir)
	if err == nil {
		err = os.Rename(decided, done)
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return false, fmt.Errorf("cannot finish the restore: %w", err)
	}
	return true, nil
}

// endRestore forgets the restore once the restored journal knows of it.
func endRestore(dir string) error {
	err := os.Remove(filepath.Join(dir, doneName))
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot end the restore: %w", err)
	}
	return nil
}

// dropUnpacked removes what was unpacked of a restore that is not decided.
func dropUnpacked(dir string) error {
	var errs []error
	for _, name := range restorable() {
		if unpacked := unpackedName(dir, name); exists(unpacked) {
			errs = append(errs, os.Remove(unpacked))
		}
	}
	return errors.Join(errs...)
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

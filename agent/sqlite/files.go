package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
)

// suffixes are the files that belong to one database. The database comes last
// when they are moved: what is left after a crash is then still found.
func suffixes() [4]string { return [4]string{"-shm", "-wal", "-journal", ""} }

// Why says in a file's name why it was set aside.
type Why string

// The reasons to set a file aside.
const (
	Corrupt  Why = "corrupt"  // it is damaged
	Replaced Why = "replaced" // it is sound, and another one takes its place
)

// SetAside moves the file and what belongs to it out of the way, under a name
// with the reason and the time (UTC): FILE.corrupt-20261121T203000Z. The file
// must be closed.
func SetAside(file string, why Why, now time.Time) (moved string, err error) {
	stamp := fmt.Sprintf("%s.%s-%s", file, why, now.UTC().Format("20060102T150405Z"))
	moved = stamp
	for n := 2; exists(moved); n++ {
		moved = fmt.Sprintf("%s-%d", stamp, n)
	}
	for _, suffix := range suffixes() {
		if err := os.Rename(file+suffix, moved+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot set %s aside: %w", file+suffix, err)
		}
	}
	return moved, syncDirectory(filepath.Dir(file))
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// readable tells whether some and whether all of the file and of its logs can be
// read from the card. The file must be closed.
func readable(file string) (some, all bool) {
	all = true
	for _, name := range []string{file, file + "-wal", file + "-journal"} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			all = false
			continue
		}
		forget(f)
		block := make([]byte, 64<<10)
		for at := int64(0); ; at += int64(len(block)) {
			n, err := f.ReadAt(block, at)
			some = some || n > 0
			if errors.Is(err, io.EOF) {
				break
			}
			if info, sizeErr := f.Stat(); err != nil && (sizeErr != nil || at >= info.Size()) {
				all = false
				break
			}
			all = all && err == nil
		}
		_ = f.Close() // was read only
	}
	return some, all
}

func removeSet(file string) error {
	var errs []error
	for _, suffix := range suffixes() {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// backupPages are copied between two looks at the context: 1 MiB.
const backupPages = 256

// copyPages copies the database of a raw connection into a new file.
func copyPages(ctx context.Context, raw any, file string) error {
	source, ok := raw.(interface {
		NewBackup(string) (*driver.Backup, error)
	})
	if !ok {
		return errors.New("the driver has no backup")
	}
	b, err := source.NewBackup(uri(file))
	if err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, b.Finish())
		}
		if more, err = b.Step(backupPages); err != nil {
			return errors.Join(err, b.Finish())
		}
	}
	return b.Finish()
}

// publish makes the finished file durable and gives it its name.
func publish(partial, file string) error {
	f, err := os.OpenFile(partial, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, file); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(file))
}

// syncDirectory makes renames in dir durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Not every file system can sync a directory, and none of them loses by it.
	_ = d.Sync()
	return d.Close()
}

package trial

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File is a file being written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Files is how an update changes the disk: the few calls whose order decides
// what a power cut leaves behind. Tests put one in between that forgets what was
// not synced.
type Files interface {
	OpenFile(name string, flag int, perm os.FileMode) (File, error)
	Mkdir(name string) error // with its parents; nothing when it is there
	Rename(from, to string) error
	Symlink(to, name string) error
	RemoveAll(name string) error
	SyncDir(name string) error // makes what was renamed, made and removed in it durable
}

// Disk is the file system itself.
type Disk struct{}

func (Disk) OpenFile(name string, flag int, perm os.FileMode) (File, error) {
	return os.OpenFile(name, flag, perm)
}
func (Disk) Mkdir(name string) error       { return os.MkdirAll(name, 0o755) }
func (Disk) Rename(from, to string) error  { return os.Rename(from, to) }
func (Disk) Symlink(to, name string) error { return os.Symlink(to, name) }
func (Disk) RemoveAll(name string) error   { return os.RemoveAll(name) }

func (Disk) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Save writes a file that was not there and makes its content durable; its name
// becomes durable with SyncDir.
func Save(f Files, name string, data []byte, perm os.FileMode) error {
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}

// Replace puts data in the place of a file, which is at any moment either the
// old one or the new one.
func Replace(f Files, name string, data []byte) error {
	fresh := name + ".new"
	if err := Save(f, fresh, data, 0o644); err != nil {
		return err
	}
	if err := f.Rename(fresh, name); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}

const (
	linkName = "current"
	lockName = "lock"
	versions = "versions"

	// ProgramName is the name of the program in the directory of a version.
	ProgramName = "ostatok"
)

// Dir returns the directory of a version under root.
func Dir(root, version string) string { return filepath.Join(root, versions, version) }

// Program returns the file of a version's program under root.
func Program(root, version string) string { return filepath.Join(Dir(root, version), ProgramName) }

// Linked returns the version that the link under root points to, "" when there
// is none.
func Linked(root string) string {
	to, err := os.Readlink(filepath.Join(root, linkName))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// Link points the link under root to a version, in one step. Nothing is written
// when it does already.
func Link(f Files, root, version string) error {
	if Linked(root) == version {
		return nil
	}
	name := filepath.Join(root, linkName)
	err := f.RemoveAll(name + ".new")
	if err == nil {
		err = f.Symlink(filepath.Join(versions, version), name+".new")
	}
	if err == nil {
		err = f.Rename(name+".new", name)
	}
	if err == nil {
		err = f.SyncDir(root)
	}
	if err != nil {
		return fmt.Errorf("cannot link version %s: %w", version, err)
	}
	return nil
}

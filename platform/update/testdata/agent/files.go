package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ostatok/platform/update/trial"
)

// cutFiles is a disk that a power cut takes back to what was synced: what a file
// contains lasts with its Sync, what a directory lists with its SyncDir.
type cutFiles struct {
	trial.Disk
	pending []*change
	trash   int
}

// change is something done that a power cut would undo.
type change struct {
	dir  string // SyncDir of it makes the change last; "" for a content
	file string // Sync of it makes the change last; "" for an entry
	undo func()
}

func (c *cutFiles) cut() {
	for _, p := range slices.Backward(c.pending) {
		p.undo()
	}
}

func (c *cutFiles) entry(name string, undo func()) {
	c.pending = append(c.pending, &change{dir: filepath.Dir(name), undo: undo})
}

// aside moves what has a name out of the way, so that it can be put back.
func (c *cutFiles) aside(name string) (back func()) {
	if _, err := os.Lstat(name); err != nil {
		return func() { must(os.RemoveAll(name)) }
	}
	c.trash++
	kept := filepath.Join(os.Getenv("FAKE_DATA"), "trash-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(c.trash))
	must(os.Rename(name, kept))
	return func() { must(os.RemoveAll(name)); must(os.Rename(kept, name)) }
}

func (c *cutFiles) OpenFile(name string, flag int, perm os.FileMode) (trial.File, error) {
	before, err := os.ReadFile(name)
	fresh := err != nil
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if fresh {
		c.entry(name, func() { must(os.RemoveAll(name)) })
	}
	c.pending = append(c.pending, &change{file: name, undo: func() { must(os.WriteFile(name, before, perm)) }})
	return &cutFile{f, c, name}, nil
}

type cutFile struct {
	*os.File
	disk *cutFiles
	name string
}

func (f *cutFile) Sync() error {
	f.disk.pending = slices.DeleteFunc(f.disk.pending, func(p *change) bool { return p.file == f.name })
	return f.File.Sync()
}

func (c *cutFiles) Mkdir(name string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := c.Disk.Mkdir(name); err != nil {
		return err
	}
	c.entry(name, func() { must(os.RemoveAll(name)) })
	return nil
}

func (c *cutFiles) Symlink(to, name string) error {
	if err := c.Disk.Symlink(to, name); err != nil {
		return err
	}
	c.entry(name, func() { must(os.RemoveAll(name)) })
	return nil
}

func (c *cutFiles) RemoveAll(name string) error {
	if _, err := os.Lstat(name); err != nil {
		return nil
	}
	c.entry(name, c.aside(name))
	return nil
}

func (c *cutFiles) Rename(from, to string) error {
	back := c.aside(to)
	if err := os.Rename(from, to); err != nil {
		return err
	}
	c.entry(to, func() { must(os.Rename(to, from)); back() })
	return nil
}

// SyncDir makes a directory's entries last, and with a renamed entry also what
// is still pending below its old name: that is undone under the new one.
func (c *cutFiles) SyncDir(name string) error {
	c.pending = slices.DeleteFunc(c.pending, func(p *change) bool { return p.dir == name })
	for _, p := range c.pending {
		if strings.Contains(p.dir+p.file, ".new-") {
			must(os.ErrInvalid) // a version was named before it was whole
		}
	}
	return c.Disk.SyncDir(name)
}

// fullFiles is a disk that is full after so many writing calls.
type fullFiles struct {
	trial.Disk
	left int64
}

func (f *fullFiles) full() error {
	if f.left--; f.left < 0 {
		return syscall.ENOSPC
	}
	return nil
}

func (f *fullFiles) OpenFile(name string, flag int, perm os.FileMode) (trial.File, error) {
	if err := f.full(); err != nil {
		return nil, err
	}
	file, err := f.Disk.OpenFile(name, flag, perm)
	return &fullFile{file, f}, err
}

type fullFile struct {
	trial.File
	disk *fullFiles
}

func (f *fullFile) Write(p []byte) (int, error) {
	if err := f.disk.full(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *fullFiles) Mkdir(name string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := f.full(); err != nil {
		return err
	}
	return f.Disk.Mkdir(name)
}

func (f *fullFiles) Symlink(to, name string) error {
	if err := f.full(); err != nil {
		return err
	}
	return f.Disk.Symlink(to, name)
}

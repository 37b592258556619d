package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// data is a shop's data: a file of acknowledged notes, whose first line is its
// level. A program reads no higher level than its own.
type data struct {
	dir   string
	own   int
	level int
	count int
	held  *os.File
}

func (d *data) file() string { return filepath.Join(d.dir, "notes") }

// lock is what makes sure that one version runs: a second one ends.
func (d *data) lock() (err error) {
	if d.held, err = os.OpenFile(filepath.Join(d.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if syscall.Flock(int(d.held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return errors.New("two agents at once")
	}
	return nil
}

// open reads the level, and brings older data to the program's own.
func (d *data) open() error {
	text, err := os.ReadFile(d.file())
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	if d.level, err = strconv.Atoi(first); err != nil {
		return err
	}
	d.count = strings.Count(rest, "\n")
	if d.level > d.own {
		return fmt.Errorf("the data has level %d, this program reads up to %d", d.level, d.own)
	}
	if d.level < d.own {
		d.level = d.own
		return write(d.file(), strconv.Itoa(d.own)+"\n"+rest)
	}
	return nil
}

// note acknowledges one note: it is durable before it is told.
func (d *data) note(version string) {
	f, err := os.OpenFile(d.file(), os.O_WRONLY|os.O_APPEND, 0o600)
	must(err)
	d.count++
	name := strconv.Itoa(d.count) + " by " + version
	_, err = f.WriteString(name + "\n")
	must(errors.Join(err, f.Sync(), f.Close()))
	say("noted " + name)
}

// Level implements update.Data.
func (d *data) Level() int { return d.level }

// Size implements update.Data.
func (d *data) Size() (int64, error) {
	info, err := os.Stat(d.file())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Copy implements update.Data.
func (d *data) Copy(_ context.Context, dir string) error {
	text, err := os.ReadFile(d.file())
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "notes"), string(text))
}

// Restore implements update.Data.
func (d *data) Restore(_ context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "notes"))
	if err != nil {
		return err
	}
	return write(d.file(), string(text))
}

func write(name, text string) error {
	f, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close(), os.Rename(name+".new", name)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

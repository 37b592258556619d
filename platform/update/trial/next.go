package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Choice is what to start.
type Choice struct {
	Version  string
	Program  string        // the file to execute
	Deadline time.Duration // on trial: how long it may run uncommitted; 0 not on trial
	Note     string        // what there is to tell; "" nothing
}

// ErrNothing says that no version under the root can be started.
var ErrNothing = errors.New("no version can be started: install the package again")

// The steps of Next, in order, for tests that stop at them.
const (
	StepBack    = "launcher: gone back"
	StepCounted = "launcher: start counted"
	StepLinked  = "launcher: linked"
)

// Next decides what starts now and writes it down first: one more start of a
// version on trial, or the way back from one that used up its starts. broken
// holds versions that could not be executed just now, with the reason.
//
// A trial whose start cannot be counted, on a full or read-only disk, does not
// start: without the count a crashing version would be started for ever. The
// previous version runs until the disk can be written again, unless the data has
// been brought to a level that it cannot read.
//
// at is called after each step; nil for none.
func Next(f Files, root string, broken map[string]string, at func(step string)) (Choice, error) {
	if at == nil {
		at = func(string) {}
	}
	usable := func(v string) bool {
		info, err := os.Stat(Program(root, v))
		return v != "" && broken[v] == "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	}
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }

	release, err := Lock(root, lockWait)
	if err == nil {
		defer release()
	} else {
		note("%v", err) // whoever holds it hangs, and something must start
	}
	r, err := Read(root)
	guessed := err != nil
	if guessed {
		// What the link says was perhaps on trial, so it is on trial again; the
		// record that is written with its first start mends the damage.
		r = Record{Version: Linked(root)}
		if !usable(r.Version) {
			r.Version = newest(root, usable, "")
		}
		r.Previous = newest(root, usable, r.Version)
		r.Trial = r.Previous != ""
		note("%v; going on with version %s", err, r.Version)
	}
	most := r.Most
	if most <= 0 {
		most = DefaultStarts
	}

	reason := ""
	switch {
	case !usable(r.Version):
		reason = broken[r.Version]
		if reason == "" {
			reason = "its program is missing"
		}
	case r.Trial && r.Starts >= most:
		reason = fmt.Sprintf("it was started %d times and never proved healthy", r.Starts)
	}
	unwritten := error(nil)
	if reason != "" {
		if !usable(r.Previous) {
			r.Previous = newest(root, usable, r.Version)
		}
		switch {
		case r.Previous != "":
			r.Back(reason)
			note("version %s failed: %s; going back to %s", r.Failed, reason, r.Version)
			unwritten = Write(f, root, r)
			at(StepBack)
		case !usable(r.Version):
			return Choice{}, fmt.Errorf("version %q: %s; %w", r.Version, reason, ErrNothing)
		default:
			note("version %s failed: %s; there is no other to go back to", r.Version, reason)
		}
	}
	c := Choice{Version: r.Version}
	if r.Trial {
		r.Starts++
		unwritten = Write(f, root, r)
		at(StepCounted)
		if unwritten != nil && usable(r.Previous) && r.Copy == "" && !guessed {
			c.Version = r.Previous
			note("a start of version %s on trial cannot be counted, so %s runs", r.Version, c.Version)
		} else {
			c.Deadline = r.Deadline
			if c.Deadline <= 0 {
				c.Deadline = DefaultDeadline
			}
			note("version %s is on trial, start %d of %d", r.Version, r.Starts, most)
		}
	}
	if unwritten == nil {
		unwritten = Link(f, root, r.Version)
		at(StepLinked)
	}
	if unwritten != nil {
		note("%v", unwritten)
	}
	c.Program = Program(root, c.Version)
	c.Note = strings.Join(notes, "; ")
	return c, nil
}

// newest returns the usable version whose directory was completed last, other
// than one.
func newest(root string, usable func(string) bool, other string) (version string) {
	entries, err := os.ReadDir(filepath.Join(root, versions))
	if err != nil {
		return ""
	}
	var at time.Time
	for _, e := range entries {
		v := e.Name()
		info, err := os.Stat(Program(root, v))
		if err != nil || v == other || strings.HasPrefix(v, ".") || !usable(v) {
			continue
		}
		if version == "" || info.ModTime().After(at) {
			version, at = v, info.ModTime()
		}
	}
	return version
}

// OverError says that a version is not, or no longer, on trial.
type OverError struct{ Version, Reason string }

func (e *OverError) Error() string {
	if e.Reason != "" {
		return "version " + e.Version + " is not on trial any more: " + e.Reason
	}
	return "version " + e.Version + " is not on trial"
}

// Change reads the record, lets change edit it and writes it, under the lock.
// Nothing is written when change returns an error. A record that is missing is
// an empty one.
func Change(f Files, root string, change func(*Record) error) error {
	release, err := Lock(root, lockWait)
	if err != nil {
		return err
	}
	defer release()
	r, err := Read(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := change(&r); err != nil {
		return err
	}
	return Write(f, root, r)
}

// Fail ends the trial of a version: the next start is the previous one. It
// returns *OverError when the version is not on trial, so that a trial that was
// committed a moment ago stands.
func Fail(f Files, root, version, reason string) error {
	return Change(f, root, func(r *Record) error {
		if !r.Trial || r.Version != version {
			return &OverError{version, r.Reason}
		}
		if r.Previous == "" {
			return ErrNothing
		}
		r.Back(reason)
		return nil
	})
}

// lockWait is how long a change waits for the lock; nobody who works holds it
// for that long.
const lockWait = 5 * time.Second

// GuardVariable is the environment variable by which a version on trial knows
// the process of its guard, a child that it has to collect.
const GuardVariable = "OSTATOK_GUARD"

// Package update brings a box from one release to the next and back: fetch,
// verify, unpack, check on a copy of the data, switch, trial, commit or return.
//
//	Check → Fetch → Stage → Switch → (restart) → Recover, Prove → Commit
//	                                      └ the launcher, the guard or Prove → back
//
// Each step may be cut off at any instant and is repeated from what the disk
// says. What runs is decided by the record that platform/update/trial describes;
// the launcher obeys it, and no update replaces the launcher. Health that
// decides a way back is local only: a cloud that cannot be reached says nothing
// about a release.
package update

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ostatok/platform/disk"
	"ostatok/platform/release"
	"ostatok/platform/update/trial"
)

// Data is what an update needs of the agent's data. Recover calls Restore before
// the agent has opened it; Stage and Switch call the others while it is open.
type Data interface {
	// Level is the schema level that the data has.
	Level() int
	// Size is the room in bytes that a copy takes.
	Size() (int64, error)
	// Copy makes a consistent copy in dir, which is there and empty, and makes it
	// durable before it returns.
	Copy(ctx context.Context, dir string) error
	// Restore puts a copy back in the place of the data and sets aside what was
	// there. It may be interrupted and is then called again; dir stays as it is.
	Restore(ctx context.Context, dir string) error
}

// Checker starts a program that is not yet trusted on a copy of the data.
type Checker interface {
	Check(ctx context.Context, program, data string) (Report, error)
}

// Report is what a program says of itself in a selfcheck.
type Report struct {
	Version string `json:"version"`
	Schema  int    `json:"schema_level"` // of the data after the program has opened it
}

// Options of a Manager. Root, Product, Version, OS, Arch, Roots, Data and
// Checker are required.
type Options struct {
	Root     string // $OSTATOK_PROGRAM
	Product  string
	Version  string // of this program
	OS, Arch string
	Roots    []ed25519.PublicKey // offline keys that certify release keys
	URL      string              // base of the server with releases; "" only files
	Channel  string
	Data     Data
	Checker  Checker
	Client   *http.Client
	Time     func() time.Time                 // the best known time; time.Now by default
	Free     func(dir string) (uint64, error) // bytes; the disk's by default
	Files    trial.Files                      // the disk by default
	Starts   int                              // of a version on trial; 3 by default
	Deadline time.Duration                    // of a trial; 10 min by default
	Stable   time.Duration                    // healthy for so long is proved; 3 min by default
	Stall    time.Duration                    // a download without a byte for so long is given up; 1 min by default
	Log      zerolog.Logger
	At       func(step string) // called after each step; nil outside tests
}

// Manager is the updater of one box. Its methods may be called from several
// goroutines; those that change something run one at a time.
type Manager struct {
	o     Options
	turn  sync.Mutex // one change at a time
	mu    sync.Mutex // guards what is below
	book  book
	doing string
	log   *trialLog
}

// Open reads where the last update ended, and takes over what the launcher
// decided meanwhile: a version that was gone back from is remembered as bad. It
// does not fail: a shop sells on whatever has become of the notes of an updater.
func Open(o Options) *Manager {
	o.fill()
	m := &Manager{o: o}
	var err error
	if m.book, err = readBook(o.Root); err != nil {
		o.Log.Warn().Err(err).Msg("update notes set aside")
	}
	r, err := trial.Read(o.Root)
	if _, damaged := errors.AsType[*trial.DamagedError](err); damaged {
		r = trial.Record{Version: o.Version}
		o.Log.Warn().Err(errors.Join(err, trial.Write(o.Files, o.Root, r))).Msg("record of versions set aside")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Error().Err(err).Msg("record of versions unreadable")
	}
	if r.Failed != "" && m.book.remember(m.bad(r)) {
		if m.book.Staged == r.Failed {
			m.book.Staged = ""
		}
		o.Log.Error().Str("version", r.Failed).Str("reason", r.Reason).Str("running", o.Version).Msg("update rolled back")
		if err := m.book.save(o.Files, o.Root); err != nil {
			o.Log.Warn().Err(err).Msg("bad version not noted")
		}
	}
	// A commit may have been cut off, or a package have brought something newer.
	if release.Compare(m.book.Staged, o.Version) <= 0 {
		m.book.Staged = ""
	}
	if r.Trial && r.Version == o.Version {
		m.log = openLog(logFile(o.Root, o.Version))
	}
	return m
}

// bad is the failed version of a record, with the digest by which the same
// release is known again.
func (m *Manager) bad(r trial.Record) Bad {
	b := Bad{Version: r.Failed, Reason: r.Reason, At: m.o.Time().UTC()}
	if a, err := readAbout(m.o.Root, r.Failed); err == nil {
		b.SHA256 = a.SHA256
	}
	return b
}

func (o *Options) fill() {
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Time == nil {
		o.Time = time.Now
	}
	if o.Free == nil {
		o.Free = func(dir string) (uint64, error) {
			s, err := disk.Of(dir)
			return s.Free, err
		}
	}
	if o.Files == nil {
		o.Files = trial.Disk{}
	}
	if o.Starts <= 0 {
		o.Starts = trial.DefaultStarts
	}
	if o.Deadline <= 0 {
		o.Deadline = trial.DefaultDeadline
	}
	if o.Stable <= 0 {
		o.Stable = 3 * time.Minute
	}
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	if o.At == nil {
		o.At = func(string) {}
	}
}

// Status is where updates stand.
type Status struct {
	Version  string `json:"version"`            // that runs
	Next     string `json:"next,omitempty"`     // that starts next, when another
	Previous string `json:"previous,omitempty"` // that can be gone back to
	Staged   string `json:"staged,omitempty"`   // that waits for its window
	Trial    bool   `json:"trial"`              // the running version is on trial
	Starts   int    `json:"starts,omitempty"`   // of the trial
	Failed   string `json:"failed,omitempty"`   // the version last gone back from
	Reason   string `json:"reason,omitempty"`   // why
	Log      string `json:"log,omitempty"`      // the failed version's log
	Doing    string `json:"doing,omitempty"`    // the step under way
	Bad      []Bad  `json:"bad,omitempty"`
	Managed  bool   `json:"managed"` // false: started without the launcher, updated by its package
}

// Status returns where updates stand. An unreadable record is said in Reason.
func (m *Manager) Status() Status {
	m.mu.Lock()
	s := Status{Version: m.o.Version, Staged: m.book.Staged, Doing: m.doing, Bad: append([]Bad(nil), m.book.Bad...)}
	m.mu.Unlock()
	s.Managed = m.managed()
	r, err := trial.Read(m.o.Root)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Reason = err.Error()
		}
		return s
	}
	s.Previous, s.Failed, s.Reason = r.Previous, r.Failed, r.Reason
	if r.Version != m.o.Version {
		s.Next = r.Version
	} else if s.Trial = r.Trial; r.Trial {
		s.Starts = r.Starts
	}
	if name := logFile(m.o.Root, r.Failed); r.Failed != "" && exists(name) {
		s.Log = name
	}
	return s
}

// managed says whether this program is one that the launcher starts.
func (m *Manager) managed() bool { return exists(trial.Program(m.o.Root, m.o.Version)) }

// Forget takes a version off the list of bad ones, so that it may be tried again.
func (m *Manager) Forget(version string) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	// The record first: what it calls failed is noted as bad at every start.
	err := trial.Change(m.o.Files, m.o.Root, func(r *trial.Record) error {
		if r.Failed == version {
			r.Failed, r.Reason = "", ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.book.forget(version)
	return m.book.save(m.o.Files, m.o.Root)
}

// Log takes what the agent logs. While it is on trial a copy is kept, together
// with what the runtime prints at a crash, so that a failed version can be
// understood after it is gone. Writes never fail.
func (m *Manager) Log() io.Writer {
	if m.log == nil {
		return io.Discard
	}
	return m.log
}

func (m *Manager) do(what string) {
	m.mu.Lock()
	m.doing = what
	m.mu.Unlock()
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ostatok/platform/release"
	"ostatok/platform/update/trial"
)

// Errors of Switch and Rollback that say what to do instead.
var (
	ErrNothingStaged = errors.New("no release is staged")
	ErrUnmanaged     = errors.New("this program was not started by the launcher: update its package instead")
	ErrOnTrial       = errors.New("a version is on trial: wait until it is committed or gone back from")
	ErrNoPrevious    = errors.New("there is no earlier version to go back to")
)

const copies = "copies"

// Switch makes the staged version the one that starts next, on trial. The agent
// must have stopped to take anything in, and ends after Switch has returned: a
// release that brings the data to a new level starts from a copy that is made
// here, and what came after would be lost on the way back.
func (m *Manager) Switch(ctx context.Context) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.mu.Lock()
	version := m.book.Staged
	m.mu.Unlock()
	if version == "" {
		return ErrNothingStaged
	}
	if !m.managed() {
		return ErrUnmanaged
	}
	a, err := readAbout(m.o.Root, version)
	if err != nil || !exists(trial.Program(m.o.Root, version)) {
		return fmt.Errorf("the staged version %s is not whole, fetch it again: %w", version, errors.Join(ErrNothingStaged, err))
	}
	m.do("switching to " + version)
	defer m.do("")
	held := ""
	if a.Schema > m.o.Data.Level() {
		if held, err = m.hold(ctx); err != nil {
			return err
		}
	}
	m.o.At("data held")
	err = trial.Change(m.o.Files, m.o.Root, func(r *trial.Record) error {
		if r.Trial || r.Copy != "" || (r.Version != "" && r.Version != m.o.Version) {
			return ErrOnTrial
		}
		r.Version, r.Previous, r.Failed, r.Reason = version, m.o.Version, "", ""
		r.Trial, r.Starts, r.Most, r.Deadline, r.Copy = true, 0, m.o.Starts, m.o.Deadline, held
		return nil
	})
	if err != nil {
		return err
	}
	m.o.At("intent written")
	m.o.Log.Info().Str("version", version).Str("previous", m.o.Version).Msg("update switched, the version is on trial")
	m.link(version)
	m.o.At("linked")
	return nil
}

// link follows the record. The record is what counts, and the launcher links
// again what it says, so a failure here is not one of the caller's.
func (m *Manager) link(version string) {
	if err := trial.Link(m.o.Files, m.o.Root, version); err != nil {
		m.o.Log.Warn().Err(err).Msg("version not linked")
	}
}

// hold makes the copy of the data that a way back needs, and returns its name
// under the root.
func (m *Manager) hold(ctx context.Context) (string, error) {
	name := filepath.Join(copies, m.o.Version)
	dir := filepath.Join(m.o.Root, name)
	err := m.o.Files.RemoveAll(dir)
	if err == nil {
		err = m.o.Files.Mkdir(dir)
	}
	if err == nil {
		err = m.o.Data.Copy(ctx, dir)
	}
	if err == nil {
		err = m.o.Files.SyncDir(filepath.Dir(dir))
	}
	if err == nil {
		err = m.o.Files.SyncDir(m.o.Root)
	}
	if err != nil {
		return "", fmt.Errorf("cannot copy the data: %w", err)
	}
	return name, nil
}

// Recover puts the data back that a failed version had brought to a level which
// this one cannot read. The agent calls it before it opens its data; when it
// returns an error the data must not be opened.
func (m *Manager) Recover(ctx context.Context) error {
	// Without a record that can be read nothing is put back; data of a level that
	// this program cannot read is refused by whoever opens it.
	r, err := trial.Read(m.o.Root)
	if err != nil || r.Trial || r.Copy == "" || r.Version != m.o.Version {
		return nil
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	m.do("putting the data back")
	defer m.do("")
	dir := filepath.Join(m.o.Root, r.Copy)
	if err := m.o.Data.Restore(ctx, dir); err != nil {
		return fmt.Errorf("cannot put the data of before version %s back: %w", r.Failed, err)
	}
	m.o.At("data restored")
	err = trial.Change(m.o.Files, m.o.Root, func(r *trial.Record) error { r.Copy = ""; return nil })
	if err != nil {
		return err
	}
	m.o.At("copy released")
	m.o.Log.Warn().Str("failed", r.Failed).Msg("data put back to before the failed version")
	return m.o.Files.RemoveAll(dir)
}

// Rollback makes the previous version the one that starts next, because a person
// asked for it; this version is then remembered as bad. The agent ends after it.
func (m *Manager) Rollback(reason string) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if !m.managed() {
		return ErrUnmanaged
	}
	next := ""
	err := trial.Change(m.o.Files, m.o.Root, func(r *trial.Record) error {
		if r.Version != m.o.Version || r.Previous == "" || !exists(trial.Program(m.o.Root, r.Previous)) {
			return ErrNoPrevious
		}
		if !r.Trial { // a trial has the copy that it needs
			a, err := readAbout(m.o.Root, r.Previous)
			if err != nil {
				return err
			}
			if level := m.o.Data.Level(); a.Schema < level {
				return &release.RefusedError{Code: CodeSchema, Message: fmt.Sprintf("version %s reads data up to level %d, this shop has %d", a.Version, a.Schema, level)}
			}
		}
		r.Back(reason)
		next = r.Version
		return nil
	})
	if err != nil {
		return err
	}
	m.o.At("rolled back")
	m.o.Log.Warn().Str("version", m.o.Version).Str("reason", reason).Msg("update rolled back by request")
	m.link(next)
	return nil
}

// kept says whether a version must not be removed: it runs, starts next, is
// linked, or is what can be gone back to. A record that cannot be read keeps all.
func (m *Manager) kept(version string) bool {
	r, err := trial.Read(m.o.Root)
	if err != nil {
		return true
	}
	return version == m.o.Version || version == r.Version || version == r.Previous || version == trial.Linked(m.o.Root)
}

// Sweep removes what no update needs any more: other versions, downloads, copies
// of the data, old logs. What cannot be removed is left for the next time.
func (m *Manager) Sweep() error {
	m.turn.Lock()
	defer m.turn.Unlock()
	r, err := trial.Read(m.o.Root)
	if err != nil || r.Trial {
		return err
	}
	m.mu.Lock()
	staged, bad := m.book.Staged, append([]Bad(nil), m.book.Bad...)
	m.mu.Unlock()
	var errs []error
	clear := func(folder string, keep func(name string) bool) {
		entries, err := os.ReadDir(filepath.Join(m.o.Root, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if !keep(e.Name()) {
				errs = append(errs, m.o.Files.RemoveAll(filepath.Join(m.o.Root, folder, e.Name())))
			}
		}
	}
	clear("versions", func(name string) bool { return name == staged || m.kept(name) })
	clear(downloads, func(string) bool { return false })
	clear(copies, func(name string) bool { return filepath.Join(copies, name) == r.Copy })
	clear(logs, func(name string) bool {
		for _, b := range bad[max(0, len(bad)-keptLogs):] {
			if strings.TrimSuffix(name, ".log") == b.Version {
				return true
			}
		}
		return false
	})
	return errors.Join(errs...)
}

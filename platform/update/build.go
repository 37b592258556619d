package update

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"ostatok/platform/update/trial"
)

// build makes the directory of a version: the program, by write, and the note
// what it is. The directory gets its name last and after check has accepted the
// program, so one that has its name is whole and checked.
func build(f trial.Files, dir string, a about, write func(io.Writer) error, check func(program string) error, at func(string)) (err error) {
	fresh := filepath.Join(filepath.Dir(dir), ".new-"+a.Version)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.RemoveAll(fresh))
		}
	}()
	if err := errors.Join(f.RemoveAll(fresh), f.Mkdir(fresh)); err != nil {
		return err
	}
	program := filepath.Join(fresh, trial.ProgramName)
	out, err := f.OpenFile(program, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if err = write(out); err == nil {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	at("unpacked")
	note, err := seal(a)
	if err == nil {
		err = trial.Save(f, filepath.Join(fresh, aboutName), note, 0o644)
	}
	if err == nil {
		err = f.SyncDir(fresh)
	}
	if err == nil {
		err = check(program)
	}
	if err != nil {
		return err
	}
	at("selfchecked")
	if err = f.RemoveAll(dir); err == nil {
		err = f.Rename(fresh, dir)
	}
	if err != nil {
		return err
	}
	at("version named")
	// The folder of versions may be as new as its first entry.
	if err = f.SyncDir(filepath.Dir(dir)); err == nil {
		err = f.SyncDir(filepath.Dir(filepath.Dir(dir)))
	}
	return err
}

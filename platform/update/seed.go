package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ostatok/platform/release"
	"ostatok/platform/update/trial"
)

// Seed makes a program that a package brought the one that starts: the first
// version of a box, or a newer package over an older release. It is repeatable,
// and does nothing when the box runs this version or a newer one. schema is the
// level of data that the program writes.
func Seed(f trial.Files, root, program, version string, schema int) error {
	if !release.ValidVersion(version) {
		return fmt.Errorf("cannot install: %q is not a version like 1.2.0", version)
	}
	r, err := trial.Read(root)
	if err == nil && release.Compare(r.Version, version) >= 0 && exists(trial.Program(root, r.Version)) {
		return nil
	}
	if err == nil && (r.Trial || r.Copy != "") {
		return ErrOnTrial
	}
	dir := trial.Dir(root, version)
	if !exists(filepath.Join(dir, aboutName)) {
		in, err := os.Open(program)
		if err != nil {
			return fmt.Errorf("cannot install version %s: %w", version, err)
		}
		defer in.Close()
		copied := func(w io.Writer) error { _, err := io.Copy(w, in); return err }
		err = build(f, dir, about{Version: version, Schema: schema}, copied, func(string) error { return nil }, func(string) {})
		if err != nil {
			return fmt.Errorf("cannot install version %s: %w", version, err)
		}
	}
	// A record that was damaged is not worth more than this one.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = trial.Write(f, root, trial.Record{Version: version})
	} else {
		err = trial.Change(f, root, func(r *trial.Record) error {
			*r = trial.Record{Version: version}
			return nil
		})
	}
	if err != nil {
		return err
	}
	return trial.Link(f, root, version)
}

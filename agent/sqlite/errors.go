package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	driver "modernc.org/sqlite"
)

// The primary result codes that decide something (sqlite.org/rescode.html).
const (
	codePerm       = 3
	codeBusy       = 5
	codeReadOnly   = 8
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotDB      = 26
)

// CorruptError says that the file is damaged or is not one of ours. What to do
// depends on the file: set it aside and rebuild, or salvage.
type CorruptError struct {
	File   string
	Detail string // what the check found
	Err    error  // nil when a check found it
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged or not a file of this program: %s", e.File, e.Detail)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Damaged tells whether an error speaks of damage, be it typed or as the driver
// gave it to a reader. That is no proof: SQLite says so also when a read failed.
func Damaged(err error) bool {
	if _, ok := errors.AsType[*CorruptError](err); ok {
		return true
	}
	fault, ok := errors.AsType[*driver.Error](err)
	return ok && (fault.Code()&0xff == codeCorrupt || fault.Code()&0xff == codeNotDB)
}

// Reason is why a file cannot be used although it may be sound.
type Reason string

// The reasons of an OpenError.
const (
	Missing    Reason = "missing"    // the directory does not exist
	Permission Reason = "permission" // this user may not read or write it
	ReadOnly   Reason = "read_only"  // the file system is mounted read-only
	Full       Reason = "full"       // no space left
	Locked     Reason = "locked"     // another process holds it
	Newer      Reason = "newer"      // written by a newer release in a form this one cannot read
	NotAFile   Reason = "not_a_file" // the name is a directory or the like
	Failing    Reason = "failing"    // the card answers with an error of input or output
)

// OpenError says why a file cannot be opened and what to do about it.
type OpenError struct {
	File   string
	Reason Reason
	Err    error
}

func (e *OpenError) Error() string {
	text := fmt.Sprintf("cannot open %s: %s", e.File, e.Reason.advice(filepath.Dir(e.File)))
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

func (e *OpenError) Unwrap() error { return e.Err }

func (r Reason) advice(dir string) string {
	switch r {
	case Missing:
		return "the directory " + dir + " does not exist; create it or correct data_dir"
	case Permission:
		return "permission denied; give " + dir + " and the files in it to the user that runs the agent"
	case ReadOnly:
		return "the file system is read-only; check the card and mount it for writing"
	case Full:
		return "no space left in " + dir + "; free some and start again"
	case Locked:
		return "another process is using it; stop the service or the other command first"
	case Newer:
		return "it was written by a newer release; install that release, or restore the copy made before it"
	case NotAFile:
		return "it is not a regular file; move it away or correct data_dir"
	case Failing:
		return "the card of " + dir + " does not read or write; if this stays, replace it: `ostatok backup` saves what can still be read"
	}
	return string(r)
}

// FullError says that a write failed for want of space; nothing of it was kept
// and the file is sound.
type FullError struct {
	File string
	Err  error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("cannot write %s: no space left in %s; free some (%v)", e.File, filepath.Dir(e.File), e.Err)
}

func (e *FullError) Unwrap() error { return e.Err }

// classify gives an error of the driver its type; others pass unchanged.
func classify(file string, err error) error {
	var (
		corrupt *CorruptError
		open    *OpenError
		full    *FullError
		fault   *driver.Error
	)
	if errors.As(err, &corrupt) || errors.As(err, &open) || errors.As(err, &full) || !errors.As(err, &fault) {
		return err
	}
	switch fault.Code() & 0xff {
	case codeCorrupt, codeNotDB:
		return &CorruptError{File: file, Detail: fault.Error(), Err: err}
	case codeFull:
		return &FullError{File: file, Err: err}
	case codeBusy:
		return &OpenError{File: file, Reason: Locked, Err: err}
	case codePerm:
		return &OpenError{File: file, Reason: Permission, Err: err}
	case codeReadOnly:
		return &OpenError{File: file, Reason: reasonOf(probe(file), ReadOnly), Err: err}
	case codeCantOpen, codeIO:
		// SQLite keeps the errno to itself: ask the file system.
		switch reason := reasonOf(probe(file), ""); reason {
		case "":
			return err
		case Full:
			return &FullError{File: file, Err: err}
		default:
			return &OpenError{File: file, Reason: reason, Err: err}
		}
	}
	return err
}

// ofTheCard tells whether an error says something of the file or of what it lies
// on, rather than of what was asked.
func ofTheCard(err error) bool {
	fault, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return false
	}
	switch fault.Code() & 0xff {
	case codePerm, codeReadOnly, codeIO, codeCorrupt, codeFull, codeCantOpen, codeNotDB:
		return true
	}
	return false
}

func reasonOf(err error, otherwise Reason) Reason {
	var open *OpenError
	if errors.As(err, &open) {
		return open.Reason
	}
	return otherwise
}

// probe asks the file system what would keep SQLite from working here, because
// SQLite's own answer ("unable to open database file") covers four cases that
// want four different remedies. It never opens the file itself.
func probe(file string) error {
	dir := filepath.Dir(file)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &OpenError{File: file, Reason: Missing}
	case errors.Is(err, syscall.EIO):
		return &OpenError{File: file, Reason: Failing, Err: err}
	case err != nil:
		return &OpenError{File: file, Reason: Permission, Err: err}
	case !info.IsDir():
		return &OpenError{File: file, Reason: Missing}
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return &OpenError{File: file, Reason: NotAFile}
	}
	trial, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		// One block must fit: without it even the WAL header cannot be written.
		_, err = trial.Write(make([]byte, 4096))
		err = errors.Join(err, trial.Close(), os.Remove(trial.Name()))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EIO):
		return &OpenError{File: file, Reason: Failing, Err: err}
	case errors.Is(err, syscall.EROFS):
		return &OpenError{File: file, Reason: ReadOnly, Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &OpenError{File: file, Reason: Full, Err: err}
	default:
		return &OpenError{File: file, Reason: Permission, Err: err}
	}
}

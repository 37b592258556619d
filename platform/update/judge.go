package update

import (
	"fmt"

	"ostatok/platform/release"
)

// Codes of a release.RefusedError that depend on what the box runs.
const (
	CodeSame      = "same"
	CodeDowngrade = "downgrade"
	CodeBad       = "bad_version"
	CodeSchema    = "schema"
	CodeSelfcheck = "selfcheck_failed"
)

// SpaceError says that the disk has no room for an update.
type SpaceError struct{ Need, Free uint64 } // bytes

func (e *SpaceError) Error() string {
	return fmt.Sprintf("an update needs %d MB of free disk, there are %d: make room and try again", e.Need>>20+1, e.Free>>20)
}

// spare is what an update leaves free: the shop goes on selling meanwhile.
const spare = 10 << 20

// judge returns *release.RefusedError when this box must not run the release.
func (m *Manager) judge(r *release.Release) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := release.Compare(r.Version, m.o.Version)
	bad := m.book.isBad(r.Version, r.SHA256)
	var code, message string
	switch level := m.o.Data.Level(); {
	case order == 0:
		code, message = CodeSame, "version "+r.Version+" runs already"
	case order < 0:
		code, message = CodeDowngrade, fmt.Sprintf("version %s is older than %s, which runs; to go back use the rollback", r.Version, m.o.Version)
	case bad != nil:
		code, message = CodeBad, fmt.Sprintf("version %s was tried on %s and failed: %s", r.Version, bad.At.Format("2006-01-02"), bad.Reason)
	case level < r.MinSchema:
		code, message = CodeSchema, fmt.Sprintf("version %s reads data from level %d up, this shop has %d; install a version in between first", r.Version, r.MinSchema, level)
	case r.Schema < level:
		code, message = CodeSchema, fmt.Sprintf("version %s reads data up to level %d, this shop has %d", r.Version, r.Schema, level)
	default:
		return nil
	}
	return &release.RefusedError{Code: code, Message: message}
}

// room returns *SpaceError when the disk cannot take so many bytes and the
// copies of the data that an update makes: one to check on, one to go back to.
func (m *Manager) room(bytes int64) error {
	size, err := m.o.Data.Size()
	if err != nil {
		return fmt.Errorf("cannot tell the size of the data: %w", err)
	}
	free, err := m.o.Free(m.o.Root)
	if err != nil {
		return err
	}
	if need := uint64(bytes+2*size) + spare; free < need {
		return &SpaceError{need, free}
	}
	return nil
}

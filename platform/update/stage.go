package update

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ostatok/platform/release"
	"ostatok/platform/update/trial"
)

// Stage verifies a release file, from Fetch or from a person, unpacks it,
// checks the program on a copy of the data and leaves it ready for Switch. The
// error is *release.RefusedError when it is not accepted, *SpaceError when the
// disk is too full. A file of our downloads that is not accepted is removed, so
// that the next Fetch begins afresh.
func (m *Manager) Stage(ctx context.Context, file string) (*release.Release, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	defer m.do("")
	r, err := m.stage(ctx, file)
	if _, refused := errors.AsType[*release.RefusedError](err); refused && filepath.Dir(file) == filepath.Join(m.o.Root, downloads) {
		err = errors.Join(err, m.o.Files.RemoveAll(file))
	}
	return r, err
}

func (m *Manager) stage(ctx context.Context, file string) (*release.Release, error) {
	m.do("verifying a release")
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the release: %w", err)
	}
	defer f.Close()
	r, err := release.Read(bufio.NewReader(f), m.rules())
	if err != nil {
		return nil, err
	}
	if err := m.judge(r); err != nil {
		return nil, err
	}
	packed := func() io.Reader { return io.NewSectionReader(f, int64(len(r.Head)), r.Size+1) }
	if err := r.Check(packed()); err != nil {
		return nil, err
	}
	m.o.At("verified")
	dir := trial.Dir(m.o.Root, r.Version)
	if a, err := readAbout(m.o.Root, r.Version); err != nil || a.SHA256 != r.SHA256 {
		if m.kept(r.Version) {
			return nil, &release.RefusedError{Code: CodeSame, Message: "another build of version " + r.Version + " is in use"}
		}
		if err := m.room(r.Unpacked); err != nil {
			return nil, err
		}
		m.do("unpacking " + r.Version)
		err := build(m.o.Files, dir, about{Version: r.Version, SHA256: r.SHA256, Schema: r.Schema},
			func(w io.Writer) error { return r.Unpack(w, packed()) },
			func(program string) error { return m.selfcheck(ctx, r, program) }, m.o.At)
		if err != nil {
			return nil, fmt.Errorf("cannot stage version %s: %w", r.Version, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.book.Staged, m.book.Serial = r.Version, r.Serial
	if err := m.book.save(m.o.Files, m.o.Root); err != nil {
		return nil, err
	}
	m.o.At("staged")
	m.o.Log.Info().Str("version", r.Version).Msg("update staged")
	return r, nil
}

const checks = "selfcheck"

// selfcheck runs the new program on a copy of the data, so that a release that
// cannot read this shop is found before it is switched to.
func (m *Manager) selfcheck(ctx context.Context, r *release.Release, program string) (err error) {
	m.do("checking " + r.Version)
	dir := filepath.Join(m.o.Root, checks)
	defer func() { err = errors.Join(err, m.o.Files.RemoveAll(dir)) }()
	if err = m.o.Files.RemoveAll(dir); err == nil {
		err = m.o.Files.Mkdir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot make room for the selfcheck: %w", err)
	}
	if err := m.o.Data.Copy(ctx, dir); err != nil {
		return fmt.Errorf("cannot copy the data for the selfcheck: %w", err)
	}
	m.o.At("data copied for the selfcheck")
	report, err := m.o.Checker.Check(ctx, program, dir)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("cannot finish the selfcheck: %w", ctx.Err())
	case err != nil:
		return &release.RefusedError{Code: CodeSelfcheck, Message: fmt.Sprintf("version %s does not pass its selfcheck on this box: %v", r.Version, err)}
	case report.Version != r.Version || report.Schema != r.Schema:
		return &release.RefusedError{Code: CodeSelfcheck, Message: fmt.Sprintf(
			"its program says that it is version %s of level %d, its manifest %s of level %d", report.Version, report.Schema, r.Version, r.Schema)}
	}
	return nil
}

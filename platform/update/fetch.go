package update

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ostatok/platform/release"
)

const downloads = "downloads"

// ErrNoServer says that no address of releases is configured.
var ErrNoServer = errors.New("no server of releases is configured; use a release file")

// Check asks the server for a release and verifies its head: the version, or
// with "" the newest of the channel. The error is *release.RefusedError when it
// is not for this box, and nil with a nil release when there is nothing newer.
func (m *Manager) Check(ctx context.Context, version string) (*release.Release, error) {
	if m.o.URL == "" {
		return nil, ErrNoServer
	}
	path := release.NewestPath(m.o.Channel, m.o.OS, m.o.Arch)
	if version != "" {
		path = release.FilePath(m.o.Product, version, m.o.OS, m.o.Arch)
	}
	address, err := m.address(path)
	if err != nil {
		return nil, err
	}
	body, err := m.get(ctx, address, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	r, err := release.Read(bufio.NewReaderSize(body, release.MaxHead), m.rules())
	if err != nil {
		return nil, err
	}
	if version != "" && r.Version != version {
		return nil, &release.RefusedError{Code: release.CodeContent, Message: "the server has version " + r.Version + " in the place of " + version}
	}
	if err := m.judge(r); err != nil {
		if refused, ok := errors.AsType[*release.RefusedError](err); ok &&
			(refused.Code == CodeSame || (refused.Code == CodeDowngrade && version == "")) {
			return nil, nil
		}
		return nil, err
	}
	return r, nil
}

func (m *Manager) rules() release.Rules {
	m.mu.Lock()
	defer m.mu.Unlock()
	return release.Rules{
		Roots: m.o.Roots, Serial: m.book.Serial, Time: m.o.Time(),
		Product: m.o.Product, OS: m.o.OS, Arch: m.o.Arch,
	}
}

// Fetch downloads a release that Check returned and returns its file. A download
// that was cut off goes on where it ended; the file is judged as a whole by
// Stage, so what a server answers here need not be believed.
func (m *Manager) Fetch(ctx context.Context, r *release.Release) (string, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.do("downloading " + r.Version)
	defer m.do("")

	name := filepath.Join(m.o.Root, downloads, r.SHA256+".release")
	if exists(name) {
		return name, nil
	}
	part, total := name+".part", int64(len(r.Head))+r.Size
	have := int64(0)
	if info, err := os.Stat(part); err == nil {
		have = info.Size()
	}
	if have > total {
		have = 0
	}
	if err := m.room(total - have + r.Unpacked); err != nil {
		return "", err
	}
	if err := m.o.Files.Mkdir(filepath.Dir(name)); err != nil {
		return "", fmt.Errorf("cannot keep the release: %w", err)
	}
	if have < total {
		if err := m.download(ctx, r.URL, part, have, total); err != nil {
			return "", err
		}
	}
	m.o.At("downloaded")
	if err := m.o.Files.Rename(part, name); err != nil {
		return "", fmt.Errorf("cannot keep the release: %w", err)
	}
	m.o.At("download named")
	return name, nil
}

// download appends to part until it has total bytes.
func (m *Manager) download(ctx context.Context, from, part string, have, total int64) error {
	address, err := m.address(from)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(m.o.Stall, cancel)
	defer stalled.Stop()
	body, err := m.get(ctx, address, have)
	if err != nil {
		return err
	}
	defer body.Close()
	flag := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if !body.resumed {
		have, flag = 0, flag|os.O_TRUNC
	}
	f, err := m.o.Files.OpenFile(part, flag, 0o644)
	if err != nil {
		return fmt.Errorf("cannot keep the release: %w", err)
	}
	m.o.At("download begun")
	// Written in pieces, so that a slow line is seen to move.
	for buffer := make([]byte, 32<<10); err == nil; {
		var n int
		n, err = body.Read(buffer)
		stalled.Reset(m.o.Stall)
		if have += int64(n); have > total {
			err = &release.RefusedError{Code: release.CodeContent, Message: fmt.Sprintf("the server sends more than the %d bytes of its manifest", total)}
			break
		}
		if n > 0 {
			if _, e := f.Write(buffer[:n]); e != nil {
				err = fmt.Errorf("cannot keep the release: %w", e)
			}
		}
	}
	if errors.Is(err, io.EOF) && have == total {
		err = f.Sync()
	} else if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if refused, ok := errors.AsType[*release.RefusedError](err); ok {
		return errors.Join(refused, m.o.Files.RemoveAll(part))
	}
	if err != nil {
		return fmt.Errorf("cannot download the release, %d of %d bytes are here: %w", have, total, err)
	}
	return nil
}

func (m *Manager) address(to string) (string, error) {
	base, err := url.Parse(strings.TrimSuffix(m.o.URL, "/") + "/")
	if err == nil && m.o.URL != "" {
		base, err = base.Parse(to)
	} else if err == nil {
		base, err = url.Parse(to)
	}
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return "", fmt.Errorf("cannot make an address of %q", to)
	}
	return base.String(), nil
}

// answer is a body, and whether it begins where the request asked.
type answer struct {
	io.ReadCloser
	resumed bool
}

func (m *Manager) get(ctx context.Context, address string, from int64) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a release: %w", err)
	}
	// A body that the transport unpacks by itself has no offsets to resume at.
	request.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		request.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	}
	response, err := m.o.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a release: %w", err)
	}
	switch {
	case response.StatusCode == http.StatusOK:
		return &answer{response.Body, false}, nil
	case response.StatusCode == http.StatusPartialContent && from > 0 &&
		strings.HasPrefix(response.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(from, 10)+"-"):
		return &answer{response.Body, true}, nil
	}
	_ = response.Body.Close()
	if from > 0 {
		return m.get(ctx, address, 0) // a server that cannot resume starts over
	}
	return nil, fmt.Errorf("cannot get a release: the server answers %s", response.Status)
}

package release

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// FileName is the name of a release's file.
func FileName(product, version, system, arch string) string {
	return product + "-" + version + "-" + system + "-" + arch + ".release"
}

// FilePath is where a server keeps a release, under its base. A manifest's URL
// is this unless the release is kept elsewhere.
func FilePath(product, version, system, arch string) string {
	return path.Join(version, FileName(product, version, system, arch))
}

// NewestPath is where a server keeps the head of a channel's newest release.
func NewestPath(channel, system, arch string) string {
	return path.Join("newest", channel, system+"-"+arch)
}

// Publish copies a release into the directory that a web server serves, and
// makes it the newest of its channel. It is verified as a box would do it; boxes
// see either the old head or the new one.
func Publish(dir, file string, rules Rules) (*Release, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the release: %w", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	r, err := Read(in, rules)
	if err != nil {
		return nil, err
	}
	if err := r.Check(in); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("cannot read the release: %w", err)
	}
	if err := place(filepath.Join(dir, FilePath(r.Product, r.Version, r.OS, r.Arch)), f); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, NewestPath(r.Channel, r.OS, r.Arch))
	if err := place(name, strings.NewReader(r.Head)); err != nil {
		return nil, err
	}
	return r, nil
}

func place(name string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("cannot publish: %w", err)
	}
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("cannot publish: %w", err)
	}
	_, err = io.Copy(f, content)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("cannot publish: %w", err)
	}
	return nil
}

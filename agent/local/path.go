package local

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	socketName = "ostatok.sock"
	noteName   = "ostatok.sock.path" // where the socket is when the data directory's name is too long
)

// longest is the most bytes of a socket's path that every system takes: macOS
// has 104 with the closing zero, Linux 108.
const longest = 103

// Listen makes the control socket of a data directory. The caller must hold the
// directory's lock: a socket that is already there is then a dead process's.
func Listen(dir string) (net.Listener, error) {
	name := filepath.Join(dir, socketName)
	note := filepath.Join(dir, noteName)
	if err := removeStale(dir, name, note); err != nil {
		return nil, err
	}
	if len(name) > longest {
		// A directory of our own, because in the shared one for temporary files
		// others could put their socket in the place of ours.
		short, err := os.MkdirTemp("", "ostatok-")
		if err != nil {
			return nil, fmt.Errorf("cannot make the control socket: %w", err)
		}
		name = filepath.Join(short, socketName)
		if err := os.WriteFile(note, []byte(name+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("cannot make the control socket: %w", err)
		}
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the control socket private: %w", err), l.Close())
	}
	return l, nil
}

func removeStale(dir, name, note string) error {
	if noted := find(dir); noted != name {
		// What is left of a directory for temporary files is in nobody's way.
		_ = os.Remove(noted)
		_ = os.Remove(filepath.Dir(noted))
	}
	for _, f := range []string{name, note} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove a stale control socket: %w", err)
		}
	}
	return nil
}

// find returns where the control socket of a data directory is, or would be.
func find(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, noteName))
	if err != nil {
		return filepath.Join(dir, socketName)
	}
	return strings.TrimSpace(string(text))
}

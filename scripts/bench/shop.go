//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// shop is a simulated cloud with the shop behind it. It stands still, and is
// made anew for each measurement: its clock would fall behind the agent's.
type shop struct {
	URL   string `json:"url"`
	Store string `json:"store"`
	Token string `json:"token"`
	MQTT  string `json:"mqtt"` // of its broker, when it was asked for one

	stop func() error
}

// open starts the sandbox in dir, with more flags than every measurement has,
// and waits until it serves.
func (b *bench) open(ctx context.Context, dir string, flags ...string) (*shop, error) {
	ready := filepath.Join(dir, "ready.json")
	_, stop, err := start(b.binary("ostatok-sandbox"), filepath.Join(dir, "sandbox.log"), append(flags,
		"--terminals", strconv.Itoa(terminals), "--products", strconv.Itoa(products),
		"--documents", strconv.Itoa(documents), "--months", strconv.Itoa(months), "--speed", "0", "--ready", ready)...)
	if err != nil {
		return nil, err
	}
	s := &shop{stop: stop}
	for range 600 {
		var text []byte
		if text, err = os.ReadFile(ready); err == nil {
			if err = json.Unmarshal(text, s); err == nil {
				return s, nil
			}
			break
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return nil, errors.Join(err, stop())
		}
	}
	return nil, errors.Join(fmt.Errorf("the sandbox does not serve: %w", err), stop())
}

// configure writes the configuration of an agent of the shop into dir. The
// horizon is a month more than the shop is old, so that the first sync reads all
// of it; poll is the shortest that the configuration allows.
func (s *shop) configure(dir string) (file string, err error) {
	token := filepath.Join(dir, "token")
	file = filepath.Join(dir, "ostatok.toml")
	text := fmt.Sprintf(`store = %q
data_dir = %q
[evotor]
url = %q
token_file = %q
horizon = %d
poll = "5s"
`, s.Store, filepath.Join(dir, "data"), s.URL, token, months+1)
	err = errors.Join(os.WriteFile(token, []byte(s.Token), 0o600), os.WriteFile(file, []byte(text), 0o600))
	if err != nil {
		return "", fmt.Errorf("cannot configure an agent: %w", err)
	}
	return file, nil
}

// synced runs a first sync with the given binary in a fresh directory and leaves
// the shop open.
func (b *bench) synced(ctx context.Context, name, binary string, flags ...string) (dir string, s *shop, u used, err error) {
	if dir, err = b.fresh(name); err != nil {
		return "", nil, used{}, err
	}
	if s, err = b.open(ctx, dir, flags...); err != nil {
		return "", nil, used{}, err
	}
	if u, err = b.firstSync(ctx, s, dir, binary); err != nil {
		return "", nil, used{}, errors.Join(err, s.stop())
	}
	return dir, s, u, nil
}

func (b *bench) firstSync(ctx context.Context, s *shop, dir, binary string) (used, error) {
	file, err := s.configure(dir)
	if err != nil {
		return used{}, err
	}
	u, err := watch(ctx, b.binary(binary), "--config", file, "sync", "--once")
	if err != nil {
		return u, err
	}
	say("  %s sync --once: %.1f s, %.1f s of CPU, %.1f MB resident", binary, u.wall.Seconds(), u.cpu.Seconds(), mebi(u.peak))
	return u, nil
}

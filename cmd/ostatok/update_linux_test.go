package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostatok/agent"
	"ostatok/agent/local"
	"ostatok/platform/release"
	"ostatok/sync/evotor/evotortest"
)

// station is a shop's box with the real programs on it: the launcher, which a
// small service manager starts again whenever it ends, and a cloud.
type station struct {
	t           *testing.T
	dir, root   string
	program     string // for commands
	certificate string
	key         ed25519.PrivateKey
	said        *os.File // what the service prints
}

// build builds a command of ours.
func build(t *testing.T, dir, what, name, version string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-o", file, "ostatok/cmd/"+what)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", name, err, out)
	}
	return file
}

func newStation(t *testing.T) *station {
	dir := t.TempDir()
	s := &station{t: t, dir: dir, root: filepath.Join(dir, "data", "program")}
	s.program = build(t, dir, "ostatok", "ostatok-1.0.0", "1.0.0")

	root := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	s.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	var err error
	s.certificate, err = release.Certify(root, release.Certificate{Key: release.FormatKey(s.key.Public().(ed25519.PublicKey)), Serial: 1})
	if err != nil {
		t.Fatal(err)
	}
	settings := evotortest.Settings{Seed: 7, Products: 20, Documents: 300, Terminals: 1, QuantityShown: true}
	settings.To = time.Now().Add(-time.Hour).Truncate(time.Second)
	settings.From = settings.To.AddDate(0, -4, 0)
	shop := evotortest.NewShop(settings)
	shop.Run(settings.To)
	cloud := httptest.NewServer(evotortest.NewCloud(shop, evotortest.CloudOptions{Tokens: []string{token}, Now: time.Now}))
	t.Cleanup(cloud.Close)
	s.write("token", token)
	s.write("ostatok.toml", fmt.Sprintf(`store = %q
data_dir = %q
[evotor]
url = %q
token_file = %q
[local]
listen = ""
[update]
release_keys = [%q]
trial = "5s"
`, shop.Store(), filepath.Join(dir, "data"), cloud.URL, filepath.Join(dir, "token"), release.FormatKey(root.Public().(ed25519.PublicKey))))
	return s
}

func (s *station) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// release packs a program as a version and returns its file.
func (s *station) release(version string, program []byte) string {
	s.t.Helper()
	var b bytes.Buffer
	m := release.Manifest{Product: "ostatok", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Channel: "stable", Schema: agent.SchemaLevel, Issued: time.Now()}
	if _, err := release.Pack(&b, s.key, s.certificate, m, bytes.NewReader(program)); err != nil {
		s.t.Fatal(err)
	}
	s.write(version+".release", b.String())
	return filepath.Join(s.dir, version+".release")
}

func (s *station) environ() []string { return append(os.Environ(), "OSTATOK_PROGRAM="+s.root) }

// serve keeps the launcher running until the test ends.
func (s *station) serve(launcher string) {
	var err error
	if s.said, err = os.Create(filepath.Join(s.dir, "said")); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, launcher, "run", "--config", filepath.Join(s.dir, "ostatok.toml"))
			cmd.Env, cmd.Stdout, cmd.Stderr = s.environ(), s.said, s.said
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 20 * time.Second
			_ = cmd.Run() // however it ended
			time.Sleep(50 * time.Millisecond)
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-ended
		if s.t.Failed() {
			text, _ := os.ReadFile(s.said.Name())
			s.t.Logf("the service said:\n%s", text)
		}
		_ = s.said.Close()
	})
}

// run runs a command at the box.
func (s *station) run(args ...string) (string, error) {
	cmd := exec.Command(s.program, append(args, "--config", filepath.Join(s.dir, "ostatok.toml"))...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.String())
	}
	return out.String(), err
}

// await waits until the updater's state is as wanted, with the data of before.
func (s *station) await(what string, want func(local.Updates) bool) local.Updates {
	s.t.Helper()
	var u local.Updates
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, err := s.run("update", "status", "--format", "json")
		u = local.Updates{}
		if err == nil && json.Unmarshal([]byte(out), &u) == nil && want(u) {
			return u
		}
	}
	s.t.Fatalf("%s: it did not come about, the state is %+v", what, u)
	return u
}

// From one version to the next and back, with the programs as they are shipped:
// seeded, updated from a file, tried, committed, gone back from; a bad release is
// gone back from by itself. The shop's figures can be read all the way.
func TestUpdateStory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three programs")
	}
	s := newStation(t)
	launcher := build(t, s.dir, "ostatok-launcher", "launcher", "")
	newer, err := os.ReadFile(build(t, s.dir, "ostatok", "ostatok-1.1.0", "1.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	seed := exec.Command(s.program, "seed")
	seed.Env = s.environ()
	if out, err := seed.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.serve(launcher)
	s.await("the first version runs", func(u local.Updates) bool { return u.Version == "1.0.0" && !u.Trial })
	if _, err := s.run("sync", "--once"); err != nil {
		t.Fatal(err)
	}
	figures, err := s.run("stock", "--format", "csv")
	if err != nil || strings.Count(figures, "\n") < 10 {
		t.Fatalf("%v\n%s", err, figures)
	}
	same := func(when string) {
		t.Helper()
		if now, err := s.run("stock", "--format", "csv"); err != nil || now != figures {
			t.Errorf("%s the figures are others: %v\n%s", when, err, now)
		}
	}

	out, err := s.run("update", s.release("1.1.0", newer), "--now")
	if err != nil || !strings.Contains(out, "1.1.0 starts now") {
		t.Fatalf("%v: %s", err, out)
	}
	s.await("the trial begins", func(u local.Updates) bool { return u.Version == "1.1.0" && u.Trial && u.State == "trial 1.1.0" })
	same("on trial")
	s.await("the version stays", func(u local.Updates) bool {
		return u.Version == "1.1.0" && !u.Trial && u.Previous == "1.0.0" && u.State == ""
	})
	same("after the update")

	if _, err := s.run("update", "rollback"); err != nil {
		t.Fatal(err)
	}
	s.await("the first version is back", func(u local.Updates) bool { return u.Version == "1.0.0" && u.Failed == "1.1.0" })
	same("with the first version")

	if _, err := s.run("update", s.release("1.3.0", []byte("#!/bin/sh\necho no such luck >&2\nexit 1\n")), "--now"); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("a program that starts nothing is taken: %v", err)
	}
	bad := s.release("1.2.0", []byte(`#!/bin/sh
case "$1" in
selfcheck) echo '{"version":"1.2.0","schema_level":0}';;
*) exit 1;;
esac
`))
	if _, err := s.run("update", bad, "--now"); err != nil {
		t.Fatal(err)
	}
	u := s.await("the bad version is gone back from", func(u local.Updates) bool { return u.Version == "1.0.0" && u.Failed == "1.2.0" })
	if u.Reason == "" || u.State != "rolled-back 1.2.0: "+u.Reason || u.Trial {
		t.Errorf("the state is %+v", u)
	}
	same("after the rollback")
	status, err := s.run("status")
	if err != nil || !strings.Contains(status, u.State) {
		t.Errorf("%v: the status does not tell of it:\n%s", err, status)
	}
	if _, err := s.run("update", bad, "--now"); err == nil || !strings.Contains(err.Error(), "was tried on") {
		t.Errorf("the bad version is taken again: %v", err)
	}
}

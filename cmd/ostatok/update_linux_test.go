package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
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

	_ "modernc.org/sqlite"

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
	env         []string
	certificate string
	key         ed25519.PrivateKey
	said        *os.File // what the service prints

	stock, chain string // as they were in the beginning
}

// build builds a command of ours.
func build(t *testing.T, dir, what, name, version string, tags ...string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", strings.Join(tags, ","), "-ldflags", "-s -w -X main.version="+version,
		"-o", file, "ostatok/cmd/"+what)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", name, err, out)
	}
	return file
}

// newStation is a box on which version 1.0.0 runs, made by program, with the
// shop's documents read.
func newStation(t *testing.T, program func(s *station, version string) string, env ...string) *station {
	dir := t.TempDir()
	s := &station{t: t, dir: dir, root: filepath.Join(dir, "data", "program"), env: env}
	s.program = program(s, "1.0.0")

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
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	seed := exec.Command(s.program, "seed")
	seed.Env = s.environ()
	if out, err := seed.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.serve(build(t, dir, "ostatok-launcher", "launcher", ""))
	s.await("the first version runs", func(u local.Updates) bool { return u.Version == "1.0.0" && !u.Trial })
	if _, err := s.run("sync", "--once"); err != nil {
		t.Fatal(err)
	}
	if s.stock, s.chain = s.figures(); strings.Count(s.stock, "\n") < 10 || strings.Count(s.chain, "\n") < 5 {
		t.Fatalf("%s\n%s", s.stock, s.chain)
	}
	return s
}

// shipped is a version as it is shipped.
func shipped(s *station, version string) string {
	return build(s.t, s.dir, "ostatok", "ostatok-"+version, version)
}

// own is this test's own program as a version: its clock can be set.
func own(s *station, version string) string {
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		s.t.Fatal(err)
	}
	dir := filepath.Join(s.dir, version)
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join(dir, "ostatok") // the name makes it the agent
	if err := os.WriteFile(name, append(text, marker+version...), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// figures are the levels, and the chain behind the first of them.
func (s *station) figures() (levels, chain string) {
	s.t.Helper()
	levels, err := s.run("stock", "--format", "csv")
	if err != nil {
		s.t.Fatal(err)
	}
	product, _, _ := strings.Cut(strings.Split(levels, "\n")[1], ",")
	if chain, err = s.run("explain", product, "--format", "csv"); err != nil {
		s.t.Fatal(err)
	}
	return levels, chain
}

// same checks that the shop's figures are those of the beginning.
func (s *station) same(when string) {
	s.t.Helper()
	if levels, chain := s.figures(); levels != s.stock || chain != s.chain {
		s.t.Errorf("%s the figures are others:\n%s\n%s", when, levels, chain)
	}
}

// take updates from a file, and waits until the version stays.
func (s *station) take(version, file, before string) {
	s.t.Helper()
	out, err := s.run("update", file, "--now")
	if err != nil || !strings.Contains(out, version+" starts now") {
		s.t.Fatalf("%v: %s", err, out)
	}
	s.await(version+" stays", func(u local.Updates) bool {
		return u.Version == version && !u.Trial && u.Previous == before && u.State == ""
	})
	s.same("with " + version)
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
	return s.releaseOf(version, agent.SchemaLevel, program)
}

func (s *station) releaseOf(version string, level int, program []byte) string {
	s.t.Helper()
	var b bytes.Buffer
	m := release.Manifest{Product: "ostatok", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Channel: "stable", Schema: level, Issued: time.Now()}
	if _, err := release.Pack(&b, s.key, s.certificate, m, bytes.NewReader(program)); err != nil {
		s.t.Fatal(err)
	}
	s.write(version+".release", b.String())
	return filepath.Join(s.dir, version+".release")
}

func (s *station) environ() []string {
	return append(append(os.Environ(), "OSTATOK_PROGRAM="+s.root), s.env...)
}

// made reads a program.
func (s *station) made(file string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

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
	cmd.Env = s.environ()
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
	s := newStation(t, shipped)
	out, err := s.run("update", s.release("1.1.0", s.made(shipped(s, "1.1.0"))), "--now")
	if err != nil || !strings.Contains(out, "1.1.0 starts now") {
		t.Fatalf("%v: %s", err, out)
	}
	s.await("the trial begins", func(u local.Updates) bool { return u.Version == "1.1.0" && u.Trial && u.State == "trial 1.1.0" })
	s.same("on trial")
	s.await("the version stays", func(u local.Updates) bool {
		return u.Version == "1.1.0" && !u.Trial && u.Previous == "1.0.0" && u.State == ""
	})
	s.same("after the update")

	if _, err := s.run("update", "rollback"); err != nil {
		t.Fatal(err)
	}
	s.await("the first version is back", func(u local.Updates) bool { return u.Version == "1.0.0" && u.Failed == "1.1.0" })
	s.same("with the first version")

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
	s.same("after the rollback")
	status, err := s.run("status")
	if err != nil || !strings.Contains(status, u.State) {
		t.Errorf("%v: the status does not tell of it:\n%s", err, status)
	}
	if _, err := s.run("update", bad, "--now"); err == nil || !strings.Contains(err.Error(), "was tried on") {
		t.Errorf("the bad version is taken again: %v", err)
	}
}

// From version to version, each by the updater of the one before, and back; in
// 1970, where the box has no other clock than what the cloud says.
func TestUpdateChain(t *testing.T) {
	in1970 := fmt.Sprintf("%s=%d", nowVariable, -time.Now().Unix())
	s := newStation(t, own, in1970)
	s.take("1.1.0", s.release("1.1.0", s.made(own(s, "1.1.0"))), "1.0.0")
	s.take("1.2.0", s.release("1.2.0", s.made(own(s, "1.2.0"))), "1.1.0")
	status, err := s.run("status")
	if err != nil || !strings.Contains(status, "the clock says 1970-01-01") {
		t.Errorf("%v: the status does not tell of the clock:\n%s", err, status)
	}
	if _, err := s.run("update", "rollback"); err != nil {
		t.Fatal(err)
	}
	s.await("the version before is back", func(u local.Updates) bool { return u.Version == "1.1.0" && u.Failed == "1.2.0" })
	s.same("back with 1.1.0")
}

// A release that raises the level of the data and does not live: the data of
// before is put back. One that lives: there is no way back from it.
func TestUpdateToTheNextLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three programs")
	}
	s := newStation(t, shipped)
	next := build(t, s.dir, "ostatok", "ostatok-2.0.0", "2.0.0", "nextlevel")
	level := func() (n int) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "data", "journal.db")+"?mode=ro&_pragma=busy_timeout(5000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow("PRAGMA user_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Killed as soon as both databases are of its level.
	dies := fmt.Sprintf(`#!/bin/sh
[ "$1" = selfcheck ] && exec %[1]s "$@"
%[1]s "$@" &
until [ -e %[2]s/journal.db.level-0 ] && [ -e %[2]s/mirror.db.level-0 ]; do sleep 0.1; done
sleep 1
kill -KILL $!
exit 1
`, next, filepath.Join(s.dir, "data"))
	if _, err := s.run("update", s.releaseOf("2.0.0", 1, []byte(dies)), "--now"); err != nil {
		t.Fatal(err)
	}
	u := s.await("it is gone back from", func(u local.Updates) bool { return u.Version == "1.0.0" && u.Failed == "2.0.0" })
	if !strings.Contains(u.Reason, "never proved healthy") {
		t.Errorf("%+v", u)
	}
	s.same("with the data of before")
	if l := level(); l != 0 {
		t.Errorf("the journal that was put back is of level %d", l)
	}
	replaced, err := filepath.Glob(filepath.Join(s.dir, "data", "journal.db.replaced-*Z")) // not its log, which may have been there
	if err != nil || len(replaced) != 1 {
		t.Errorf("%v: of the data that the release left there is %v", err, replaced)
	}

	s.take("2.1.0", s.releaseOf("2.1.0", 1, s.made(build(t, s.dir, "ostatok", "ostatok-2.1.0", "2.1.0", "nextlevel"))), "1.0.0")
	if l := level(); l != 1 {
		t.Errorf("the journal is of level %d", l)
	}
	if _, err := s.run("update", "rollback"); err == nil || !strings.Contains(err.Error(), "reads data up to level 0, this shop has 1") {
		t.Errorf("gone back over a level: %v", err)
	}
	s.same("after all")
}

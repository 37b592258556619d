//go:build unix

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ostatok/platform/update/trial"
)

var launcher = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ostatok-launcher-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "ostatok-launcher")
	if out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		return name, fmt.Errorf("cannot build the launcher: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if name, _ := launcher(); name != "" {
		_ = os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(code)
}

// install makes a version whose program is a script, or not a program at all.
func install(t *testing.T, root, version, program string) {
	t.Helper()
	if err := os.MkdirAll(trial.Dir(root, version), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(trial.Program(root, version), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
}

// start runs the launcher until what it became has ended, and its guard too: the
// guard has the same stderr.
func start(t *testing.T, root string, args ...string) (cmd *exec.Cmd, out, said string, err error) {
	t.Helper()
	name, err := launcher()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd = exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OSTATOK_PROGRAM="+root)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return cmd, strings.TrimSpace(stdout.String()), stderr.String(), err
}

func record(t *testing.T, root string) trial.Record {
	t.Helper()
	r, err := trial.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t *testing.T, root string, r trial.Record) {
	t.Helper()
	if err := trial.Write(trial.Disk{}, root, r); err != nil {
		t.Fatal(err)
	}
}

const tells = "#!/bin/sh\necho \"$$ $OSTATOK_PROGRAM $*\"\nexit 7\n"

// What is started is the same process, so that the service manager's pid,
// notifications and signals are the agent's.
func TestBecomesTheAgent(t *testing.T) {
	for _, trying := range []bool{false, true} {
		root := t.TempDir()
		install(t, root, "1.0.0", tells)
		install(t, root, "0.9.0", tells)
		put(t, root, trial.Record{Version: "1.0.0", Previous: "0.9.0", Trial: trying})
		cmd, out, said, err := start(t, root, "run", "--config", "/etc/a b.toml")
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
			t.Errorf("ended with %v, said %q", err, said)
		}
		if want := fmt.Sprintf("%d %s run --config /etc/a b.toml", cmd.Process.Pid, root); out != want {
			t.Errorf("%q, want %q", out, want)
		}
		if r := record(t, root); r.Trial != trying || (r.Starts == 1) != trying {
			t.Errorf("%+v", r)
		}
	}
}

func TestCrashLoopEnds(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "#!/bin/sh\necho old\n")
	install(t, root, "1.1.0", "#!/bin/sh\necho new\nkill -9 $$\n")
	put(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Most: 2})
	var ran []string
	for range 4 {
		_, out, _, _ := start(t, root)
		ran = append(ran, out)
	}
	if got := strings.Join(ran, " "); got != "new new old old" {
		t.Errorf("ran %s", got)
	}
	if r := record(t, root); r.Failed != "1.1.0" || !strings.Contains(r.Reason, "started 2 times") {
		t.Errorf("%+v", r)
	}
}

func TestNotAProgram(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", tells)
	install(t, root, "1.1.0", "\x7fELF of another machine")
	put(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true})
	_, out, said, _ := start(t, root, "run")
	if !strings.HasSuffix(out, " run") || !strings.Contains(said, "exec format error") {
		t.Errorf("%q, said %q", out, said)
	}
	if r := record(t, root); r.Version != "1.0.0" || r.Failed != "1.1.0" || !strings.Contains(r.Reason, "exec format error") {
		t.Errorf("%+v", r)
	}
}

func TestNothingToStart(t *testing.T) {
	_, _, said, err := start(t, t.TempDir())
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(said, "install the package again") {
		t.Errorf("%v, said %q", err, said)
	}
	root := t.TempDir()
	install(t, root, "1.0.0", "not a program")
	put(t, root, trial.Record{Version: "1.0.0"})
	if _, _, said, err = start(t, root); err == nil || !strings.Contains(said, "exec format error") {
		t.Errorf("%v, said %q", err, said)
	}
}

// A version that hangs, deaf to signals, is ended by the guard, and the next
// start is the previous version.
func TestGuardEndsAHang(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "#!/bin/sh\necho old\n")
	install(t, root, "1.1.0", "#!/bin/sh\ntrap '' TERM INT HUP\nexec sleep 600\n")
	put(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Deadline: 300 * time.Millisecond})
	if _, _, said, err := start(t, root); err == nil || !strings.Contains(said, "not healthy within 300ms") {
		t.Errorf("%v, said %q", err, said)
	}
	if _, out, _, _ := start(t, root); out != "old" {
		t.Errorf("%q ran", out)
	}
	if r := record(t, root); r.Failed != "1.1.0" || !strings.Contains(r.Reason, "was ended") {
		t.Errorf("%+v", r)
	}
}

// A hung version that holds the lock keeps the guard from writing, not from
// ending it: the next start counts.
func TestGuardEndsAHangThatHoldsTheLock(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "#!/bin/sh\necho old\n")
	install(t, root, "1.1.0", "#!/bin/sh\nexec sleep 600\n")
	put(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Most: 1, Deadline: 500 * time.Millisecond})
	locked := make(chan func(), 1)
	go func() {
		for {
			if r, err := trial.Read(root); err == nil && r.Starts == 1 {
				if release, err := trial.Lock(root, 0); err == nil {
					locked <- release
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, _, said, err := start(t, root)
	(<-locked)()
	if err == nil || !strings.Contains(said, "held by another process") {
		t.Errorf("%v, said %q", err, said)
	}
	if _, out, _, _ := start(t, root); out != "old" {
		t.Errorf("%q ran", out)
	}
}

// A version that commits is left alone when the time is over, and the guard goes.
func TestGuardLeavesACommittedVersion(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", tells)
	install(t, root, "1.1.0", "#!/bin/sh\nwhile grep -q '^trial yes' $OSTATOK_PROGRAM/record; do sleep 0.05; done\nwhile kill -0 $OSTATOK_GUARD && ! grep -q '^State:.Z' /proc/$OSTATOK_GUARD/status; do sleep 0.05; done 2>/dev/null\nsleep 0.5\necho survived\n")
	put(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Deadline: 20 * time.Second})
	go func() {
		for {
			if r, err := trial.Read(root); err == nil && r.Starts == 1 {
				err := trial.Change(trial.Disk{}, root, func(r *trial.Record) error { r.Trial = false; return nil })
				if err == nil {
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	began := time.Now()
	_, out, said, err := start(t, root)
	if out != "survived" || err != nil {
		t.Errorf("%q, %v, said %q after %s", out, err, said, time.Since(began))
	}
}

// The launcher stays on a box for ever: it is small and rests on the standard
// library alone.
func TestLauncherIsTiny(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.FieldsSeq(string(out)) {
		ours := p == "ostatok/cmd/ostatok-launcher" || p == "ostatok/platform/update/trial"
		if first, _, _ := strings.Cut(p, "/"); !ours && (strings.Contains(first, ".") || first == "ostatok" || p == "encoding/json") {
			t.Errorf("the launcher links %s", p)
		}
	}
	if testing.Short() {
		t.Skip("builds for arm: run without -short")
	}
	name := filepath.Join(t.TempDir(), "launcher")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", name, ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm", "GOARM=6", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(2_000_000); info.Size() > most {
		t.Errorf("the launcher has %d bytes on linux/arm, more than %d", info.Size(), most)
	}
}

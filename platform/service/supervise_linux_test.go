package service

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// The programs under supervision are real ones: this test binary, started as one
// of these.
var programs = map[string]func(dir string){
	// Counts its starts and ends.
	"ends": func(dir string) { note(dir, "starts", "start"); os.Exit(3) },
	// Is ready, gives one sign of life and then none.
	"hangs": func(dir string) {
		note(dir, "starts", "start")
		n := NewNotifier(os.Environ())
		must(n.Ready())
		must(n.tell("WATCHDOG=1"))
		signal.Ignore(syscall.SIGABRT, syscall.SIGTERM)
		select {}
	},
	// Never becomes ready.
	"never": func(dir string) { note(dir, "starts", "start"); select {} },
	// Starts a child of its own, which outlives it if nobody ends it.
	"parent": func(dir string) {
		c := exec.Command("sleep", "1000")
		must(c.Start())
		note(dir, "children", strconv.Itoa(c.Process.Pid))
		os.Exit(0)
	},
	// Lives well until it is asked to end, and notes which signals came.
	"lives": func(dir string) {
		c := make(chan os.Signal, 9)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGUSR1)
		note(dir, "starts", strconv.Itoa(os.Getpid()))
		n := NewNotifier(os.Environ())
		must(n.Ready())
		go n.Keep(context.Background(), func(context.Context) error { return nil }, nil)
		for s := range c {
			note(dir, "signals", s.String())
			if s == syscall.SIGTERM {
				os.Exit(0)
			}
		}
	},
	// Does not end when it is asked to.
	"stays": func(dir string) {
		signal.Ignore(syscall.SIGTERM)
		note(dir, "starts", strconv.Itoa(os.Getpid()))
		select {}
	},
	// Supervises "lives", for the test that kills the supervisor.
	"supervisor": func(dir string) {
		_ = os.Setenv("SUPERVISED", "lives")
		must(Supervise(context.Background(), Supervision{Command: []string{os.Args[0]}, Environ: os.Environ(), Tell: zerolog.Nop()}))
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv("SUPERVISED"); name != "" {
		programs[name](os.Getenv("SUPERVISED_DIR"))
		return
	}
	os.Exit(m.Run())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func note(dir, file, line string) {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(err)
	_, err = f.WriteString(line + "\n")
	must(err)
	must(f.Close())
}

// lines waits until a file has so many.
func lines(t *testing.T, file string, least int) []string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if l := strings.Fields(string(text)); len(l) >= least {
			return l
		}
		if time.Now().After(end) {
			t.Fatalf("%s has %q, want %d lines", file, text, least)
		}
	}
}

func environ(name, dir string) []string {
	return append(without(os.Environ(), "SUPERVISED", "SUPERVISED_DIR"), "SUPERVISED="+name, "SUPERVISED_DIR="+dir)
}

// supervise runs a program until the test ends it.
func supervise(t *testing.T, name string, set func(*Supervision)) (dir string, log *bytes.Buffer, stop func()) {
	t.Helper()
	dir, log = t.TempDir(), &bytes.Buffer{}
	s := Supervision{
		Command: []string{os.Args[0]}, Environ: environ(name, dir), Tell: zerolog.New(log),
		Pause: time.Millisecond, Longest: 4 * time.Millisecond, Grace: 100 * time.Millisecond,
	}
	if set != nil {
		set(&s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Supervise(ctx, s) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return dir, log, stop
}

func alive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z")
}

func gone(t *testing.T, pid string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %s is left", pid)
		}
	}
}

func TestSuperviseStartsAgain(t *testing.T) {
	dir, log, stop := supervise(t, "ends", nil)
	lines(t, filepath.Join(dir, "starts"), 5)
	stop()
	if told := log.String(); !strings.Contains(told, "exit status 3") {
		t.Errorf("the reason was not told:\n%s", told)
	}
}

func TestPausesGrow(t *testing.T) {
	s := Supervision{Pause: time.Second, Longest: 5 * time.Second}
	pause := time.Duration(0)
	var got []time.Duration
	for _, ran := range []time.Duration{0, 0, time.Second, 0, 0, 5 * time.Second, 0} {
		pause = s.next(pause, ran)
		got = append(got, pause/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 5, 5, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("pauses %d, want %d", got, want)
	}
}

func TestSuperviseEndsWhatHangs(t *testing.T) {
	for name, set := range map[string]func(*Supervision){
		"hangs": func(s *Supervision) { s.Patience = 50 * time.Millisecond },
		// Time enough to come up and note it, also on a busy machine.
		"never": func(s *Supervision) { s.Start = 2 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, stop := supervise(t, name, func(s *Supervision) { set(s); s.Log = os.DevNull })
			lines(t, filepath.Join(dir, "starts"), 3)
			stop()
		})
	}
}

func TestSuperviseLeavesAloneWhatLives(t *testing.T) {
	signals := make(chan os.Signal, 1)
	dir, _, stop := supervise(t, "lives", func(s *Supervision) {
		s.Patience, s.Signals, s.Grace = time.Second, signals, 30*time.Second
	})
	lines(t, filepath.Join(dir, "starts"), 1)
	signals <- syscall.SIGUSR1
	lines(t, filepath.Join(dir, "signals"), 1)
	time.Sleep(2500 * time.Millisecond) // more than twice the patience
	stop()
	if got := lines(t, filepath.Join(dir, "starts"), 1); len(got) != 1 {
		t.Errorf("it was started %d times", len(got))
	}
	if got := strings.Join(lines(t, filepath.Join(dir, "signals"), 3), " "); got != "user defined signal 1 terminated" {
		t.Errorf("it got %q", got)
	}
}

func TestSuperviseKillsWhatStays(t *testing.T) {
	dir, _, stop := supervise(t, "stays", nil)
	pid := lines(t, filepath.Join(dir, "starts"), 1)[0]
	stop()
	gone(t, pid)
}

func TestSuperviseLeavesNoOrphans(t *testing.T) {
	dir, _, stop := supervise(t, "parent", nil)
	children := lines(t, filepath.Join(dir, "children"), 2)
	stop()
	for _, pid := range append(children, lines(t, filepath.Join(dir, "children"), 2)...) {
		gone(t, pid)
	}
}

func TestKilledSupervisorTakesItsChildAlong(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = environ("supervisor", dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pid := lines(t, filepath.Join(dir, "starts"), 1)[0]
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	gone(t, pid)
	// It was asked, not killed: it could close its files.
	if got := lines(t, filepath.Join(dir, "signals"), 1)[0]; got != "terminated" {
		t.Errorf("it got %q", got)
	}
}

func TestSuperviseBeforeEachStart(t *testing.T) {
	var before string
	dir, log, stop := supervise(t, "ends", func(s *Supervision) {
		before = filepath.Join(t.TempDir(), "before")
		s.Before = []string{"sh", "-c", "echo x >>" + before + "; exit 1"}
	})
	starts := lines(t, filepath.Join(dir, "starts"), 3)
	stop()
	if n := len(lines(t, before, 3)); n < len(starts) {
		t.Errorf("%d steps before %d starts", n, len(starts))
	}
	if !strings.Contains(log.String(), "step before the start failed") {
		t.Error("its failure was not told")
	}
}

func TestSuperviseAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a program as somebody else")
	}
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "who")
	_, _, stop := supervise(t, "ends", func(s *Supervision) {
		s.User = "nobody"
		s.Command = []string{"sh", "-c", "id -un >>" + file + "; id -G >>" + file}
	})
	got := lines(t, file, 2)
	stop()
	if got[0] != "nobody" || got[1] == "0" {
		t.Errorf("it ran as %v", got)
	}
	if err := Supervise(t.Context(), Supervision{Command: []string{"true"}, User: "no-such-user"}); err == nil {
		t.Error("an unknown user is an error")
	}
}

func TestRingStaysSmallAndNeverFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	r := &ring{file: file, most: 1000}
	for i := range 300 {
		if n, err := fmt.Fprintf(r, "line %03d\n", i); n != 9 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	r.close()
	for _, f := range []string{file, file + ".1"} {
		info, err := os.Stat(f)
		if err != nil || info.Size() > 1000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasSuffix(string(text), "line 299\n") {
		t.Errorf("the newest line is missing: %q, %v", text, err)
	}
	full := &ring{file: "/dev/full", most: 1000}
	nowhere := &ring{file: "/not/there/log", most: 1000}
	for _, r := range []*ring{full, nowhere} {
		if n, err := r.Write([]byte("x")); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", r.file, n, err)
		}
		r.close()
	}
}

func TestPrepareGivesDirectories(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	dir := t.TempDir()
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, Name, "ostatok.toml")
	for _, d := range []string{filepath.Join(data, "program"), filepath.Dir(config)} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(filepath.Dir(config), "evotor.token")
	for _, f := range []string{filepath.Join(data, "journal.db"), config, secret} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const uid, gid = 4321, 4322
	for range 2 { // it is repeatable
		if err := prepareData(data, uid, gid); err != nil {
			t.Fatal(err)
		}
		if err := prepareConfig(Options{Config: config}, gid); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		data:                              "4321:4322 drwx------",
		filepath.Join(data, "journal.db"): "4321:4322 -rw-------",
		filepath.Dir(config):              "0:4322 dtrwxrwx---",
		filepath.Join(filepath.Dir(config), Secrets): "0:0 drwx------",
		config: "0:4322 -rw-r-----",
		secret: "0:0 -rw-------",
	} {
		if got := modes(t, path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func modes(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %s", st.Uid, st.Gid, fs.FileMode(info.Mode()))
}

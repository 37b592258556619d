package update_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ostatok/platform/update"
	"ostatok/platform/update/trial"
)

// built holds what the stories run: the launcher as it is shipped, the agent
// without a nature, a helper that tells the launcher's steps, and a root with
// version 1.0.0. In memory, where there is room for files there: the tables write
// thousands of them, and what a power cut would lose is played by testdata/agent.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("/dev/shm", "ostatok-update-"); err != nil {
		dir, err = os.MkdirTemp("", "ostatok-update-")
	}
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{"launcher": "../../cmd/ostatok-launcher", "agent": "./testdata/agent"} {
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
		}
	}
	agent, err := os.ReadFile(filepath.Join(dir, "agent"))
	if err != nil {
		return dir, err
	}
	first := filepath.Join(dir, "helper")
	if err := os.WriteFile(first, append(agent, marker+`{"Version":"1.0.0","Level":1,"Mode":"good"}`...), 0o755); err != nil {
		return dir, err
	}
	return dir, update.Seed(trial.Disk{}, filepath.Join(dir, "seeded"), first, "1.0.0", 1)
})

// marker stands between the agent's program and its nature.
const marker = "\n#nature "

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

type nature struct {
	Version string
	Level   int
	Mode    string
}

// program returns the bytes of an agent with a nature.
func program(t *testing.T, n nature) []byte {
	t.Helper()
	agent, err := os.ReadFile(filepath.Join(mustBuild(t), "agent"))
	if err != nil {
		t.Fatal(err)
	}
	words, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return append(agent, marker+string(words)...)
}

// shop is a box with its versions and its data.
type shop struct {
	root, data string
	env        []string
}

func newShop(t *testing.T, v *vendor, url string) *shop {
	t.Helper()
	tools := mustBuild(t)
	dir, err := os.MkdirTemp(tools, "shop-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &shop{root: filepath.Join(dir, "program"), data: filepath.Join(dir, "data")}
	s.env = append(os.Environ(), "OSTATOK_PROGRAM="+s.root, "FAKE_DATA="+s.data, "FAKE_KEY="+v.publicRoot(), "FAKE_URL="+url,
		"FAKE_LAUNCHER="+filepath.Join(tools, "launcher"), "FAKE_STABLE=150", "FAKE_DEADLINE=8000", fmt.Sprint("FAKE_TIME=", today.Unix()))
	for _, d := range []string{s.data, trial.Dir(s.root, "1.0.0")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.data, "notes"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Linked and not copied: a program that another test's child still has open for
	// writing could not be executed.
	seeded := filepath.Join(tools, "seeded")
	for _, name := range []string{"record", "versions/1.0.0/about.json", "versions/1.0.0/ostatok"} {
		if err := os.Link(filepath.Join(seeded, name), filepath.Join(s.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := trial.Link(trial.Disk{}, s.root, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	return s
}

// life is what a shop told over several starts.
type life struct {
	ready, noted, steps, logs []string
	refused                   string
	status                    update.Status
	starts                    int
	stopped                   int      // the start in which a step was stopped, 0: none
	up                        int      // the first start after that in which a version was up
	ended                     []string // how the processes ended
}

// live starts the agent again and again, as a service manager does, until one
// settles. Each start has a minute to bring a version up.
func (s *shop) live(t *testing.T, l *life, told bool, env ...string) {
	t.Helper()
	for range 12 {
		if l.starts++; s.start(t, l, told, env) {
			return
		}
		if told {
			if s.killed() {
				told, env, l.stopped = false, nil, l.starts // from here on the launcher as it is shipped
			}
		}
	}
	t.Fatalf("nothing settled in %d starts: %+v", l.starts, l)
}

// killed tells whether it was stopped at the step asked for.
func (s *shop) killed() bool {
	_, err := os.Stat(filepath.Join(s.data, "killed"))
	return err == nil
}

// start runs one start to its end and says whether the agent settled.
func (s *shop) start(t *testing.T, l *life, told bool, env []string) (settled bool) {
	t.Helper()
	tools := mustBuild(t)
	l.refused = ""
	cmd := exec.Command(filepath.Join(tools, "launcher"), "run")
	cmd.Env = append(slices.Clone(s.env), env...)
	if told {
		// The same launcher, with its steps told.
		cmd = exec.Command(filepath.Join(tools, "helper"))
		cmd.Env = append(slices.Clone(s.env), "FAKE_ROLE=launcher")
		cmd.Env = append(cmd.Env, env...)
	}
	var errors bytes.Buffer
	cmd.Stderr = &errors
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A version that is up may take its time, for a trial; one that is not has a minute.
	up := time.AfterFunc(time.Minute, func() {
		t.Error("no version came up within a minute")
		_ = cmd.Process.Kill()
	})
	defer up.Stop()
	patience := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	defer patience.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "ready":
			l.ready = append(l.ready, rest)
			up.Stop()
			if l.stopped != 0 && l.up == 0 {
				l.up = l.starts
			}
		case "noted":
			l.noted = append(l.noted, rest)
		case "step":
			if !slices.Contains(l.steps, rest) {
				l.steps = append(l.steps, rest)
			}
		case "log":
			l.logs = append(l.logs, rest)
		case "refused":
			l.refused = rest
		case "died":
			if strings.Contains(rest, "two agents") {
				t.Error(rest)
			}
			l.ended = append(l.ended, rest)
		case "settled":
			settled = true
			l.status = update.Status{}
			if err := json.Unmarshal([]byte(rest), &l.status); err != nil {
				t.Error(err)
			}
			if pids := s.running(t); !slices.Equal(pids, []int{cmd.Process.Pid}) {
				t.Errorf("the processes %v run a version of this shop, want %d alone", pids, cmd.Process.Pid)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	l.ended = append(l.ended, fmt.Sprint(err, " ", firstLines(errors.String())))
	return settled
}

// running is the processes whose program is a version of this shop.
func (s *shop) running(t *testing.T) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		// Those that are not ours to read, or have ended, are not ours at all.
		if program, err := os.Readlink(link); err != nil || !strings.HasPrefix(program, filepath.Join(s.root, "versions")+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func firstLines(s string) string {
	lines := strings.SplitN(s, "\n", 4)
	return strings.Join(lines[:min(3, len(lines))], " | ")
}

// kept fails the test when an acknowledged note is not in the data, or the data is
// not of the level of the version that runs.
func (s *shop) kept(t *testing.T, l *life, level int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data, "notes"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), fmt.Sprint(level, "\n")) {
		t.Errorf("the data should be of level %d and is %q", level, text)
	}
	for _, n := range l.noted {
		if !strings.Contains(string(text), "\n"+n+"\n") {
			t.Errorf("the note %q was acknowledged and is lost; the data is %q", n, text)
		}
	}
}

// From each release to the next by the updater of the one before, and back, with
// the launcher as it is shipped.
func TestChain(t *testing.T) {
	v, web := newVendor(t), t.TempDir()
	s := newShop(t, v, serveDir(t, web))
	l := &life{}
	s.live(t, l, false)
	if l.status.Version != "1.0.0" {
		t.Fatalf("without a release: %+v", l)
	}
	for _, version := range []string{"1.1.0", "1.2.0"} {
		v.serve(t, web, manifest(version, 1), program(t, nature{version, 1, "good"}))
		s.live(t, l, false)
		if l.status.Version != version || l.status.Trial || l.refused != "" {
			t.Fatalf("after %s was published: %+v", version, l)
		}
	}
	if l.status.Previous != "1.1.0" {
		t.Errorf("the version to go back to is %q", l.status.Previous)
	}
	s.live(t, l, false, "FAKE_BACK=1.2.0")
	if l.status.Version != "1.1.0" || l.status.Failed != "1.2.0" || l.status.Reason != "asked by the installer" {
		t.Errorf("after the rollback: %+v", l.status)
	}
	if !strings.Contains(l.refused, "failed: asked by the installer") {
		t.Errorf("what was gone back from is offered again: %q", l.refused)
	}
	s.kept(t, l, 1)
	versions, err := os.ReadDir(filepath.Join(s.root, "versions"))
	if err != nil || len(versions) > 2 {
		t.Errorf("%d versions are left (%v)", len(versions), err)
	}
}

func mustBuild(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

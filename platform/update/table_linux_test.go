package update_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ostatok/platform/release"
)

var (
	writeTable = flag.Bool("table", false, "with -all: write testdata/kills.md from this run")
	everything = flag.Bool("all", false, "kill in the steps that scenarios share in every scenario, not in one")
)

// scenario is a release and what comes of it.
type scenario struct {
	name    string
	release func(t *testing.T, v *vendor, web string)
	env     []string
	full    bool   // the disk becomes full where others are killed
	final   string // the version that runs in the end
	says    string // part of the reason or the refusal in the end
	hurts   string // part of what the log says of the rollback
	cut     func(http.Handler) http.Handler
	own     string // up to this step it is stopped without -all, though others were there too
}

func plain(n nature, change ...func(*release.Manifest)) func(*testing.T, *vendor, string) {
	return func(t *testing.T, v *vendor, web string) {
		m := manifest(n.Version, n.Level)
		for _, c := range change {
			c(&m)
		}
		v.serve(t, web, m, program(t, n))
	}
}

func good(level int) nature { return nature{"1.1.0", level, "good"} }

func scenarios() []scenario {
	const rolledBack = `"message":"update rolled back"`
	return []scenario{
		{name: "good", release: plain(good(1)), final: "1.1.0", own: "data held"},
		{name: "crash at start", release: plain(nature{"1.1.0", 1, "crash"}), final: "1.0.0", says: "started 3 times and never proved healthy", hurts: rolledBack},
		{name: "crash after a minute", release: plain(nature{"1.1.0", 1, "late"}), final: "1.0.0", says: "started 3 times and never proved healthy", hurts: rolledBack},
		{name: "hang", release: plain(nature{"1.1.0", 1, "hang"}), env: []string{"FAKE_DEADLINE=1500"}, final: "1.0.0", says: "not healthy within 1.5s and was ended", hurts: rolledBack},
		{name: "health never good", release: plain(nature{"1.1.0", 1, "ill"}), env: []string{"FAKE_DEADLINE=2400"}, final: "1.0.0", says: "the journal cannot be written", hurts: rolledBack},
		{name: "disk full", release: plain(good(1)), full: true, final: "1.1.0", own: "data held"},
		{name: "wrong arch", release: plain(good(1), func(m *release.Manifest) { m.Arch = "s390x" }), final: "1.0.0", says: "it is made for linux/s390x"},
		{name: "schema step", release: plain(good(2)), final: "1.1.0", own: "data held"},
		{name: "schema step, then ill", release: plain(nature{"1.1.0", 2, "ill"}), env: []string{"FAKE_DEADLINE=2400"}, final: "1.0.0", says: "the journal cannot be written", hurts: rolledBack},
		{name: "bad signature", release: func(t *testing.T, v *vendor, web string) {
			other := newVendor(t)
			other.certificate = v.certificate
			plain(good(1))(t, other, web)
		}, final: "1.0.0", says: "its manifest does not hold"},
		{name: "changed content", release: func(t *testing.T, v *vendor, web string) {
			m := manifest("1.1.0", 1)
			file := v.serve(t, web, m, program(t, good(1)))
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)-1000] ^= 1
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}, final: "1.0.0", says: "changed or damaged"},
		{name: "truncated download", release: plain(good(1)), cut: interrupted, final: "1.1.0", own: "download named"},
		{name: "downgrade", release: plain(nature{"0.9.0", 1, "good"}), final: "1.0.0", says: "older than 1.0.0"},
		{name: "expired manifest", release: plain(good(1), func(m *release.Manifest) { m.Expires = today.Add(-time.Hour) }), final: "1.0.0", says: "take a newer release"},
		// The agent judges by the best known time, which is not the clock's.
		{name: "clock in 1970", release: plain(good(1)), env: []string{"FAKE_TIME=0"}, final: "1.1.0"},
	}
}

// interrupted is a server whose connection ends in the middle of every answer.
func interrupted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".release") {
			next.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		for k, v := range whole.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(whole.Code)
		body := whole.Body.Bytes()
		if most := 1 << 20; len(body) > most {
			_, _ = w.Write(body[:most])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
	})
}

// The steps of an update in the order in which they happen, and the first that
// happens after the switch.
var steps = []string{
	"download begun", "downloaded", "download named", "verified", "unpacked", "data copied for the selfcheck",
	"selfchecked", "version named", "staged", "data held", "intent written", "linked",
	"launcher: start counted", "launcher: gone back", "launcher: linked", "data restored", "copy released", "committed", "swept",
}

const switched = "intent written"

// TestKillTable stops an update at each of its steps, by SIGKILL and by a power
// cut that takes with it what was not synced, in each scenario. In the end the
// right version runs, alone, with all that was acknowledged, and says why.
func TestKillTable(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of processes: run without -short")
	}
	v := newVendor(t)
	all := scenarios()
	cells := map[[2]string]string{}
	var guard sync.Mutex
	t.Run("scenarios", func(t *testing.T) {
		for _, sc := range all {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				web := t.TempDir()
				sc.release(t, v, web)
				handler := http.FileServer(http.Dir(web))
				if sc.cut != nil {
					handler = sc.cut(handler)
				}
				server := httptest.NewServer(handler)
				defer server.Close()
				reached := sc.play(t, v, server.URL, "", "")
				for _, step := range reached {
					if !slices.Contains(steps, step) {
						t.Errorf("the step %q is not in the table", step)
					}
				}
				for _, step := range steps {
					cell := "–"
					at := slices.Index(steps, step)
					switch shared := at > slices.Index(steps, sc.own) && at < slices.Index(steps, switched); {
					case !slices.Contains(reached, step):
					case shared && !*everything && slices.Contains(reached, switched):
						cell = "" // the same code with the same release as in others
					default:
						for _, how := range []string{"kill", "cut"} {
							if sc.full {
								how = "full"
							}
							t.Run(step+" "+how, func(t *testing.T) { sc.play(t, v, server.URL, step, how) })
						}
						if cell = sc.final; t.Failed() {
							cell = "FAILED"
						}
					}
					guard.Lock()
					cells[[2]string{step, sc.name}] = cell
					guard.Unlock()
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	compareTable(t, all, cells)
}

// play lives through a scenario, stopped at one step or none, and returns the
// steps that were reached.
func (sc scenario) play(t *testing.T, v *vendor, url, step, how string) []string {
	t.Helper()
	s, l := newShop(t, v, url), &life{}
	s.env = append(s.env, sc.env...)
	if sc.name == "downgrade" {
		s.env = append(s.env, "FAKE_WANT=0.9.0")
	}
	switch how {
	case "full":
		s.start(t, l, true, []string{"FAKE_FILES=full", "FAKE_AT=" + step})
		// The disk is still full at the next start; then somebody makes room.
		s.start(t, l, true, []string{"FAKE_FILES=full"})
		if len(l.ready) == 0 {
			t.Errorf("on a full disk no version came up: %+v", l)
		}
		s.live(t, l, false)
	case "cut":
		s.live(t, l, true, "FAKE_FILES=cut", "FAKE_AT="+step)
	default:
		s.live(t, l, true, "FAKE_AT="+step)
	}
	s.kept(t, l)
	if step != "" && !sc.full {
		if _, err := os.Stat(filepath.Join(s.data, "killed")); err != nil {
			t.Errorf("the step was not reached: %+v", l)
		}
	}
	said := l.refused + " " + l.status.Reason
	if l.status.Version != sc.final || l.status.Trial || l.status.Next != "" {
		t.Errorf("%s runs, want %s: %+v", l.status.Version, sc.final, l)
	}
	// On a machine that is busy the guard may come before the agent's own end.
	guarded := strings.Contains(sc.says, "journal") && strings.Contains(said, "and was ended")
	if !strings.Contains(said, sc.says) && !guarded && !(step != "" && sc.hurts != "" && strings.Contains(said, "never proved healthy")) {
		t.Errorf("said %q, want %q: %+v", said, sc.says, l)
	}
	if !strings.Contains(strings.Join(l.logs, "\n"), sc.hurts) {
		t.Errorf("the log says nothing of the rollback: %q", l.logs)
	}
	if l.status.Staged != "" {
		t.Errorf("version %s is still to be switched to", l.status.Staged)
	}
	if sc.hurts != "" && sc.name != "crash at start" && sc.name != "hang" && !guarded {
		text, err := os.ReadFile(l.status.Log)
		if err != nil || len(text) == 0 {
			t.Errorf("the failed version left no log: %v", err)
		}
	}
	return l.steps
}

// compareTable compares what was seen with the table of docs/TESTING.md. What was
// not played in this run stands as it was in the last that played everything.
func compareTable(t *testing.T, all []scenario, cells map[[2]string]string) {
	t.Helper()
	name := filepath.Join("testdata", "kills.md")
	want, err := os.ReadFile(name)
	if err != nil && !*writeTable {
		t.Fatal(err)
	}
	before := strings.Split(string(want), "\n")
	var b strings.Builder
	b.WriteString("| stopped after |")
	for _, sc := range all {
		b.WriteString(" " + sc.name + " |")
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(all)+1) + "\n")
	for row, step := range steps {
		b.WriteString("| " + step + " |")
		for column, sc := range all {
			cell := cells[[2]string{step, sc.name}]
			if cell == "" && row+2 < len(before) {
				if line := strings.Split(before[row+2], "|"); column+2 < len(line) {
					cell = strings.TrimSpace(line[column+2])
				}
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
	}
	switch got := b.String(); {
	case *writeTable:
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	case got != string(want):
		t.Errorf("the table is not as in %s (run with -all -table to write it):\n%s", name, got)
	}
}

// However many writes a disk takes before it is full: a version comes up on the
// full disk, and the update succeeds once there is room.
func TestDiskFullAfterSomeWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of processes: run without -short")
	}
	v, web := newVendor(t), t.TempDir()
	v.serve(t, web, manifest("1.1.0", 1), program(t, good(1)))
	url := serveDir(t, web)
	for n := 0; ; n = n*4/3 + 1 {
		s, l := newShop(t, v, url), &life{}
		// While it is full the trial may be staged, counted, or neither.
		s.start(t, l, true, []string{"FAKE_FILES=full", fmt.Sprint("FAKE_LEFT=", n)})
		whole := !strings.Contains(l.refused+strings.Join(l.ended, ""), "no space left")
		s.start(t, l, true, []string{"FAKE_FILES=full", "FAKE_LEFT=0"})
		if len(l.ready) < 2 {
			t.Errorf("after %d writes: not up on a full disk: %+v", n, l)
		}
		s.live(t, l, false)
		s.kept(t, l)
		if l.status.Version != "1.1.0" || l.status.Trial {
			t.Errorf("after %d writes: %+v", n, l)
		}
		if whole {
			return
		}
	}
}

package update_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ostatok/platform/release"
	"ostatok/platform/update/trial"
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
	full    bool   // the disk becomes full where others are killed, or there after it was
	final   string // the version that runs in the end
	says    string // part of the refusal, or of the reason for going back, in the end
	back    bool   // the version was tried and gone back from
	level   int    // of the data in the end; 0 is 1
	cut     func(http.Handler) http.Handler
	own     string // up to this step it is stopped without -all, though others were there too
}

// hows are the ways to stop it at a step.
func (sc scenario) hows() []string {
	if sc.full {
		return []string{"full", "kill, then full", "cut, then full"}
	}
	return []string{"kill", "cut"}
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
	return []scenario{
		{name: "good", release: plain(good(1)), final: "1.1.0", own: "data held"},
		{name: "crash at start", release: plain(nature{"1.1.0", 1, "crash"}), final: "1.0.0", says: "started 3 times and never proved healthy", back: true},
		{name: "crash after a minute", release: plain(nature{"1.1.0", 1, "late"}), final: "1.0.0", says: "started 3 times and never proved healthy", back: true},
		{name: "hang", release: plain(nature{"1.1.0", 1, "hang"}), env: []string{"FAKE_DEADLINE=1500"}, final: "1.0.0", says: "not healthy within 1.5s and was ended", back: true},
		{name: "health never good", release: plain(nature{"1.1.0", 1, "ill"}), env: []string{"FAKE_DEADLINE=2400"}, final: "1.0.0", says: "the journal cannot be written", back: true},
		{name: "disk full", release: plain(good(1)), full: true, final: "1.1.0", own: "data held"},
		{name: "wrong arch", release: plain(good(1), func(m *release.Manifest) { m.Arch = "s390x" }), final: "1.0.0", says: "it is made for linux/s390x"},
		{name: "schema step", release: plain(good(2)), final: "1.1.0", level: 2, own: "data held"},
		{name: "schema step, then ill", release: plain(nature{"1.1.0", 2, "ill"}), env: []string{"FAKE_DEADLINE=2400"}, final: "1.0.0", says: "the journal cannot be written", back: true},
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
						for _, how := range sc.hows() {
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
	case "kill, then full", "cut, then full":
		env := []string{"FAKE_AT=" + step}
		if strings.HasPrefix(how, "cut") {
			env = append(env, "FAKE_FILES=cut")
		}
		for n := 0; !s.killed(); n++ {
			if n == 12 {
				t.Fatalf("the step was not reached: %+v", l)
			}
			s.start(t, l, true, env)
		}
		before := len(l.ready)
		s.start(t, l, true, []string{"FAKE_FILES=full", "FAKE_LEFT=0"})
		if len(l.ready) == before {
			t.Errorf("stopped, and then on a full disk, no version came up: %+v", l)
		}
		s.live(t, l, false)
	case "cut":
		s.live(t, l, true, "FAKE_FILES=cut", "FAKE_AT="+step)
	default:
		s.live(t, l, true, "FAKE_AT="+step)
	}
	s.kept(t, l, max(sc.level, 1))
	if step != "" && !sc.full {
		if !s.killed() {
			t.Errorf("the step was not reached: %+v", l)
		}
		// The next start brings a version up. Only a release that cannot even start
		// has the starts of its trial before.
		most := l.stopped + 1
		if sc.name == "crash at start" {
			most += trial.DefaultStarts
		}
		if l.up == 0 || l.up > most {
			t.Errorf("stopped in start %d, a version was up in start %d: %+v", l.stopped, l.up, l)
		}
	}
	if l.status.Version != sc.final || l.status.Trial || l.status.Next != "" {
		t.Errorf("%s runs, want %s: %+v", l.status.Version, sc.final, l)
	}
	if l.status.Staged != "" {
		t.Errorf("version %s is still to be switched to", l.status.Staged)
	}
	if !sc.back {
		if !strings.Contains(l.refused, sc.says) || l.status.Failed+l.status.Reason != "" {
			t.Errorf("refused with %q, want %q: %+v", l.refused, sc.says, l.status)
		}
		return l.steps
	}
	// On a machine that is busy the guard may come before the agent's own end, and
	// each stop takes one of the trial's starts.
	reason := l.status.Reason
	guarded := strings.Contains(sc.says, "journal") && strings.Contains(reason, "and was ended")
	if !strings.Contains(reason, sc.says) && !guarded && (step == "" || !strings.Contains(reason, "never proved healthy")) {
		t.Errorf("the status says %q, want %q: %+v", reason, sc.says, l)
	}
	if l.status.Failed != "1.1.0" || !l.told(reason) {
		t.Errorf("the log says nothing of going back because %q: %q", reason, l.logs)
	}
	if sc.name != "crash at start" && sc.name != "hang" && !guarded {
		text, err := os.ReadFile(l.status.Log)
		if err != nil || len(text) == 0 {
			t.Errorf("the failed version left no log: %v", err)
		}
	}
	return l.steps
}

// told says whether the log has a line of the rollback, with its reason.
func (l *life) told(reason string) bool {
	return slices.ContainsFunc(l.logs, func(line string) bool {
		var said struct{ Message, Reason, Version, Running string }
		return json.Unmarshal([]byte(line), &said) == nil && said.Message == "update rolled back" &&
			said.Reason == reason && said.Version == "1.1.0" && said.Running == "1.0.0"
	})
}

// compareTable compares what was seen with testdata/kills.md. What was not played
// in this run stands as it was in the last that played everything.
func compareTable(t *testing.T, all []scenario, cells map[[2]string]string) {
	t.Helper()
	name := killsFile
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
	compareFile(t, name, string(want), b.String())
}

func compareFile(t *testing.T, name, had, got string) {
	t.Helper()
	switch {
	case got == had:
	case *writeTable:
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not as this run (run with -all -table to write it):\n%s", name, got)
	}
}

const (
	killsFile    = "testdata/kills.md"
	docsFile     = "../../docs/TESTING.md"
	summaryBegin = "<!-- from testdata/kills.md by TestKillsInDocs -->\n"
	summaryEnd   = "<!-- end -->\n"
)

// The summary in docs/TESTING.md is the table's: of each release at how many steps
// it was stopped, what runs in the end, and what a person reads of it.
func TestKillsInDocs(t *testing.T) {
	table, err := os.ReadFile(killsFile)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(docs), summaryBegin)
	_, after, also := strings.Cut(rest, summaryEnd)
	if !ok || !also {
		t.Fatalf("%s has no place for the summary", docsFile)
	}
	var b strings.Builder
	b.WriteString("| release | stopped at | by | runs in the end | status and log say |\n|---|---|---|---|---|\n")
	for column, sc := range scenarios() {
		reached := 0
		for _, row := range strings.Split(strings.TrimSpace(string(table)), "\n")[2:] {
			switch cell := strings.TrimSpace(strings.Split(row, "|")[column+2]); cell {
			case "–":
			case sc.final:
				reached++
			default:
				t.Errorf("%s: %q is not what should run", sc.name, cell)
			}
		}
		how, says := "SIGKILL, power cut", sc.says
		if sc.full {
			how = "ENOSPC, also after SIGKILL or power cut"
		}
		switch {
		case sc.back:
			says = "gone back: …" + says
		case says != "":
			says = "refused: …" + says
		default:
			says = "committed"
		}
		fmt.Fprintf(&b, "| %s | %d steps | %s | %s | %s |\n", sc.name, reached, how, sc.final, says)
	}
	compareFile(t, docsFile, string(docs), before+summaryBegin+b.String()+summaryEnd+after)
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
		s.kept(t, l, 1)
		if l.status.Version != "1.1.0" || l.status.Trial {
			t.Errorf("after %d writes: %+v", n, l)
		}
		if whole {
			return
		}
	}
}

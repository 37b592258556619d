// Package house holds the rules of the house: which package may import which,
// and what stays pinned. They are tests, so that nobody has to remember them.
package house

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ostatok/"

// may says what each package of ours may import of ours; a trailing slash means
// a whole folder. What is not listed may import nothing of ours.
var may = []struct {
	folder string
	of     []string
}{
	{"agent/stock", nil},
	{"agent/sqlite", nil},
	{"agent/config", []string{"agent/stock", "platform/network", "platform/zone"}},
	{"agent/mirror", []string{"agent/stock", "agent/sqlite"}},
	{"agent/journal", []string{"agent/stock", "agent/sqlite"}},
	{"agent/local", []string{"agent/stock", "agent/mirror", "agent/journal", "sync/match", "sync/pull", "sync/push"}},
	{"agent/message", []string{"agent/stock"}},
	{"agent/command", []string{"agent/message"}},
	{"agent/remote", []string{"agent/stock", "agent/journal", "agent/command", "agent/message"}},
	{"agent/ingest", []string{"agent/stock", "agent/sqlite", "agent/mirror", "agent/journal", "sync/evotor"}},
	{"agent/page", []string{"agent/stock", "agent/journal", "agent/local", "sync/push"}},
	{"agent", []string{"agent/", "sync/", "platform/"}},
	{"sync/rest", nil},
	{"sync/rest/pipe", nil},
	{"sync/target", []string{"agent/stock"}},
	{"sync/evotor", []string{"agent/stock", "sync/rest", "sync/target"}},
	{"sync/evotor/evotortest", []string{"agent/stock"}},
	{"sync/virtpos", []string{"agent/stock", "sync/rest", "sync/target"}},
	{"sync/virtpos/virtpostest", []string{"agent/stock"}},
	{"sync/zelenka", []string{"agent/stock", "sync/rest", "sync/target"}},
	{"sync/zelenka/zelenkatest", []string{"agent/stock"}},
	{"sync/keycrm", []string{"agent/stock", "sync/rest", "sync/target"}},
	{"sync/keycrm/keycrmtest", []string{"agent/stock"}},
	{"sync/match", []string{"agent/stock", "sync/target"}},
	{"sync/pull", []string{"agent/stock", "agent/mirror", "sync/rest", "sync/evotor"}},
	{"sync/push", []string{"agent/stock", "agent/mirror", "agent/journal", "sync/rest", "sync/target"}},
	{"sync/push/pushtest", []string{"agent/stock", "agent/mirror", "agent/journal", "sync/push", "sync/rest", "sync/target"}},
	{"platform/update", []string{"platform/disk", "platform/release", "platform/update/trial"}},
	{"platform/", nil},
	{"cmd/ostatok", []string{"agent", "agent/", "sync/", "platform/"}},
	{"cmd/ostatok-launcher", []string{"platform/update/trial"}},
	{"cmd/ostatokctl", []string{"agent/stock", "agent/command", "agent/message", "platform/network", "platform/release"}},
	{"cmd/ostatok-sandbox", []string{"agent/stock", "cmd/ostatok-sandbox/broker",
		"sync/evotor/evotortest", "sync/virtpos/virtpostest", "sync/zelenka/zelenkatest", "sync/keycrm/keycrmtest"}},
	{"cmd/ostatok-sandbox/broker", nil},
	{"scripts/", []string{"agent", "agent/", "sync/", "cmd/", "platform/"}},
}

type listed struct {
	ImportPath, Dir string
	Imports         []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Imports"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v", err)
	}
	var all []listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArrowsPointOneWay(t *testing.T) {
	packages := list(t, "./...")
	if len(packages) < 15 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		rule := slices.IndexFunc(may, func(m struct {
			folder string
			of     []string
		}) bool {
			return m.folder == name || (strings.HasSuffix(m.folder, "/") && strings.HasPrefix(name, m.folder))
		})
		for _, i := range p.Imports {
			of, ours := strings.CutPrefix(i, module)
			if !ours || strings.HasPrefix(of, name+"/internal") {
				continue
			}
			if rule < 0 || !slices.ContainsFunc(may[rule].of, func(a string) bool {
				return a == of || (strings.HasSuffix(a, "/") && strings.HasPrefix(of, a) && of != a)
			}) {
				t.Errorf("%s may not import %s", name, of)
			}
		}
	}
}

func TestHeartImportsOnlyTheStandardLibrary(t *testing.T) {
	for _, p := range list(t, "./agent/stock") {
		for _, i := range p.Imports {
			if strings.Contains(strings.Split(i, "/")[0], ".") {
				t.Errorf("agent/stock imports %s", i)
			}
			if i == "time" || i == "os" || i == "net" {
				t.Errorf("agent/stock imports %s: it has no clock and does no input or output", i)
			}
		}
	}
}

func TestSimulatorsAreNotInTheAgent(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/ostatok") {
		for _, bad := range []string{"evotortest", "virtpostest", "zelenkatest", "keycrmtest", "networktest", "pushtest", "pipe", "nats-server", "net/http/httptest", "testing"} {
			if p.ImportPath == bad || strings.HasSuffix(p.ImportPath, "/"+bad) || strings.Contains(p.ImportPath, "/"+bad+"/") {
				t.Errorf("the agent links %s", p.ImportPath)
			}
		}
	}
}

// A libc that is newer than the one SQLite was made with has crashed fleets of
// 32-bit boxes.
func TestLibcStaysWhereSQLitePinsIt(t *testing.T) {
	dir := func(m string) string {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.GoMod}}", m).Output()
		if err != nil {
			t.Fatalf("cannot find %s: %v", m, err)
		}
		return strings.TrimSpace(string(out))
	}
	version := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); slices.Contains(f, "modernc.org/libc") {
				return f[slices.Index(f, "modernc.org/libc")+1]
			}
		}
		t.Fatalf("%s names no modernc.org/libc", file)
		return ""
	}
	ours, pinned := version(filepath.Join("..", "..", "go.mod")), version(dir("modernc.org/sqlite"))
	if ours != pinned {
		t.Errorf("modernc.org/libc is at %s, SQLite pins %s", ours, pinned)
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, top := range []string{"agent", "cmd", "sync", "platform", "scripts"} {
		err := filepath.WalkDir(filepath.Join("..", "..", top), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			most := 500
			if filepath.Base(path) == "main.go" && strings.Contains(path, string(filepath.Separator)+"cmd"+string(filepath.Separator)) {
				most = 60
			}
			if n := strings.Count(string(text), "\n"); n > most {
				t.Errorf("%s has %d lines, more than %d", path, n, most)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

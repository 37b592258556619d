package faults

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var write = flag.Bool("table", false, "write testdata/faults.md instead of comparing with it")

// row is a line of the table: what is seen while a fault lasts and afterwards.
type row struct{ during, sender, process, after string }

// results are the rows that the tests of this run have seen.
type results struct {
	mu   sync.Mutex
	rows map[string]row
}

var table = &results{rows: map[string]row{}}

func (r *results) set(t testing.TB, fault string, seen row) {
	if t.Failed() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[fault] = seen
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 {
		if err := table.compare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const golden = "testdata/faults.md"

// compare holds what was seen against the table, or writes it. Rows of tests that
// did not run, were skipped or failed are nobody's: only a whole run writes.
func (r *results) compare() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := os.ReadFile(golden)
	if err != nil && !*write {
		return fmt.Errorf("cannot read the table: %w; `go test -table` writes it", err)
	}
	var b strings.Builder
	b.WriteString("# What the agent does on a failing card\n\nWritten by `make faults FAULTS_FLAGS=-table`: the real binary, a simulated cloud, documents sent in the shop.\n\n" +
		"| fault | while it lasts: healthz | a sender hears | the process | afterwards |\n|---|---|---|---|---|\n")
	for _, fault := range slices.Sorted(maps.Keys(r.rows)) {
		s := r.rows[fault]
		line := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", fault, s.during, s.sender, s.process, s.after)
		if !*write && !strings.Contains(string(kept), line) {
			return fmt.Errorf("%s has another line for this: %s", golden, line)
		}
		b.WriteString(line)
	}
	if !*write {
		return nil
	}
	return os.WriteFile(golden, []byte(b.String()), 0o644)
}

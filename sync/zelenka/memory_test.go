//go:build linux && !race

package zelenka_test

import (
	"context"
	"fmt"
	"iter"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

const (
	budgetRows = 200_000
	budgetKiB  = 48 << 10
)

// catalogue lists many products without holding them, as the mirror does. Each
// listing is another one, so that the second finds changes.
type catalogue struct {
	rows, lists int
	wide        bool // ids like hashes
}

func (c *catalogue) Refresh(context.Context) error { return nil }

func (c *catalogue) Figures(context.Context) iter.Seq2[target.Row, error] {
	c.lists++
	shift := c.lists
	return func(yield func(target.Row, error) bool) {
		for i := range c.rows {
			key := fmt.Sprintf("ЦБ-%08d", i)
			if c.wide {
				// The longest that fit, and hard to pack.
				key = fmt.Sprintf("%016x%014x", uint64(i)*0x9e3779b97f4a7c15, uint64(i+1)*0xbf58476d1ce4e5b9>>8)
			}
			q := stock.Quantity(i%1000) * stock.Unit
			if i%1000 == 7 {
				q += stock.Quantity(shift) * stock.Unit
			}
			if !yield(target.Row{Key: key, Quantity: q}, nil) {
				return
			}
		}
	}
}

// The budget of design §6: a full list of 200 000 rows in at most 48 MB resident,
// in one pass. The run is made by a process of its own, whose peak the system
// measures; the simulator stays in this one.
func TestFullRunMemory(t *testing.T) {
	if address := os.Getenv("ZELENKA_TEST_ADDRESS"); address != "" {
		memoryRun(t, address)
		return
	}
	for _, ids := range []string{"ordinary", "longest"} {
		t.Run(ids, func(t *testing.T) { measure(t, ids) })
	}
}

func measure(t *testing.T, ids string) {
	sim := zelenkatest.New(zelenkatest.Options{Username: username, Key: apikey, Warehouses: []int64{warehouse}})
	server := httptest.NewServer(sim)
	defer server.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestFullRunMemory$", "-test.v", "-test.count=1")
	child.Env = append(os.Environ(), "ZELENKA_TEST_ADDRESS="+server.URL, "ZELENKA_TEST_IDS="+ids)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	peak := regexp.MustCompile(`peak (\d+) KiB`).FindSubmatch(out)
	if peak == nil {
		t.Fatalf("the process does not tell its peak:\n%s", out)
	}
	kib, _ := strconv.Atoi(string(peak[1]))
	requests := sim.Requests()
	if len(requests) != 1 || requests[0].Rows != budgetRows || len(sim.Violations()) != 0 {
		t.Fatalf("%+v %v", requests, sim.Violations())
	}
	t.Logf("%d rows, %d bytes: peak %d KiB of %d", budgetRows, requests[0].Bytes, kib, budgetKiB)
	if kib > budgetKiB {
		t.Errorf("the run took %d KiB, the budget is %d", kib, budgetKiB)
	}
}

func memoryRun(t *testing.T, address string) {
	debug.SetMemoryLimit(24 << 20) // as the agent does
	debug.SetGCPercent(50)
	client, err := zelenka.New(zelenka.Options{URL: address, Username: username, Key: apikey})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	source := &catalogue{rows: budgetRows, wide: os.Getenv("ZELENKA_TEST_IDS") == "longest"}
	kept := &state{kept: true, run: zelenka.Run{Phase: zelenka.Done, Day: "2020-01-01"}}
	again := new(resent)
	f, err := client.FullRun(zelenka.FullOptions{
		TargetOptions: zelenka.TargetOptions{Warehouse: warehouse}, Store: kept, Source: source,
		Resend: again.take, Trusted: func() bool { return true }, At: "03:30", Settle: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	report, err := f.Run(t.Context())
	if err != nil || report.Run.Phase != zelenka.Done || report.Changed != budgetRows/1000 || source.lists != 2 {
		t.Fatalf("%+v: %v", report, err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Printf("peak %s KiB in %v\n", strings.Fields(peak)[0], time.Since(start))
}

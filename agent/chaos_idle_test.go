package agent_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/agent/config"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
)

// looks is how often at most something is looked at every five minutes in six
// hours: a pause is up to a tenth shorter, so that shops do not all come at once.
const looks = 6*12*10/9 + 1

// While nothing changes, nothing is written, and nothing is read but what looks
// for changes: documents and the catalogue in the cloud, reserves in KeyCRM. Once
// a day each figure that can be read is read again.
func TestNothingChangesNothingIsSent(t *testing.T) {
	s := worldSettings{
		seed: 3, pageSize: 1000,
		shop: evotortest.Settings{Products: 60, Documents: 700, From: opening.AddDate(0, 0, -7), Terminals: 2, Download: 4 * time.Hour, FullCounts: 1},
		crm:  keycrmtest.Options{Rate: 20},
		config: func(c *config.Config) {
			c.Evotor.Poll = 5 * time.Minute
			for i := range c.Targets {
				c.Targets[i].Quantity = "available"
			}
			c.Targets[2].Quantity = "physical"
		},
	}
	inWorld(t, s, func(t *testing.T, w *world) {
		time.Sleep(time.Hour)
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		// Not in step with what is read every five minutes: it could come between
		// two looks at the requests.
		time.Sleep(2*time.Hour + 77*time.Second)
		w.judgeFigures()

		w.forgetRequests()
		time.Sleep(6 * time.Hour)
		synctest.Wait() // what began at this very moment is under way
		for of, most := range map[string]int{
			"evotor GET stores":         looks,
			"evotor GET devices":        looks,
			"evotor GET documents":      looks,
			"evotor GET products":       2 * (6 + 1), // that a page is the last is asked twice
			"evotor GET product-groups": 6 + 1,
			"site GET stocks":           2 * looks, // for more SKUs than fit on a page
		} {
			if n := w.take(of); n == 0 || n > most {
				t.Errorf("%d × %s in six hours, want at most %d", n, of, most)
			}
		}
		if more := w.left(); len(more) > 0 {
			t.Errorf("besides that: %v", more)
		}

		time.Sleep(14 * time.Hour) // not quite a day after the first figures
		w.forgetRequests()
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		for _, of := range []string{"evotor GET stores", "evotor GET devices", "evotor GET documents", "evotor GET products", "evotor GET product-groups"} {
			w.take(of)
		}
		if n := w.take("site GET stocks"); n > 2*looks+8 {
			t.Errorf("%d readings of KeyCRM to look at each figure once", n)
		}
		if n := w.take("office POST store"); n == 0 || n > 4 {
			t.Errorf("%d readings of VirtPOS to look at each figure once", n)
		}
		if more := w.left(); len(more) > 0 {
			t.Errorf("besides that: %v", more)
		}
		w.judgeLimits()
	})
}

func (w *world) forgetRequests() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.asked)
}

// take counts requests whose path ends so, and takes them off the account.
func (w *world) take(of string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var system, method, last string
	if _, err := fmt.Sscan(of, &system, &method, &last); err != nil {
		w.t.Fatal(err)
	}
	for _, asked := range slices.Collect(maps.Keys(w.asked)) {
		if strings.HasPrefix(asked, system+" "+method+" ") && strings.HasSuffix(asked, "/"+last) {
			n += w.asked[asked]
			delete(w.asked, asked)
		}
	}
	return n
}

// left are the requests that nobody has taken off the account.
func (w *world) left() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.asked)
}

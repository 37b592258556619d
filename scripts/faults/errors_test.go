package faults

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stepDefault is how far apart the calls are at which a session is made to fail:
// a session has hundreds, and each is a session of some seconds. FAULTS_STEP = 1
// tries them all, FAULTS_FIRST = n begins with the n-th.
const stepDefault = 200

// kinds of faults at the n-th call; n goes up until a session ends without one.
var kinds = []struct {
	name  string
	calls []Call
	errno syscall.Errno
	stays bool
	step  int // of so many times the step
}{
	{"EIO once, at the n-th call that writes", Writing(), syscall.EIO, false, 1},
	{"EIO from the n-th call that writes on", Writing(), syscall.EIO, true, 2},
	{"ENOSPC once, at the n-th call that writes", Writing(), syscall.ENOSPC, false, 2},
	{"ENOSPC from the n-th call that writes on", Writing(), syscall.ENOSPC, true, 2},
	{"EROFS from the n-th call that writes on", Writing()[1:], syscall.EROFS, true, 2},
	{"EIO once, at the n-th read", []Call{Read}, syscall.EIO, false, 1},
	{"EIO from the n-th read on", []Call{Read}, syscall.EIO, true, 1},
}

// group is how many sessions are played until one of them meets no fault any
// more: a few, or all of them would be played beyond the last call.
func group(step int) int {
	if step == 1 {
		return 32
	}
	return 8
}

// healed is how each of them has to end.
const healed = "in step by itself; nothing acknowledged is lost, nothing counts twice"

func TestErrors(t *testing.T) {
	needFUSE(t)
	step := number(t, "FAULTS_STEP", stepDefault)
	start := number(t, "FAULTS_FIRST", 1)
	for _, k := range kinds {
		every := step
		if step > 1 { // at 1 all are tried
			every *= k.step
		}
		if len(k.calls) == 1 {
			every = max(1, step/4) // there are few: the kernel keeps pages
		}
		var mu sync.Mutex
		tried, ended, ranOut, last, told := 0, 0, false, 0, 0
		t.Run(k.name, func(t *testing.T) {
			t.Run("n", func(t *testing.T) {
				for first := start; !ranOut && !t.Failed(); first += group(every) * every {
					t.Run(strconv.Itoa(first), func(t *testing.T) {
						for i := range group(every) {
							n := first + i*every
							t.Run(strconv.Itoa(n), func(t *testing.T) {
								t.Parallel()
								s := session(t, Fault{Calls: k.calls, Nth: n, Stays: k.stays, Errno: k.errno})
								mu.Lock()
								defer mu.Unlock()
								tried++
								ended += min(1, s.ends)
								told += s.told
								if s.hits == 0 {
									ranOut = true
								} else {
									last = max(last, n)
								}
							})
						}
					})
				}
			})
			if tried == 0 {
				return
			}
			t.Logf("%d sessions, every %d calls up to %d; in %d the agent ended and was started again, in %d it told of trouble", tried, every, last, ended, told)
			r := row{during: "–", sender: "200 only for what is durable", process: "goes on, or ends and is started again",
				after: healed}
			if k.stays {
				r.during = "not 200, or `status` names it"
			}
			table.set(t, k.name, r)
		})
	}
}

// met is what a session met.
type met struct{ hits, ends, told int }

// session plays one: first sync, delivery, documents of the shop. A fault that
// stays is mended after a while. In the end everything must be right.
func session(t *testing.T, f Fault) (m met) {
	card := insert(t, false)
	c := newCloud(t, tiny, nil)
	b := newBox(t, c, filepath.Join(card.Dir, "data"))
	card.Break(&f)
	b.start()
	taken := map[int]bool{}
	next := 0
	push := func() {
		if next == shopDocuments {
			return
		}
		if status, _ := b.send(c.document(next)); status == http.StatusOK {
			taken[next] = true
			next++
		}
	}
	// Until all is done, or the fault has lasted long enough to be seen.
	const lasts = 6 * time.Second
	var since time.Time
	sick, fine := false, false
	await(t, "the session to end, or to fail", func() bool {
		push()
		if len(card.Hits()) > 0 && since.IsZero() {
			since = time.Now()
		}
		status, _ := b.health()
		fine = status == http.StatusOK
		if !since.IsZero() && !fine {
			sick = true
		}
		if f.Stays && !since.IsZero() {
			return time.Since(since) > lasts
		}
		return next == shopDocuments && b.inStep(c)
	})
	m.hits = len(card.Hits())
	if sick {
		m.told = 1
	}
	if f.Stays && m.hits > 0 {
		if fine && stillHit(card) {
			s, err := b.status()
			if err == nil && len(s.Problems) == 0 {
				t.Errorf("calls fail (%v), and neither healthz nor status says so", last(card.Hits()))
			}
		}
		for len(taken) < shopDocuments && next < shopDocuments && time.Since(since) < lasts+time.Second {
			push()
		}
	}
	card.Break(nil)
	await(t, "all documents to be taken", func() bool { push(); return next == shopDocuments })
	b.synced(c)
	right(t, b, c)
	m.ends = len(b.codes())
	for _, code := range b.codes() {
		if code != 1 {
			t.Errorf("it ended with %d", code)
		}
	}
	await(t, "health", func() bool { status, _ := b.health(); return status == http.StatusOK })
	if said := b.log.tail(1 << 20); f.Errno == syscall.EIO && strings.Contains(said, "permission denied") {
		t.Error("it takes a failing card for a matter of permissions")
	}
	b.stop()
	// Not through the card: SQLite's calls would hold the threads that serve it.
	data := filepath.Join(card.backing, "data")
	if f.Stays && f.Calls[0] == Read {
		// What was only begun while nothing could be read holds nothing and may be
		// set aside; TestUnreadable has the other case.
		if err := sound(data); err != nil {
			t.Error(err)
		}
		return m
	}
	clean(t, data)
	return m
}

// stillHit tells whether the agent met the fault in the last moments: one that
// nobody meets is nobody's to tell.
func stillHit(c *Card) bool {
	before := len(c.Hits())
	time.Sleep(2 * time.Second)
	return len(c.Hits()) > before
}

func last(list []Call) []Call { return list[max(0, len(list)-5):] }

// right checks every level and every document of the shop.
func right(t *testing.T, b *box, c *cloud) {
	t.Helper()
	want := func(n int) string {
		if n < shopDocuments {
			return string(less(c.shop[n].Told, 1))
		}
		return string(c.shop[n].Told)
	}
	wrong := ""
	if !within(patience, func() bool {
		levels := b.levels()
		wrong = ""
		for n, p := range c.shop {
			if string(levels[p.ID]) != want(n) {
				wrong += fmt.Sprintf("%d %s is %s, want %s\n", n, p.ID, levels[p.ID], want(n))
			}
		}
		return wrong == ""
	}) {
		t.Errorf("levels are not right:\n%s", wrong)
	}
	for n := range shopDocuments {
		if times := b.explains(c, n); times != 1 {
			t.Errorf("document %d stands in its chain %d times", n, times)
		}
		if status, text := b.send(c.document(n)); status != http.StatusOK {
			t.Errorf("document %d sent again: %d %s", n, status, text)
		}
	}
}

// clean checks the files of an agent that was stopped.
func clean(t *testing.T, data string) {
	t.Helper()
	if err := sound(data); err != nil {
		t.Error(err)
	}
	if list, _ := filepath.Glob(filepath.Join(data, "*.corrupt-*")); len(list) > 0 {
		t.Errorf("a sound file was taken for damaged: %v", list)
	}
}

// An agent that is started on a card that does not read must not take its sound
// files for damaged: a journal that is set aside is gone for it.
func TestUnreadable(t *testing.T) {
	needFUSE(t)
	c := newCloud(t, small, nil)
	made := filepath.Join(memory(t), "data")
	b := newBox(t, c, made)
	b.start()
	b.synced(c)
	c.away.Store(true)
	for n := range shopDocuments {
		if status, text := b.send(c.document(n)); status != http.StatusOK {
			t.Fatalf("a document on a sound card: %d %s", status, text)
		}
	}
	b.kill()
	every := max(1, number(t, "FAULTS_STEP", stepDefault)/25) // a start has some fifty reads
	for _, stays := range []bool{false, true} {
		name := "started on a card that fails once, at the n-th read"
		if stays {
			name = "started on a card that fails from the n-th read on"
		}
		t.Run(name, func(t *testing.T) {
			var ranOut atomic.Bool
			t.Run("n", func(t *testing.T) {
				for first := 1; !ranOut.Load() && !t.Failed(); first += group(every) * every {
					t.Run(strconv.Itoa(first), func(t *testing.T) {
						for n := first; n < first+group(every)*every; n += every {
							t.Run(strconv.Itoa(n), func(t *testing.T) {
								t.Parallel()
								if !unreadable(t, c, made, n, stays) {
									ranOut.Store(true)
								}
							})
						}
					})
				}
			})
			table.set(t, name, row{during: "–", sender: "–", process: "goes on, or ends with 1 and is started again", after: healed})
		})
	}
}

func unreadable(t *testing.T, c *cloud, made string, n int, stays bool) (hit bool) {
	card := insert(t, false)
	if err := os.CopyFS(filepath.Join(card.backing, "data"), regular(made)); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, c, filepath.Join(card.Dir, "data"))
	card.Break(&Fault{Calls: []Call{Read}, Nth: n, Stays: stays, Errno: syscall.EIO})
	b.start()
	await(t, "a start, or its end", func() bool { status, _ := b.health(); return status != 0 || len(b.codes()) > 1 })
	hit = len(card.Hits()) > 0
	card.Break(nil)
	await(t, "health", func() bool { status, _ := b.health(); return status == http.StatusOK })
	right(t, b, c) // with the cloud away: from the files alone
	b.stop()
	clean(t, filepath.Join(card.backing, "data"))
	return hit
}

// regular is a directory without its socket.
func regular(dir string) fs.FS { return plain{os.DirFS(dir)} }

type plain struct{ fs.FS }

func (p plain) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(p.FS, name)
	return slices.DeleteFunc(list, func(d fs.DirEntry) bool { return d.Type()&fs.ModeSocket != 0 }), err
}

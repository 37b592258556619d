package faults

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Faults that need no FUSE: each begins while the agent works and the cloud is
// away, lasts until it has been seen, and is mended under the running agent.
func TestFull(t *testing.T) {
	needRoot(t)
	for _, f := range []struct {
		name  string
		size  string // of the tmpfs
		begin func(t *testing.T, b *box, dir string)
		end   func(t *testing.T, b *box, dir string)
		sick  string // what healthz says
		sent  []int  // what a sender may hear
	}{
		{"the card is full (tmpfs of 24 MB)", "24m", fill, empty, "the agent's files cannot be written; see its log", []int{507}},
		{"files may not grow (RLIMIT_FSIZE)", "64m", limit("4096"), limit("unlimited"), "the agent's files cannot be written; see its log", []int{503, 507}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+f.size); err != nil {
				t.Skipf("mounting a small file system needs root: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			c := newCloud(t, small, nil)
			data := filepath.Join(dir, "data")
			b := newBox(t, c, data)
			b.start()
			b.synced(c)
			c.away.Store(true)
			taken := 0
			if status, text := b.send(c.document(taken)); status != http.StatusOK {
				t.Fatalf("a document on a sound card: %d %s", status, text)
			}
			taken++

			f.begin(t, b, dir)
			// What still fits is still taken; then there is no 200 any more.
			status, text := 0, ""
			await(t, "a refusal", func() bool {
				if taken == shopDocuments {
					t.Fatal("all documents were taken: the fault is none")
				}
				if status, text = b.send(c.document(taken)); status == http.StatusOK {
					taken++
				}
				return status != http.StatusOK
			})
			fits := false
			for _, s := range f.sent {
				fits = fits || s == status
			}
			if !fits {
				t.Errorf("a sender hears %d %s, want %v", status, text, f.sent)
			}
			code, sick := b.health()
			if code != http.StatusServiceUnavailable || sick != f.sick {
				t.Errorf("healthz: %d %s, want 503 %s", code, sick, f.sick)
			}
			// Ended at the wrong moment, it must come back all the same.
			_ = syscall.Kill(b.pid(), syscall.SIGTERM)
			await(t, "the agent to end", func() bool { return len(b.codes()) > 0 })
			f.end(t, b, dir)

			await(t, "health", func() bool { code, _ := b.health(); return code == http.StatusOK })
			c.away.Store(false)
			await(t, "all documents to be taken", func() bool {
				if status, _ := b.send(c.document(taken)); status == http.StatusOK {
					taken++
				}
				return taken == shopDocuments
			})
			b.synced(c)
			right(t, b, c)
			b.stop()
			clean(t, data)
			table.set(t, f.name, row{during: "503 " + sick, sender: strconv.Itoa(status),
				process: "goes on; ended meanwhile, it comes back", after: healed})
		})
	}
}

const filler = "filler"

func fill(t *testing.T, _ *box, dir string) {
	f, err := os.Create(filepath.Join(dir, filler))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func empty(t *testing.T, _ *box, dir string) {
	if err := os.Remove(filepath.Join(dir, filler)); err != nil {
		t.Fatal(err)
	}
}

// The kernel makes a file system read-only under open files after errors of its
// own, and lets nobody else do so: that case is TestErrors' EROFS. Here the agent
// is started on one.
func TestReadOnly(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	c := newCloud(t, small, nil)
	data := filepath.Join(dir, "data")
	b := newBox(t, c, data)
	b.start()
	b.synced(c)
	c.away.Store(true)
	const before = 2
	for n := range before {
		if status, text := b.send(c.document(n)); status != http.StatusOK {
			t.Fatalf("a document on a sound card: %d %s", status, text)
		}
	}
	b.stop()
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, "size=32m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	b.start()
	ends := len(b.codes())
	await(t, "three starts", func() bool { return len(b.codes()) >= ends+3 })
	if said := b.log.tail(2000); !strings.Contains(said, "read-only") {
		t.Errorf("it does not say why it cannot start: %s", said)
	}
	if status, _ := b.send(c.document(before)); status == http.StatusOK {
		t.Error("a document was taken on a read-only card")
	}
	remount(0)
	await(t, "health", func() bool { code, _ := b.health(); return code == http.StatusOK })
	c.away.Store(false)
	for n := range shopDocuments {
		await(t, "the documents to be taken", func() bool { status, _ := b.send(c.document(n)); return status == http.StatusOK })
	}
	b.synced(c)
	right(t, b, c)
	b.stop()
	clean(t, data)
	table.set(t, "started on a read-only card (tmpfs remounted)", row{during: "no answer; the log says what to do", sender: "no answer",
		process: "ends with 1 and is started again until it can write", after: healed})
}

func limit(bytes string) func(*testing.T, *box, string) {
	return func(t *testing.T, b *box, _ string) {
		if bytes == "unlimited" && b.ended() {
			return // a new process has no limit
		}
		if out, err := exec.Command("prlimit", "--fsize="+bytes, "--pid", strconv.Itoa(b.pid())).CombinedOutput(); err != nil {
			t.Fatalf("prlimit: %v: %s", err, out)
		}
	}
}

// ended tells whether it is another process than the first.
func (b *box) ended() bool { return len(b.codes()) > 0 }

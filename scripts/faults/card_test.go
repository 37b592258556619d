package faults

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// insert mounts a card for a test.
func insert(t testing.TB, recording bool) *Card {
	t.Helper()
	needFUSE(t)
	backing, mount, err := folders(memory(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Insert(backing, mount, recording)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Break(nil)
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// memory is a directory in memory: what lies behind a card need not be durable.
func memory(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "faults-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tree is what a directory holds, by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		all[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCardLosesWhatWasNotSynced(t *testing.T) {
	c := insert(t, true)
	name := func(s string) string { return filepath.Join(c.Dir, s) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	syncDir := func(dir string) {
		t.Helper()
		d, err := os.Open(dir)
		check(err)
		check(errors.Join(d.Sync(), d.Close()))
	}
	// f holds "synced", and its name is durable; what follows is not.
	f, err := os.Create(name("f"))
	check(err)
	_, err = f.WriteString("synced")
	check(err)
	check(f.Sync())
	nameless := c.Steps() // data without a name
	syncDir(c.Dir)
	named := c.Steps()
	_, err = f.WriteString(" and more")
	check(err)
	check(f.Truncate(3))
	check(f.Close())
	check(os.WriteFile(name("g"), []byte("empty at the cut"), 0o600))
	syncDir(c.Dir)
	both := c.Steps()
	check(os.Rename(name("g"), name("f")))
	check(os.Mkdir(name("d"), 0o700))
	c.Mark("renamed")
	renamed := c.Steps()
	syncDir(c.Dir)
	after := c.Steps()
	check(os.Remove(name("f")))

	for _, cut := range []struct {
		after int
		want  map[string]string
	}{
		{0, map[string]string{}},
		{nameless, map[string]string{}},
		{named, map[string]string{"f": "synced"}},
		{both, map[string]string{"f": "synced", "g": ""}},
		{renamed, map[string]string{"f": "synced", "g": ""}},
		{after, map[string]string{"f": ""}},
		{c.Steps(), map[string]string{"f": ""}},
	} {
		into := t.TempDir()
		marks, err := c.Survives(cut.after, All, nil, into)
		check(err)
		got := tree(t, into)
		if len(got) != len(cut.want) {
			t.Errorf("after %d steps there are %v, want %v", cut.after, got, cut.want)
		}
		for name, want := range cut.want {
			if got[name] != want {
				t.Errorf("after %d steps %s is %q, want %q", cut.after, name, got[name], want)
			}
		}
		if (cut.after >= renamed) != slices.Contains(marks, "renamed") {
			t.Errorf("after %d steps the marks are %v", cut.after, marks)
		}
	}
	if _, err := os.Stat(name("d")); err != nil {
		t.Error("the living card has lost something:", err)
	}

	// With part of it lost there is sometimes this and sometimes that.
	seen := map[string]bool{}
	for seed := range uint64(64) {
		into := t.TempDir()
		_, err := c.Survives(renamed, Some, rand.New(rand.NewPCG(seed, 1)), into)
		check(err)
		got := tree(t, into)
		seen[got["f"]] = true
	}
	for _, want := range []string{"", "syn", "synced", "synced and more", "empty at the cut"} {
		if !seen[want] {
			t.Errorf("f was never %q: %v", want, seen)
		}
	}
}

func TestCardFailsTheNthCall(t *testing.T) {
	c := insert(t, false)
	file := filepath.Join(c.Dir, "f")
	write := func() error { return os.WriteFile(file, []byte("x"), 0o600) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	for _, stays := range []bool{false, true} {
		c.Break(&Fault{Calls: []Call{Write}, Nth: 2, Stays: stays, Errno: syscall.EIO})
		if err := write(); err != nil {
			t.Fatal(err)
		}
		if err := write(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v, want EIO", err)
		}
		if err := write(); (err != nil) != stays {
			t.Fatalf("stays = %t and the third write: %v", stays, err)
		}
		if want := 1; len(c.Hits()) < want || c.Counted() != 3 {
			t.Errorf("%v of %d", c.Hits(), c.Counted())
		}
	}
	c.Break(nil)
	if err := write(); err != nil {
		t.Fatal(err)
	}
	c.Break(&Fault{Calls: []Call{Fsync}, Nth: 1, Errno: syscall.ENOSPC})
	d, err := os.Open(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Sync()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fsync of a directory: %v", err)
	}
	_ = d.Close()
}

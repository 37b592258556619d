package trial_test

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostatok/platform/update/trial"
)

// install makes versions, the last one newest.
func install(t *testing.T, root string, versions ...string) {
	t.Helper()
	for i, v := range versions {
		if err := os.MkdirAll(trial.Dir(root, v), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(trial.Program(root, v), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(trial.Program(root, v), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func sealed(body string) string {
	return body + "sum " + strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 16) + "\n"
}

func next(t *testing.T, root string) trial.Choice {
	t.Helper()
	c, err := trial.Next(trial.Disk{}, root, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNext(t *testing.T) {
	onTrial := trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Most: 2, Deadline: time.Minute}
	for _, test := range []struct {
		name   string
		have   []string
		record *trial.Record
		raw    string // a record's text that is not one
		link   string
		broken map[string]string
		want   string // the version that starts
		trial  bool
		note   string
	}{
		{name: "settled", have: []string{"1.0.0", "1.1.0"}, record: &trial.Record{Version: "1.0.0"}, want: "1.0.0"},
		{name: "on trial", have: []string{"1.0.0", "1.1.0"}, record: &onTrial, want: "1.1.0", trial: true, note: "on trial, start 1 of 2"},
		{name: "starts used up", have: []string{"1.0.0", "1.1.0"},
			record: &trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Starts: 2, Most: 2}, want: "1.0.0", note: "started 2 times"},
		{name: "trial cannot be executed", have: []string{"1.0.0", "1.1.0"}, record: &onTrial,
			broken: map[string]string{"1.1.0": "exec format error"}, want: "1.0.0", note: "exec format error"},
		{name: "trial is gone", have: []string{"1.0.0"}, record: &onTrial, want: "1.0.0", note: "missing"},
		{name: "settled one is gone", have: []string{"0.9.0", "1.0.0"}, record: &trial.Record{Version: "1.1.0", Previous: "1.0.0"}, want: "1.0.0", note: "missing"},
		{name: "both are gone", have: []string{"0.8.0", "0.9.0"}, record: &trial.Record{Version: "1.1.0", Previous: "1.0.0"}, want: "0.9.0", note: "missing"},
		{name: "nowhere to go back to", have: []string{"1.1.0"}, record: &trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Starts: 3}, want: "1.1.0", trial: true, note: "no other"},
		{name: "no record", have: []string{"1.0.0"}, link: "1.0.0", want: "1.0.0"},
		{name: "no record, no link", have: []string{"1.0.0"}, want: "1.0.0"},
		{name: "damaged record: the linked one is tried again", have: []string{"1.0.0", "1.1.0"}, raw: "rubbish", link: "1.1.0", want: "1.1.0", trial: true, note: "damaged"},
		{name: "empty record", have: []string{"1.0.0", "1.1.0"}, raw: "\n", link: "1.0.0", want: "1.0.0", trial: true, note: "damaged"},
		{name: "half-made version does not count", have: []string{".new-1.2.0", "1.0.0"}, raw: "x", want: "1.0.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			install(t, root, test.have...)
			if test.record != nil {
				write(t, root, *test.record)
			}
			if test.raw != "" {
				if err := os.WriteFile(filepath.Join(root, "record"), []byte(test.raw), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if test.link != "" {
				if err := trial.Link(trial.Disk{}, root, test.link); err != nil {
					t.Fatal(err)
				}
			}
			c, err := trial.Next(trial.Disk{}, root, test.broken, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Version != test.want || (c.Deadline > 0) != test.trial || !strings.Contains(c.Note, test.note) {
				t.Errorf("Next = %+v, want %s, trial %t, note %q", c, test.want, test.trial, test.note)
			}
			if c.Program != trial.Program(root, c.Version) || trial.Linked(root) != c.Version {
				t.Errorf("program %s, linked %s", c.Program, trial.Linked(root))
			}
			if back := read0(root); test.want != back.Version && test.record != nil && test.record.Trial {
				t.Errorf("the record says %s", back.Version)
			}
		})
	}
}

func read0(root string) trial.Record {
	r, _ := trial.Read(root)
	return r
}

func TestNextNothing(t *testing.T) {
	root := t.TempDir()
	if _, err := trial.Next(trial.Disk{}, root, nil, nil); !errors.Is(err, trial.ErrNothing) {
		t.Errorf("Next = %v, want ErrNothing", err)
	}
	install(t, root, "1.0.0")
	if err := os.Chmod(trial.Program(root, "1.0.0"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := trial.Next(trial.Disk{}, root, nil, nil); !errors.Is(err, trial.ErrNothing) {
		t.Errorf("with a program that may not be executed, Next = %v, want ErrNothing", err)
	}
}

// fullDisk takes no more writes.
type fullDisk struct{ trial.Disk }

func (fullDisk) OpenFile(string, int, os.FileMode) (trial.File, error) { return nil, syscall.ENOSPC }
func (fullDisk) Symlink(string, string) error                          { return syscall.ENOSPC }

func TestNextOnFullDisk(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "1.1.0")
	record := trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true}
	write(t, root, record)
	start := func(want string, deadline bool) {
		t.Helper()
		c, err := trial.Next(fullDisk{}, root, nil, nil)
		if err != nil || c.Version != want || (c.Deadline > 0) != deadline {
			t.Errorf("Next = %+v, %v; want %s", c, err, want)
		}
	}
	start("1.0.0", false) // a start that is not counted is none
	if r := read(t, root); r.String() != record.String() {
		t.Errorf("the record is\n%s", r)
	}
	record.Starts = 3
	write(t, root, record)
	start("1.0.0", false) // going back needs no room
	record.Starts, record.Copy = 0, "copies/1.0.0"
	write(t, root, record)
	start("1.1.0", true) // the older one could not read the data
	write(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0"})
	start("1.1.0", false)
	// With a record that can be neither read nor written the link is all there is.
	if err := os.WriteFile(filepath.Join(root, "record"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := trial.Link(trial.Disk{}, root, "1.1.0"); err != nil {
		t.Fatal(err)
	}
	start("1.1.0", true)
}

func TestFail(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "1.1.0")
	write(t, root, trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true, Starts: 1, Copy: "copies/1.0.0"})
	if err := trial.Fail(trial.Disk{}, root, "1.2.0", "x"); !isOver(err) {
		t.Errorf("failing another version: %v, want OverError", err)
	}
	if err := trial.Fail(trial.Disk{}, root, "1.1.0", "it hangs"); err != nil {
		t.Fatal(err)
	}
	want := trial.Record{Version: "1.0.0", Failed: "1.1.0", Reason: "it hangs", Copy: "copies/1.0.0"}
	if r := read(t, root); r.String() != want.String() {
		t.Errorf("the record is\n%swant\n%s", r, want)
	}
	if err := trial.Fail(trial.Disk{}, root, "1.1.0", "again"); !isOver(err) {
		t.Errorf("failing twice: %v, want OverError", err)
	}
}

func isOver(err error) bool {
	_, ok := errors.AsType[*trial.OverError](err)
	return ok
}

func TestLock(t *testing.T) {
	root := t.TempDir()
	release, err := trial.Lock(root, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trial.Lock(root, 0); !errors.Is(err, trial.ErrBusy) {
		t.Errorf("a held lock was given: %v", err)
	}
	release()
	if release, err = trial.Lock(root, 0); err != nil {
		t.Fatal(err)
	}
	release()
}

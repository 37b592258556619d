package mirror_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/sqlite"
)

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	m := open(t, testOptions(dir))
	kept := 0
	var full *sqlite.FullError
	for full == nil && kept < 100_000 {
		var b mirror.Batch
		for n := kept; n < kept+500; n++ {
			b.Documents = append(b.Documents, sale(n, fmt.Sprint("p", n%900), int64(1000+n), 1000, 5000))
		}
		b.Defer = kept%1000 == 0
		_, err := m.PutDocuments(t.Context(), b)
		if err == nil {
			kept += 500
		} else if !errors.As(err, &full) {
			t.Fatalf("got %v, want a FullError", err)
		}
	}
	if full == nil {
		t.Fatal("the disk was never full")
	}
	if err := m.DB().Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The levels may have had no room, the documents are all there or not at all.
	if c, err := m.Counts(t.Context()); err != nil || c.Documents%500 != 0 || c.Documents < kept {
		t.Fatalf("%+v, %v; %d batches were taken", c, err, kept/500)
	}
}

package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ostatok/agent/sqlite"
)

// mountSmall gives a file system of its own, because only a real one is ever
// full or read-only.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := mountSmall(t, "2m")
	o := options(filepath.Join(dir, "a.db"))
	db := mustOpen(t, o)
	// What a person can delete later, to give the box its space back.
	spare := filepath.Join(dir, "spare")
	if err := os.WriteFile(spare, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, db, 0, 100)
	var full *sqlite.FullError
	kept := 100
	for range 100 {
		next := kept
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			for range 100 {
				if _, err := tx.Exec("INSERT INTO note VALUES (?, ? || ?)", next, next, strings.Repeat("x", 500)); err != nil {
					return err
				}
				next++
			}
			return nil
		})
		if err != nil {
			if !errors.As(err, &full) {
				t.Fatalf("got %v, want a FullError", err)
			}
			break
		}
		kept = next
	}
	if full == nil {
		t.Fatal("the disk was never full")
	}
	if err := db.Trouble(); !errors.As(err, &full) {
		t.Errorf("the trouble is %v", err)
	}
	if n := count(t, db); n != kept {
		t.Errorf("%d rows, want %d", n, kept)
	}
	stop := errors.New("stop")
	if err := db.Write(t.Context(), func(*sql.Tx) error { return stop }); !errors.Is(err, stop) || db.Trouble() == nil {
		t.Errorf("%v after a write that came to nothing by itself: %v", db.Trouble(), err)
	}
	if err := db.Write(t.Context(), func(*sql.Tx) error { return nil }); err != nil || db.Trouble() != nil {
		t.Errorf("%v after a write: %v", db.Trouble(), err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 4<<20), 0o600) // up to the last block
	var open *sqlite.OpenError
	if _, err := sqlite.Open(t.Context(), o); !errors.As(err, &open) || open.Reason != sqlite.Full {
		t.Fatalf("got %v, want Full", err)
	}
	if err := os.Remove(spare); err != nil {
		t.Fatal(err)
	}
	if n := count(t, mustOpen(t, o)); n != kept {
		t.Errorf("%d rows after space came back, want %d", n, kept)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mountSmall(t, "2m")
	o := options(filepath.Join(dir, "a.db"))
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	var open *sqlite.OpenError
	if _, err := sqlite.Open(t.Context(), o); !errors.As(err, &open) || open.Reason != sqlite.ReadOnly {
		t.Fatalf("got %v, want ReadOnly", err)
	}
}

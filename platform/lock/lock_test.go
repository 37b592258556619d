package lock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ostatok/platform/lock"
)

func TestTake(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ostatok.lock")
	first, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	// flock belongs to the open file, so a second Take in one process is refused
	// as it is in two.
	_, err = lock.Take(name)
	held, ok := errors.AsType[*lock.HeldError](err)
	if !ok {
		t.Fatalf("second Take = %v, want HeldError", err)
	}
	if held.PID != os.Getpid() || held.File != name {
		t.Errorf("held by %+v, want process %d of %s", held, os.Getpid(), name)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := lock.Take(name)
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
}

func TestTakeNowhere(t *testing.T) {
	if _, err := lock.Take(filepath.Join(t.TempDir(), "missing", "ostatok.lock")); err == nil {
		t.Error("a lock in a directory that is not there was taken")
	}
}

package disk_test

import (
	"path/filepath"
	"testing"

	"ostatok/platform/disk"
)

func TestOf(t *testing.T) {
	s, err := disk.Of(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if s.Total == 0 || s.Free > s.Total {
		t.Errorf("%+v makes no sense", s)
	}
	if _, err := disk.Of(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory has no free space to tell")
	}
}

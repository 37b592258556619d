package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
)

// A torn page must not take the rest with it.
func TestDamagedJournalIsSalvaged(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	figures := make(map[string]stock.Quantity)
	for n := range 2000 {
		figures[fmt.Sprintf("product-%04d", n)] = 1000
	}
	approve(t, j, save(t, j, plan("site", figures)))
	for n := range 20 {
		if err := j.AddEvent(t.Context(), journal.Event{ID: fmt.Sprint(n), Kind: "k", Severity: journal.Info}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.SetMeta(t.Context(), "form", "raw"); err != nil {
		t.Fatal(err)
	}
	if err := j.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, journal.FileName)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	middle := len(data) / page / 2
	for i := range 4 {
		copy(data[(middle+i)*page:], make([]byte, page))
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	j, notice := open(t, dir)
	if notice == nil {
		t.Fatal("the damage was not noticed")
	}
	if _, err := os.Stat(notice.Moved); err != nil || !strings.Contains(notice.Moved, ".corrupt-20261121T120000Z") {
		t.Errorf("the old file: %s %v", notice.Moved, err)
	}
	got := entries(t, j, "site")
	if len(got) < 1000 || notice.Saved["outbox"] != int64(len(got)) {
		t.Errorf("%d of 2000 rows of the outbox were saved: %v", len(got), notice)
	}
	if value, err := j.Meta(t.Context(), "form"); err != nil || value != "raw" {
		t.Errorf("meta: %q %v", value, err)
	}
	list, err := j.Events(t.Context(), 0, 100)
	if err != nil || len(list) != 21 || list[20].Kind != "journal_salvaged" || !strings.Contains(list[20].Message, notice.Moved) {
		t.Errorf("%d events, %v", len(list), err)
	}
	// The fresh file works, and is sound at the next start.
	approve(t, j, save(t, j, plan("other", map[string]stock.Quantity{"a": 1})))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, notice := open(t, dir); notice != nil {
		t.Errorf("again: %v", notice)
	}
}

// A power cut in the middle of a salvage must not leave an empty journal behind.
func TestSalvageThatIsCutOff(t *testing.T) {
	for name, left := range map[string]struct {
		damaged, saved, saving bool
	}{
		"while it saves":                  {damaged: true, saving: true},
		"before the damaged one is moved": {damaged: true, saved: true},
		"before the new one is in place":  {saved: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, _ := open(t, dir)
			figures := make(map[string]stock.Quantity)
			for n := range 300 {
				figures[fmt.Sprintf("product-%04d", n)] = 1000
			}
			approve(t, j, save(t, j, plan("site", figures)))
			if err := j.SetMeta(t.Context(), "form", "raw"); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, journal.FileName)
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			damaged := slices.Clone(whole)
			for page := 0; page < len(damaged); page += 4096 {
				if strings.Count(string(damaged[page:page+4096]), "product-") > 20 { // what is looked for afterwards is elsewhere
					copy(damaged[page:], "not a page of a database")
				}
			}
			for suffix, content := range map[string][]byte{"": damaged, ".saved": whole, ".saving": whole[:5000]} {
				if there := map[string]bool{"": left.damaged, ".saved": left.saved, ".saving": left.saving}[suffix]; !there {
					if err := os.RemoveAll(file + suffix); err != nil {
						t.Fatal(err)
					}
				} else if err := os.WriteFile(file+suffix, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			j, notice := open(t, dir)
			if notice == nil || left.saved == (notice.Saved != nil) {
				t.Fatalf("%+v", notice)
			}
			if value, err := j.Meta(t.Context(), "form"); err != nil || value != "raw" {
				t.Errorf("what was noted: %q, %v", value, err)
			}
			if list, err := j.Events(t.Context(), 0, 100); err != nil || len(list) != 1 || list[0].Kind != "journal_salvaged" {
				t.Errorf("events %+v, %v", list, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			aside, _ := filepath.Glob(file + ".corrupt-*")
			rest, _ := filepath.Glob(file + ".sav*")
			if len(aside) > 0 != left.damaged || len(rest) > 0 {
				t.Errorf("set aside: %v, left over: %v", aside, rest)
			}
			if _, notice := open(t, dir); notice != nil {
				t.Errorf("again: %v", notice)
			}
		})
	}
}

func TestFileThatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journal.FileName), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, notice := open(t, dir)
	if notice == nil || !strings.Contains(notice.String(), "nothing could be read from it") {
		t.Errorf("notice: %v", notice)
	}
}

func TestDirectoryThatIsNotThere(t *testing.T) {
	_, _, err := journal.Open(t.Context(), journal.Options{Dir: filepath.Join(t.TempDir(), "none"), Log: zerolog.Nop()})
	var fault *sqlite.OpenError
	if !errors.As(err, &fault) || fault.Reason != sqlite.Missing {
		t.Errorf("%v", err)
	}
}

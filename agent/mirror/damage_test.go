package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/mirror"
	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
)

func TestDamagedFileIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"garbage":   func(file string) error { return os.WriteFile(file, bytes.Repeat([]byte("?"), 100_000), 0o600) },
		"truncated": func(file string) error { return os.Truncate(file, 20_000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := open(t, testOptions(dir))
			for n := range 50 {
				put(t, m, mirror.Batch{Documents: []mirror.Document{sale(n, fmt.Sprint("p", n), int64(n+1), 1000, 5000)}})
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(filepath.Join(dir, "mirror.db")); err != nil {
				t.Fatal(err)
			}
			m, notice, err := mirror.Open(t.Context(), testOptions(dir))
			if err != nil || notice == nil {
				t.Fatalf("%+v, %v", notice, err)
			}
			defer func() { _ = m.Close() }()
			if want := filepath.Join(dir, "mirror.db.corrupt-20261121T203000Z"); notice.Moved != want || !strings.Contains(notice.Message, want) {
				t.Fatalf("%+v", notice)
			}
			if _, err := os.Stat(notice.Moved); err != nil {
				t.Fatal(err)
			}
			if r := put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}}); r.New != 1 {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestMissingDirectoryIsNotDamage(t *testing.T) {
	o := testOptions(filepath.Join(t.TempDir(), "nowhere"))
	_, _, err := mirror.Open(t.Context(), o)
	var open *sqlite.OpenError
	if !errors.As(err, &open) || open.Reason != sqlite.Missing {
		t.Fatalf("got %v, want Missing", err)
	}
}

// A fold that is cut off in the middle, with more coming in before it goes on,
// applies nothing twice and forgets nothing.
func TestFoldCutOff(t *testing.T) {
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	var documents []stock.Document
	load := func(from, to int) {
		b := mirror.Batch{Defer: true}
		for n := from; n < to; n++ {
			d := sale(n, fmt.Sprint("p", n%1500), int64(1000+n), 1000, stock.Quantity(1000*(500-n/1500)))
			documents = append(documents, d.Document)
			b.Documents = append(b.Documents, d)
		}
		put(t, m, b)
	}
	load(0, 6000)
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := m.Fold(ctx, func(done, total int) {
			if done < total {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatal("the fold was not cut off:", err)
		}
		if round == 1 {
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = open(t, testOptions(dir))
		}
		load(6000+round*700, 6000+(round+1)*700)
		one := sale(20_000+round, "p3", int64(500+round), 1000, 600_000) // late, folded at once
		documents = append(documents, one.Document)
		if r := put(t, m, mirror.Batch{Documents: []mirror.Document{one}}); r.New != 1 {
			t.Fatalf("%+v", r)
		}
	}
	if _, err := m.Fold(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := direct(testOptions(""), mirror.Coverage{}, nil, nil, documents)
	if diff := cmp.Diff(want, levels(t, m)); diff != "" {
		t.Fatalf("levels differ (-direct +mirror):\n%s", diff)
	}
	if c, err := m.Counts(t.Context()); err != nil || c.Movements != len(documents) || c.Stale != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	var staged int
	if err := m.DB().Read().QueryRow("SELECT count(*) FROM staged").Scan(&staged); err != nil || staged != 0 {
		t.Fatal(staged, err)
	}
}

// A transaction that fails leaves memory as the file is.
func TestFailedWriteIsForgotten(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.PutDocuments(ctx, mirror.Batch{More: func(yield func(mirror.Document) bool) {
		yield(sale(2, "new", 2, 1000, 5000))
		cancel()
	}, Coverage: &mirror.Coverage{From: 77}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if c, err := m.Coverage(t.Context()); err != nil || c.From != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if r := put(t, m, mirror.Batch{Documents: []mirror.Document{sale(2, "new", 2, 1000, 5000)}}); r.New != 1 {
		t.Fatalf("%+v", r)
	}
	if q := row(t, m, "new").Level.Quantity; q != 4000 {
		t.Fatalf("level %s", q)
	}
}

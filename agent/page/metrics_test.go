package page_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/local"
	"ostatok/agent/page"
)

func TestMetrics(t *testing.T) {
	w := at(t, build(t, page.Options{Shop: busy()}), box).get("/metrics")
	golden := filepath.Join("testdata", "metrics.txt")
	if os.Getenv("OSTATOK_GOLDEN") != "" {
		if err := os.WriteFile(golden, w.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.Body.String()); diff != "" {
		t.Errorf("-want +got, OSTATOK_GOLDEN=1 writes it anew:\n%s", diff)
	}
	// The format: a help and a type before each name, then only samples of it.
	sample := regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\})? -?[0-9.]+$`)
	name := ""
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		if help, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(help, " ")
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		if m := sample.FindStringSubmatch(line); m == nil || m[1] != name {
			t.Errorf("not a sample of %s: %s", name, line)
		}
	}
}

func TestHealthIsLocal(t *testing.T) {
	s := busy()
	v := at(t, build(t, page.Options{Shop: s}), lan)
	if w := v.get("/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("the cloud is away: %d %s", w.Code, w.Body)
	}
	s.set(func(s *shop) { s.status.DiskFree = 1 << 20 })
	if w := v.get("/healthz"); w.Code != 503 || w.Body.String() != "the disk is full\n" {
		t.Errorf("disk: %d %s", w.Code, w.Body)
	}
	s.set(func(s *shop) {
		s.status.DiskFree = 1 << 30
		s.status.Problems = []local.Problem{{Kind: "mirror_failed"}}
	})
	if w := v.get("/healthz"); w.Code != 503 {
		t.Errorf("mirror: %d %s", w.Code, w.Body)
	}
	if w := at(t, build(t, page.Options{Setup: &setup{}}), lan).get("/healthz"); w.Code != 200 {
		t.Errorf("before setup: %d", w.Code)
	}
}

package agent_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/sync/evotor/evotortest"
)

// gate holds requests back until it is opened.
type gate struct {
	http.RoundTripper
	open chan struct{}
}

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-g.open:
		return g.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// The card damages the mirror under a running agent. Nobody comes to the shop: it
// is set aside and built anew by itself, once.
func TestADamagedMirrorIsBuiltAnewByItself(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.config.Evotor.Poll = 50 * time.Millisecond
	b.sync()
	b.shop.Run(b.shop.Now().AddDate(0, 0, 3))
	g := gate{b.options.Transport, make(chan struct{})}
	b.options.Transport = g
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := agent.Serve(ctx, b.config, b.options)
		ended <- err
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	status := func() (s local.Status) {
		shop, err := local.Dial(t.Context(), b.config.DataDir)
		if err != nil {
			return s
		}
		defer func() { _ = shop.Close() }()
		s, err = shop.Status(t.Context())
		if err != nil {
			return local.Status{}
		}
		return s
	}
	until(t, "the agent runs", func() bool { return status().Opening != "" })
	before := status()
	file := filepath.Join(b.config.DataDir, "mirror.db")
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		const page = 4096
		_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, int(info.Size())-2*page), 2*page)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Closing another descriptor in this process would drop SQLite's locks.
	defer func() { _ = f.Close() }()
	close(g.open)
	until(t, "all is read again", func() bool {
		s := status()
		return s.Opening != "" && s.Opening != before.Opening && s.Complete && s.Counts.Documents >= len(b.shop.Documents())
	})
	moved, err := filepath.Glob(filepath.Join(b.config.DataDir, "mirror.db.corrupt-*Z"))
	if err != nil || len(moved) != 1 {
		t.Errorf("set aside: %v, %v", moved, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	ended <- nil
	j, _, err := journal.Open(t.Context(), journal.Options{Dir: b.config.DataDir, Now: b.shop.Now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	events, err := j.Events(t.Context(), 0, 100)
	told := 0
	for _, e := range events {
		if e.Kind == "pull_failed" && strings.Contains(e.Message, "opened anew") {
			told++
		}
	}
	if err != nil || told != 1 {
		t.Errorf("told %d times: %v, %+v", told, err, events)
	}
}

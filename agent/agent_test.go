package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

func TestMain(m *testing.M) {
	remove, err := trustTestServers()
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { remove(); os.Exit(code) }))
}

// box is a shop, its cloud, and a data directory with a configuration.
type box struct {
	t       testing.TB
	shop    *evotortest.Shop
	config  *config.Config
	options agent.Options
	refused atomic.Int64 // answers 401
}

func newBox(t *testing.T, o evotortest.CloudOptions) *box {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return boxOf(t, evotortest.NewShop(evotortest.Settings{
		Seed: 7, Products: 20, Documents: 300, Terminals: 2, From: to.AddDate(0, -4, 0), To: to,
	}), o)
}

// boxOf plays a shop up to the end of its period.
func boxOf(t testing.TB, shop *evotortest.Shop, o evotortest.CloudOptions) *box {
	to := shop.Settings().To
	b := &box{t: t, shop: shop}
	b.shop.Run(to)
	o.Tokens, o.Now = []string{"a-token"}, b.shop.Now
	server := httptest.NewServer(evotortest.NewCloud(b.shop, o))
	t.Cleanup(server.Close)

	b.config = config.Default()
	b.config.Store, b.config.DataDir = b.shop.Store(), filepath.Join(t.TempDir(), "data")
	b.config.Evotor.URL, b.config.Evotor.Token = server.URL, config.NewSecret("a-token")
	b.options = agent.Options{
		Build: agent.Build{Version: "test", Time: to.AddDate(0, -1, 0)},
		Now:   b.shop.Now, Transport: b, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel),
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return b
}

// RoundTrip counts the answers that refuse the token.
func (b *box) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		b.refused.Add(1)
	}
	return resp, err
}

func (b *box) open() *agent.Agent {
	b.t.Helper()
	a, err := agent.Open(b.t.Context(), b.config, b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// sync opens the agent, runs one cycle and closes it.
func (b *box) sync() local.SyncResult {
	b.t.Helper()
	a := b.open()
	defer b.close(a)
	r, err := a.Sync(b.t.Context(), false, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *box) close(a *agent.Agent) {
	b.t.Helper()
	if err := a.Close(); err != nil {
		b.t.Error(err)
	}
}

// documents is how many documents the mirror holds.
func (b *box) documents(a local.Shop) int {
	b.t.Helper()
	s, err := a.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Counts.Documents
}

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for !happened() {
		select {
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestRunKeepsTheCloudInStep(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.config.Evotor.Write, b.config.Evotor.Poll = config.Auto, 20*time.Millisecond
	b.config.Guard = config.Guard{FallShare: 0.5, FallFloor: 100}
	a := b.open()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx) }()

	until(t, "figures are written to the cloud", func() bool { return len(b.shop.Patches()) > 0 })
	patch := b.shop.Patches()[0]
	client, err := local.Dial(t.Context(), b.config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "our own write is in the product's chain", func() bool {
		e, err := client.Explain(t.Context(), patch.Product)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range e.Steps {
			if s.Rule == stock.RuleWrite && s.Moved == patch.Quantity {
				return true
			}
		}
		return false
	})
	before := b.documents(client)
	b.shop.Run(b.shop.Now().Add(48 * time.Hour))
	until(t, "new documents are pulled", func() bool { return b.documents(client) > before })
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	stop()
	<-ended
	b.close(a)
}

func TestOneProcessAtATime(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	a := b.open()
	_, err := agent.Open(t.Context(), b.config, b.options)
	busy, ok := errors.AsType[*agent.BusyError](err)
	if !ok || busy.Held.PID != os.Getpid() {
		t.Errorf("a second process got %v", err)
	}
	b.close(a)
	b.close(b.open())
}

func TestTokenFormIsRemembered(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{Auth: []string{"raw"}})
	if r := b.sync(); !r.Complete {
		t.Fatalf("%+v", r)
	}
	if b.refused.Swap(0) == 0 {
		t.Fatal("the cloud took the token as it is configured: this test tests nothing")
	}
	b.sync()
	if n := b.refused.Load(); n != 0 {
		t.Errorf("the token was refused %d times after the form was known", n)
	}
	b.config.Evotor.Auth = "x-authorization" // whoever configures something else means it
	b.sync()
	if b.refused.Load() == 0 {
		t.Error("what is configured now was not tried")
	}
}

func TestClockThatWentBack(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	if r := b.sync(); !r.Complete || len(r.Plans) == 0 {
		t.Fatalf("%+v", r)
	}
	b.options.Now = func() time.Time { return b.shop.Now().Add(-24 * time.Hour) }
	b.config.Evotor.Write = config.Auto
	r := b.sync()
	found := false
	for _, p := range r.Plans {
		for _, g := range p.Guards {
			found = found || g.Kind == "clock_not_trusted" && strings.Contains(g.Message, "behind the cloud's clock")
		}
	}
	if !found || len(b.shop.Patches()) > 0 {
		t.Errorf("plans %+v, %d figures written", r.Plans, len(b.shop.Patches()))
	}
}

func TestRestoreIsFinishedAfterAPowerCut(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.sync()
	a := b.open()
	want := b.documents(a)
	var saved bytes.Buffer
	if err := a.Backup(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	b.close(a)
	data := b.config.DataDir
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(data, from), filepath.Join(data, to)); err != nil {
			t.Fatal(err)
		}
	}
	decided := func() { move("restore.done", "restore.decided") }
	journal := func() { move("journal.db", "journal.db.restored") }
	mirror := func() { move("mirror.db", "mirror.db.restored") }
	// What a cut leaves: the decision is made and files are, or are not, in place.
	for name, cut := range map[string]func(){
		"nothing moved yet":       func() { decided(); journal(); mirror() },
		"the journal is in place": func() { decided(); mirror() },
		"both are in place":       decided,
		"everything is done":      func() {},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			if _, err := agent.Restore(t.Context(), b.config, bytes.NewReader(saved.Bytes()), b.shop.Now()); err != nil {
				t.Fatal(err)
			}
			cut()
			if name == "nothing moved yet" {
				// Files of a shop that has gone on since: they must not come through.
				for _, present := range []string{"journal.db", "mirror.db", "mirror.db-wal"} {
					if err := os.WriteFile(filepath.Join(data, present), []byte("present"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			a := b.open()
			defer b.close(a)
			if got := b.documents(a); got != want || len(a.Notices()) > 0 {
				t.Errorf("%d documents, want %d; %v", got, want, a.Notices())
			}
			if left, err := filepath.Glob(filepath.Join(data, "*restore*")); err != nil || len(left) > 0 {
				t.Errorf("the restore was not ended: %v, %v", left, err)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.sync()
	a := b.open()
	want := b.documents(a)
	var saved bytes.Buffer
	if err := a.Backup(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	b.close(a)
	flipped := bytes.Clone(saved.Bytes())
	flipped[len(flipped)/2] ^= 0x40
	other := *b.config
	other.Store = "20170222-D58C-40E0-8051-B53ADFF38860"
	for _, test := range []struct {
		name   string
		config *config.Config
		body   io.Reader
		want   string
	}{
		{"one bit is wrong", b.config, bytes.NewReader(flipped), "is damaged"},
		{"cut off", b.config, bytes.NewReader(saved.Bytes()[:saved.Len()/2]), "cut off"},
		{"another shop's", &other, bytes.NewReader(saved.Bytes()), "use the configuration of that shop"},
		{"not a backup", b.config, strings.NewReader("hello"), "not a backup"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := agent.Restore(t.Context(), test.config, test.body, b.shop.Now())
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%v, want %q", err, test.want)
			}
			left, err := filepath.Glob(filepath.Join(b.config.DataDir, "*re*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			a := b.open()
			defer b.close(a)
			if got := b.documents(a); got != want {
				t.Errorf("%d documents, want %d", got, want)
			}
		})
	}
}

package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// shop is an agent without a shop: each test sets what it needs.
type shop struct {
	local.Shop
	stock  func(local.StockQuery) iter.Seq2[local.Row, error]
	plans  func(target string, all bool) ([]journal.Plan, error)
	decide func(id string, assumed bool) error
	sync   func(ctx context.Context, backfill bool, progress func(local.Progress)) (local.SyncResult, error)
	backup func(io.Writer) error
	checks []local.Check
}

func (s *shop) Stock(_ context.Context, q local.StockQuery) iter.Seq2[local.Row, error] {
	return s.stock(q)
}
func (s *shop) Plans(_ context.Context, target string, all bool) ([]journal.Plan, error) {
	return s.plans(target, all)
}
func (s *shop) Approve(_ context.Context, id string, assumed bool) error {
	return s.decide(id, assumed)
}
func (s *shop) Sync(ctx context.Context, backfill bool, p func(local.Progress)) (local.SyncResult, error) {
	return s.sync(ctx, backfill, p)
}
func (s *shop) Backup(_ context.Context, w io.Writer) error { return s.backup(w) }
func (s *shop) Diagnose(_ context.Context, w io.Writer, checks []local.Check) error {
	s.checks = checks
	return s.backup(w)
}

// serve runs the shop on a socket and returns a client of it, and how to stop.
func serve(t *testing.T, s *shop) (client *local.Client, stop func() error) {
	t.Helper()
	dir := t.TempDir()
	l, err := local.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- local.Serve(ctx, l, s, zerolog.Nop()) }()
	client, err = local.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var once error
	stopped := false
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			once = <-ended
		}
		return once
	}
	t.Cleanup(func() {
		_ = client.Close()
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return client, stop
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStockGoesThrough(t *testing.T) {
	five, minus := stock.Quantity(5000), stock.Quantity(-1250)
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	want := []local.Row{
		{Item: local.Item{Product: "a", Name: "Сыр & co", Quantity: &five, Available: &five, State: stock.Known, AsOf: &at,
			Source: &local.Source{Document: "d", Type: stock.Sell}, Cloud: &minus}},
		{Item: local.Item{Product: "b", State: stock.Assumed, Quantity: &minus}, Reason: stock.ReasonDisagree},
		{Item: local.Item{Product: "c", State: stock.Unknown}, Reason: stock.ReasonNothing},
	}
	var asked local.StockQuery
	client, _ := serve(t, &shop{stock: func(q local.StockQuery) iter.Seq2[local.Row, error] {
		asked = q
		return func(yield func(local.Row, error) bool) {
			for _, r := range want {
				if !yield(r, nil) {
					return
				}
			}
		}
	}})
	query := local.StockQuery{Text: "сыр & ?=", State: stock.Assumed}
	var got []local.Row
	for r, err := range client.Stock(t.Context(), query) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked != query {
		t.Errorf("asked for %+v, want %+v", asked, query)
	}
	for range client.Stock(t.Context(), query) {
		break // stopping early must not be an error nor leak
	}
}

func TestErrorAfterSomeRows(t *testing.T) {
	client, _ := serve(t, &shop{stock: func(local.StockQuery) iter.Seq2[local.Row, error] {
		return func(yield func(local.Row, error) bool) {
			if yield(local.Row{Item: local.Item{Product: "a"}}, nil) {
				yield(local.Row{}, errors.New("the card is gone"))
			}
		}
	}})
	var rows int
	var last error
	for _, err := range client.Stock(t.Context(), local.StockQuery{}) {
		if last = err; err == nil {
			rows++
		}
	}
	if rows != 1 || last == nil || last.Error() != "the card is gone" || local.CodeOf(last) != local.Internal {
		t.Errorf("%d rows, then %v (%s)", rows, last, local.CodeOf(last))
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	client, _ := serve(t, &shop{decide: func(id string, assumed bool) error {
		return fmt.Errorf("while deciding: %w", &local.Error{Code: local.NotFound, Message: fmt.Sprintf("no plan %s, assumed %t", id, assumed)})
	}})
	err := client.Approve(t.Context(), "x/y", true)
	if local.CodeOf(err) != local.NotFound || err.Error() != "while deciding: no plan x/y, assumed true" {
		t.Errorf("%v (%s)", err, local.CodeOf(err))
	}
}

func TestPlansGoThrough(t *testing.T) {
	from := stock.Quantity(1000)
	plan := journal.Plan{
		ID: "p1", Target: "evotor", State: journal.PlanOpen, CreatedAt: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Guards:    []journal.Guard{{Kind: "fall", Message: "too many"}},
		Rows:      []journal.PlanRow{{Product: "a", Name: "Сыр", From: &from, To: 236, LevelState: stock.Known, State: journal.Ready}},
		Unmatched: []journal.Unmatched{{Product: "b", Reason: "no article"}},
	}
	client, _ := serve(t, &shop{plans: func(target string, all bool) ([]journal.Plan, error) {
		if target != "evotor" || !all {
			t.Errorf("asked for %q, %t", target, all)
		}
		return []journal.Plan{plan}, nil
	}})
	got, err := client.Plans(t.Context(), "evotor", true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]journal.Plan{plan}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSyncShowsProgressWhileItRuns(t *testing.T) {
	seen := make(chan struct{})
	client, _ := serve(t, &shop{sync: func(ctx context.Context, backfill bool, progress func(local.Progress)) (local.SyncResult, error) {
		progress(local.Progress{Phase: "first", Percent: 40})
		select {
		case <-seen: // only then is it known that progress is not kept back until the end
		case <-ctx.Done():
			return local.SyncResult{}, ctx.Err()
		}
		return local.SyncResult{Complete: backfill, Documents: 7}, nil
	}})
	result, err := client.Sync(t.Context(), true, func(p local.Progress) {
		if p.Percent == 40 {
			close(seen)
		}
	})
	if err != nil || !result.Complete || result.Documents != 7 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestStoppingEndsASync(t *testing.T) {
	began := make(chan struct{})
	client, stop := serve(t, &shop{sync: func(ctx context.Context, _ bool, _ func(local.Progress)) (local.SyncResult, error) {
		close(began)
		<-ctx.Done()
		return local.SyncResult{}, ctx.Err()
	}})
	failed := make(chan error, 1)
	go func() {
		_, err := client.Sync(t.Context(), false, nil)
		failed <- err
	}()
	<-began
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("a sync that was cut off looks complete")
	}
}

func TestArchive(t *testing.T) {
	body := bytes.Repeat([]byte("backup"), 100_000)
	s := &shop{backup: func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	}}
	client, _ := serve(t, s)
	var got bytes.Buffer
	if err := client.Backup(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), body) {
		t.Errorf("%d bytes of %d, %v", got.Len(), len(body), err)
	}
	s.backup = func(w io.Writer) error {
		_, _ = w.Write(body[:1000])
		return &local.Error{Code: local.Refused, Message: "the disk is full"}
	}
	if err := client.Backup(t.Context(), io.Discard); local.CodeOf(err) != local.Refused || err.Error() != "the disk is full" {
		t.Errorf("an archive that ended early: %v", err)
	}
	s.backup = func(io.Writer) error { return nil }
	checks := []local.Check{{Name: "dns", Status: local.Failed, Message: "no"}}
	if err := client.Diagnose(t.Context(), io.Discard, checks); err != nil || !slices.Equal(s.checks, checks) {
		t.Errorf("%v, %+v", err, s.checks)
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := local.Dial(t.Context(), dir); !errors.Is(err, local.ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	// A socket whose process died.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "ostatok.sock")})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Dial(t.Context(), dir); !errors.Is(err, local.ErrNotRunning) {
		t.Errorf("a dead socket: %v", err)
	}
	again, err := local.Listen(dir)
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "ostatok.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestLongDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-name/", 12))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	for range 2 { // the second time the first one's note is stale
		l, err := local.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		client, err := local.Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(client.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "ostatok-*"))
	if err != nil || len(left) != 1 {
		t.Errorf("directories left: %v, %v", left, err)
	}
}

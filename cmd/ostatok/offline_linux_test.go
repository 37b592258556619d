package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// offline is a shop whose box has lost the cloud, while its two terminals go on
// selling and send their documents to the box.
type offline struct {
	*box
	*evotortest.Sending
	shop   *evotortest.Shop
	random *rand.Rand
	shape  func([]byte) []byte // what a terminal makes of a document
	torn   int                 // kills in the middle of a body
}

// Days without the cloud, with the program as it is run: what the terminals send
// counts at once, each document once, and no power cut takes what was acknowledged.
func TestOfflineStory(t *testing.T) {
	stories := map[string]struct {
		download time.Duration // how often terminals load the cloud's figures
		shape    func([]byte) []byte
	}{
		// The box alone has no line; a relay passes on what the cloud sends.
		"the box is offline": {4 * time.Hour, evotortest.AsRelay},
		// Nobody has: terminals keep their own views.
		"the shop is offline": {0, evotortest.AsTerminal},
	}
	documents := 500
	if testing.Short() {
		documents = 120
		delete(stories, "the box is offline")
	}
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut := time.Date(2026, 11, 17, 0, 0, 0, 0, time.UTC)
			shop := evotortest.NewShop(evotortest.Settings{
				Seed: 11, Terminals: 2, Products: 60, Documents: 1200, From: cut.AddDate(0, 0, -8), To: cut,
				Download: s.download, PartialCounts: 3, FullCounts: 1,
			})
			o := &offline{shop: shop, shape: s.shape, random: rand.New(rand.NewPCG(5, 8))}
			o.box = newBox(t, shop, cut.AddDate(0, 0, 7))
			o.Sending = evotortest.NewSending(shop, o.random)
			o.start()
			o.synced(len(shop.Documents()))
			o.await("after the first sync", o.wrong(false))
			o.cloud.cut(true)
			for step := 1; len(o.acknowledged()) < documents; step++ {
				if step > 200 {
					t.Fatalf("only %d documents in %v", len(o.acknowledged()), shop.Now().Sub(cut))
				}
				shop.Run(cut.Add(time.Duration(step) * 2 * time.Hour))
				o.happen()
				o.await(fmt.Sprintf("after %d documents", len(o.acknowledged())), o.wrong(false))
			}
			o.back()
			t.Logf("%d documents acknowledged, %d sent again, %d kills, %d in the middle of a body, %d requests without an answer",
				len(o.acknowledged()), o.again, o.kills, o.torn, o.unanswered)
		})
	}
}

// happen has both terminals send what is to be sent now, and pulls the box's plug
// while they do.
func (o *offline) happen() {
	o.t.Helper()
	queues := make(map[string][]evotortest.Document)
	list := o.Next()
	for _, d := range list {
		queues[d.Device] = append(queues[d.Device], d)
	}
	if len(list) == 0 {
		return
	}
	plug := &plug{at: o.random.IntN(len(list)), torn: o.random.IntN(3) == 0,
		after: time.Duration(o.random.IntN(4000)) * time.Microsecond}
	var work sync.WaitGroup
	failed := make(chan error, len(queues))
	for _, queue := range queues {
		work.Go(func() { failed <- o.terminal(queue, plug) })
	}
	work.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			o.t.Fatal(err)
		}
	}
	if plug.torn {
		o.torn++
	}
}

// plug is when the power fails during a batch of documents.
type plug struct {
	mu    sync.Mutex
	count int           // documents that have been begun
	at    int           // the one that meets it
	torn  bool          // in the middle of its body, or else once it is written
	after time.Duration // … and so long after
}

// mine tells whether the sender's next document is the one.
func (p *plug) mine() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	return p.count == p.at+1
}

// terminal sends documents in their order, each until it is acknowledged.
func (o *offline) terminal(queue []evotortest.Document, p *plug) error {
	for _, d := range queue {
		body := o.shape(d.JSON)
		var err error
		switch {
		case !p.mine():
			err = o.put(d.ID, body, nil)
		case p.torn:
			if err = errors.Join(o.half(body), o.pull()); err == nil {
				err = o.put(d.ID, body, nil)
			}
		default:
			pulled := make(chan error, 1)
			err = o.put(d.ID, body, sync.OnceFunc(func() {
				time.AfterFunc(p.after, func() { pulled <- o.pull() })
			}))
			err = errors.Join(err, <-pulled)
		}
		if err != nil {
			return fmt.Errorf("terminal %s: %w", d.Device, err)
		}
	}
	return nil
}

// wrong returns what compares the levels that the program prints with what the
// documents tell.
func (o *offline) wrong(all bool) func([]local.Item) (wrong []string, compared int) {
	return func(items []local.Item) (wrong []string, compared int) {
		have := make(map[string]local.Item)
		for _, item := range items {
			have[item.Product] = item
		}
		return o.Wrong(all, func(product string) (q stock.Quantity, ok bool) {
			if item := have[product]; item.Quantity != nil {
				return *item.Quantity, true
			}
			return 0, false
		})
	}
}

// back is the line coming back in the middle of a power cut: the cloud shows its
// own copies, and what never came over the shop's network.
func (o *offline) back() {
	o.t.Helper()
	for _, d := range o.Rest() {
		if err := o.put(d.ID, o.shape(d.JSON), nil); err != nil {
			o.t.Fatal(err)
		}
	}
	o.kill()
	o.kept()
	o.shop.Run(o.shop.Now().Add(6 * time.Hour))
	o.cloud.cut(false)
	o.start()
	o.synced(len(o.shop.Documents()))
	if o.await("when the cloud is back", o.wrong(true)) == 0 {
		o.t.Error("nothing was compared")
	}
	// Both know everything now: neither a further look nor a document that comes
	// once more changes a figure.
	if _, err := o.run("sync", "--once"); err != nil {
		o.t.Error(err)
	}
	all, since := o.shop.Documents(), o.Since()
	for _, d := range []evotortest.Document{since[0], since[len(since)/2], since[len(since)-1]} {
		if err := o.put(d.ID, o.shape(d.JSON), nil); err != nil {
			o.t.Error(err)
		}
	}
	o.await("after everything was read again", o.wrong(true))
	o.stop()
	j, notice, err := journal.Open(context.Background(), journal.Options{Dir: o.data, Now: time.Now, Log: zerolog.Nop()})
	if err != nil || notice != nil {
		o.t.Fatal(notice, err)
	}
	defer func() { _ = j.Close() }()
	if size, err := j.InboxSize(context.Background()); err != nil || size.Documents != 0 {
		o.t.Errorf("%d documents wait for the cloud, which has them all; %v", size.Documents, err)
	}
	m, rebuilt, err := mirror.Open(context.Background(), mirror.Options{Dir: o.data, Store: o.shop.Store(), Now: time.Now, Log: zerolog.Nop()})
	if err != nil || rebuilt != nil {
		o.t.Fatal(rebuilt, err)
	}
	defer func() { _ = m.Close() }()
	counts, err := m.Counts(context.Background())
	if err != nil || counts.Documents != len(all) || counts.Quarantine != 0 {
		o.t.Errorf("%d documents in the mirror, %d set aside, want %d and none; %v", counts.Documents, counts.Quarantine, len(all), err)
	}
}

// kept checks the files as they lie on the card: every document that was
// acknowledged must be among them, whole.
func (b *box) kept() {
	b.t.Helper()
	if err := b.lost(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) lost() error {
	dir, err := os.MkdirTemp(b.dir, "card")
	if err != nil {
		return err
	}
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		content, err := os.ReadFile(filepath.Join(b.data, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	ctx := context.Background()
	j, notice, err := journal.Open(ctx, journal.Options{Dir: dir, Now: time.Now, Log: zerolog.Nop()})
	if err != nil || notice != nil {
		return fmt.Errorf("the journal after a power cut: %v, %w", notice, err)
	}
	defer func() { _ = j.Close() }()
	list, err := j.Received(ctx, 0, 10_000)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, r := range list {
		raw, err := j.ReceivedBody(ctx, r.Seq)
		if err != nil || int64(len(raw)) != r.Size || !json.Valid(raw) {
			return fmt.Errorf("document %s after a power cut: %d bytes, %w", r.ID, len(raw), err)
		}
		there[r.ID] = true
	}
	for _, id := range b.acknowledged() {
		if !there[id] {
			return fmt.Errorf("document %s was answered %d and is not on the card, which holds %d", id, http.StatusOK, len(there))
		}
	}
	return nil
}

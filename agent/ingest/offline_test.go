package ingest_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// outage is a shop that sends its documents to the box while the cloud is out of
// the box's reach.
type outage struct {
	*rig
	*evotortest.Sending
	shop   *evotortest.Shop
	random *rand.Rand
	shape  func([]byte) []byte // what the sender makes of a document

	pushed  int
	crashes int
}

func TestOfflineStory(t *testing.T) {
	for name, c := range map[string]struct {
		download time.Duration
		shape    func([]byte) []byte
	}{
		// The line of the box is down; a relay passes on what the cloud sends.
		"the box is offline": {4 * time.Hour, evotortest.AsRelay},
		// The whole shop is: terminals keep their own views and send their own.
		"the shop is offline": {0, evotortest.AsTerminal},
	} {
		t.Run(name, func(t *testing.T) {
			end := time.Date(2026, 11, 17, 0, 0, 0, 0, time.UTC)
			shop := evotortest.NewShop(evotortest.Settings{
				Seed: 11, Terminals: 2, Products: 60, Documents: 1200, From: end.AddDate(0, 0, -8), To: end,
				Download: c.download, PartialCounts: 3, FullCounts: 1,
			})
			o := &outage{shop: shop, shape: c.shape, random: rand.New(rand.NewPCG(1, 2))}
			o.rig = newRig(t, func(g *rig) { g.store = shop.Store(); g.clock = end })
			o.Sending = evotortest.NewSending(shop, o.random)
			o.show(shop.Documents())
			o.right(false)
			for step := 1; o.pushed < 500; step++ {
				if step > 500 {
					t.Fatalf("only %d documents in %v", o.pushed, shop.Now().Sub(end))
				}
				o.clock = end.Add(time.Duration(step) * 20 * time.Minute)
				shop.Run(o.clock)
				o.happen()
				switch o.random.IntN(25) {
				case 0:
					o.restart() // kill -9: acknowledged, maybe not in the mirror yet
					o.crashes++
				case 1:
					o.powerCut()
				case 2:
					o.loseMirror()
					o.show(o.Before()) // from a copy of the cloud's history
					o.crashes++
				}
				o.drain()
				if step%4 == 0 {
					o.right(false)
				}
			}
			if o.crashes < 5 || o.Trouble() == 0 {
				t.Fatalf("%d crashes, %d held back: the story proves nothing", o.crashes, o.Trouble())
			}
			o.back()
		})
	}
}

// happen sends what is to be sent now.
func (o *outage) happen() {
	o.t.Helper()
	for _, d := range o.Next() {
		s := o.do(o.request(http.MethodPut, "/documents", o.shape(d.JSON)))
		if s.Status != http.StatusOK || s.Accepted+s.Known != 1 {
			o.t.Fatalf("%+v", s)
		}
		o.pushed += s.Accepted
	}
}

// show is the cloud's documents coming into the mirror, as the puller puts them.
func (o *outage) show(documents []evotortest.Document) {
	o.t.Helper()
	for len(documents) > 0 {
		n := min(len(documents), 1+o.random.IntN(400))
		b := mirror.Batch{Coverage: &mirror.Coverage{From: 1, Complete: true}, Defer: n > 100}
		for _, d := range documents[:n] {
			b.Documents = append(b.Documents, mirror.Document{Document: d.Document, Raw: d.JSON})
		}
		documents = documents[n:]
		if _, err := o.mirror.PutDocuments(context.Background(), b); err != nil {
			o.t.Fatal(err)
		}
	}
	if _, err := o.mirror.Fold(context.Background(), nil); err != nil {
		o.t.Fatal(err)
	}
}

// right compares the levels with what happened in the shop.
func (o *outage) right(all bool) {
	o.t.Helper()
	wrong, compared := o.Wrong(all, func(product string) (stock.Quantity, bool) {
		row, err := o.mirror.Row(context.Background(), product)
		if err != nil {
			o.t.Fatalf("%s: %v", product, err)
		}
		return row.Level.Quantity, row.Level.Valued()
	})
	for _, w := range wrong {
		o.t.Errorf("after %d documents: %s", o.pushed, w)
	}
	if compared == 0 && (all || o.pushed < 50) {
		o.t.Error("nothing was compared")
	}
	if o.t.Failed() {
		o.t.FailNow()
	}
}

// powerCut starts from the files as they lie on the card: what was acknowledged
// must be among them.
func (o *outage) powerCut() {
	o.t.Helper()
	kept, err := o.journal.InboxSize(context.Background())
	if err != nil {
		o.t.Fatal(err)
	}
	dir := o.t.TempDir()
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		b, err := os.ReadFile(filepath.Join(o.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			o.t.Fatal(err)
		}
	}
	j, notice, err := journal.Open(context.Background(), journal.Options{Dir: dir, Now: o.now, Log: zerolog.Nop()})
	if err != nil || notice != nil {
		o.t.Fatal(notice, err)
	}
	defer func() { _ = j.Close() }()
	list, err := j.Received(context.Background(), 0, 10_000)
	if err != nil || int64(len(list)) != kept.Documents || len(list) != o.pushed {
		o.t.Fatalf("%d documents on the card, %v; %d are kept, %d were acknowledged", len(list), err, kept.Documents, o.pushed)
	}
	for _, r := range list {
		if raw, err := j.ReceivedBody(context.Background(), r.Seq); err != nil || int64(len(raw)) != r.Size || !json.Valid(raw) {
			o.t.Fatalf("document %s: %d bytes, %v", r.ID, len(raw), err)
		}
	}
}

// back is the cloud showing its own copies, in no order, and some that never came
// over the shop's network.
func (o *outage) back() {
	o.t.Helper()
	for _, d := range o.Rest() {
		o.do(o.request(http.MethodPut, "/documents", o.shape(d.JSON)))
	}
	o.shop.Run(o.clock.Add(time.Hour))
	all := append([]evotortest.Document{}, o.Since()...)
	o.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	o.show(all[:len(all)/2])
	o.drain()
	o.restart()
	o.show(all)
	d := o.drain()
	o.waits(0)
	if d.Waiting != 0 || d.Twins != 0 || o.inbox.Awaited(o.shop.Products()[0].ID) {
		o.t.Errorf("%+v", d)
	}
	o.right(true)
	counts, err := o.mirror.Counts(context.Background())
	if want := len(o.shop.Documents()); err != nil || counts.Documents != want || counts.Quarantine != 0 {
		o.t.Errorf("%+v, %v, want %d documents", counts, err, want)
	}
	if again := o.drain(); again.New != 0 || len(again.Changes) != 0 {
		o.t.Errorf("%+v", again)
	}
	o.right(true)
}

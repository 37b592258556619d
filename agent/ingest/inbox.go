package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
)

// What the inbox holds at most until the cloud has it all: two weeks of a busy
// shop.
const (
	mostDocuments = 20_000
	mostBytes     = 64 << 20
)

// ErrInboxFull says that too many documents wait for the cloud.
var ErrInboxFull = errors.New("too many documents wait for the cloud")

// InboxOptions say between which files the inbox stands.
type InboxOptions struct {
	Journal *journal.Journal
	Mirror  *mirror.Mirror
	Most    journal.InboxSize // zeroes: 20 000 documents, 64 MiB
	Log     zerolog.Logger
}

// Inbox keeps what was received in the shop until the cloud's own copy is in the
// mirror. It lies in the journal, because the mirror may be built anew from a
// cloud that has not got it yet. Its methods may be called from any goroutine.
type Inbox struct {
	journal *journal.Journal
	mirror  *mirror.Mirror
	most    journal.InboxSize
	log     zerolog.Logger

	mu   sync.Mutex // guards size; held while it changes
	size journal.InboxSize

	awaited atomic.Pointer[map[string]bool]

	turn     chan struct{} // held by the one who drains; guards the fields below
	seen     int64         // place in the mirror up to which twins were looked for
	toldTwin bool
}

// Document is a document as it was received.
type Document struct {
	ID     string
	Closed int64  // epoch ms
	Raw    []byte // JSON of this one alone
}

// OpenInbox returns the inbox of a shop. Drain should follow soon: what the last
// process had accepted may not be in the mirror yet.
func OpenInbox(ctx context.Context, o InboxOptions) (*Inbox, error) {
	if o.Most.Documents <= 0 {
		o.Most.Documents = mostDocuments
	}
	if o.Most.Bytes <= 0 {
		o.Most.Bytes = mostBytes
	}
	x := &Inbox{journal: o.Journal, mirror: o.Mirror, most: o.Most, log: o.Log, turn: make(chan struct{}, 1)}
	if err := x.measure(ctx); err != nil {
		return nil, err
	}
	return x, x.await(ctx)
}

func (x *Inbox) measure(ctx context.Context) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.size, err = x.journal.InboxSize(ctx)
	return err
}

// Size is how much waits for the cloud.
func (x *Inbox) Size() journal.InboxSize {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.size
}

// Accept keeps documents; when it returns they survive a power cut. fresh is how
// many were not known. The error is ErrInboxFull, or the journal's or mirror's.
func (x *Inbox) Accept(ctx context.Context, list []Document) (fresh int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	have, err := x.mirror.Have(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("cannot tell what is known: %w", err)
	}
	var keep []journal.Received
	more := journal.InboxSize{}
	for i := range list {
		d := &list[i]
		if source, ok := have[d.ID]; ok && source != mirror.Shop {
			continue // the cloud has it
		}
		keep = append(keep, journal.Received{ID: d.ID, Closed: d.Closed, Raw: d.Raw})
		more.Documents++
		more.Bytes += int64(len(d.Raw))
	}
	if len(keep) == 0 {
		return 0, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.size.Documents+more.Documents > x.most.Documents || x.size.Bytes+more.Bytes > x.most.Bytes {
		return 0, ErrInboxFull
	}
	added, err := x.journal.Receive(ctx, keep)
	if err != nil {
		return 0, err
	}
	x.size.Documents += added.Documents
	x.size.Bytes += added.Bytes
	return int(added.Documents), nil
}

// drop removes documents that need not be kept any more.
func (x *Inbox) drop(ctx context.Context, list []journal.Received) error {
	if len(list) == 0 {
		return nil
	}
	seqs := make([]int64, len(list))
	for i := range list {
		seqs[i] = list[i].Seq
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.journal.DropReceived(ctx, seqs); err != nil {
		return err
	}
	for i := range list {
		x.size.Documents--
		x.size.Bytes -= list[i].Size
	}
	return nil
}

// Awaited tells whether the product's level includes a document that the cloud
// has not shown yet. Its own figure may still move by that document, so writing
// the level to it would count the document twice.
func (x *Inbox) Awaited(product string) bool { return (*x.awaited.Load())[product] }

// await takes over what the mirror awaits.
func (x *Inbox) await(ctx context.Context) error {
	products, err := x.mirror.Awaited(ctx)
	if err != nil {
		return err
	}
	set := make(map[string]bool, len(products))
	for _, p := range products {
		set[p] = true
	}
	x.awaited.Store(&set)
	return nil
}

// awaitAlso adds products before their levels move.
func (x *Inbox) awaitAlso(list []mirror.Document) {
	set := make(map[string]bool)
	for p := range *x.awaited.Load() {
		set[p] = true
	}
	for i := range list {
		for _, line := range list[i].Lines {
			if line.Product != "" {
				set[line.Product] = true
			}
		}
	}
	x.awaited.Store(&set)
}

// event keeps something for the operator. One that cannot be kept is logged: it
// must not stop what it tells of.
func (x *Inbox) event(ctx context.Context, kind, severity, message string, facts map[string]any) {
	data, err := json.Marshal(facts)
	if err == nil {
		err = x.journal.AddEvent(context.WithoutCancel(ctx), journal.Event{Kind: kind, Severity: severity, Message: message, Data: data})
	}
	if err != nil {
		x.log.Error().Err(err).Str("kind", kind).Msg("event not kept")
	}
}

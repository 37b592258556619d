package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

const (
	pageDocuments = 500
	batchBytes    = 1 << 20 // of bodies that are held decoded
)

// notArrived stands for the moment at which the cloud will have a document that
// came from the shop without saying that it has it: until then the cloud's figure
// does not move, and terminals that load it show one without the document.
const notArrived = 253402300799000 // the end of the year 9999, epoch ms

// Drained tells what a drain did.
type Drained struct {
	New       int // now in the mirror
	Confirmed int // the cloud's copy is in the mirror: not kept here any more
	Twins     int // the same document was here under another id
	SetAside  int // could not be read back
	LetGo     int // see Drain
	Waiting   int // kept until the cloud shows them
	Changes   []mirror.Change
}

// Drain brings the mirror and the inbox in step: what is not in the mirror goes
// in, also what a mirror that was built anew has lost; what the cloud has sent by
// itself, or what is older than the mirror keeps, is dropped here. It is to be
// called at the start, when something was accepted, and after the cloud was read.
//
// When the inbox is nearly full, what was received first is let go, with an event:
// it still counts, and the terminals have it, but a mirror that is built anew
// before the cloud has it would miss it. What is not in the mirror is never let
// go; new documents are refused instead.
func (x *Inbox) Drain(ctx context.Context) (Drained, error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return Drained{}, ctx.Err()
	}
	d := draining{x: x, ctx: ctx}
	err := d.run()
	if err != nil {
		err = fmt.Errorf("cannot bring received documents into the mirror: %w", err)
	}
	return d.Drained, err
}

// draining is one drain.
type draining struct {
	Drained
	x       *Inbox
	ctx     context.Context
	moved   bool               // documents have begun or ceased to be awaited
	waiting []journal.Received // in the mirror, from the shop, in order of arrival

	fresh []journal.Received // of the batch that is being gathered
	bytes int64
}

func (d *draining) run() error {
	for after := int64(0); ; {
		page, err := d.x.journal.Received(d.ctx, after, pageDocuments)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Seq
		if err := d.page(page); err != nil {
			return err
		}
	}
	if err := d.put(); err != nil {
		return err
	}
	if err := d.twins(); err != nil {
		return err
	}
	if err := d.letGo(); err != nil {
		return err
	}
	d.Waiting = len(d.waiting)
	if !d.moved {
		return nil
	}
	return d.x.await(d.ctx)
}

// page sorts received documents by what the mirror has of them.
func (d *draining) page(page []journal.Received) error {
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	have, err := d.x.mirror.Have(d.ctx, ids)
	if err != nil {
		return err
	}
	var confirmed []journal.Received
	for _, r := range page {
		source, ok := have[r.ID]
		switch {
		case !ok:
			if d.bytes > 0 && d.bytes+r.Size > batchBytes {
				if err := d.put(); err != nil {
					return err
				}
			}
			d.fresh = append(d.fresh, r)
			d.bytes += r.Size
		case source == mirror.Shop:
			d.waiting = append(d.waiting, r)
		default:
			confirmed = append(confirmed, r)
		}
	}
	d.Confirmed += len(confirmed)
	d.moved = d.moved || len(confirmed) > 0
	return d.x.drop(d.ctx, confirmed)
}

// put brings the gathered batch into the mirror.
func (d *draining) put() error {
	if len(d.fresh) == 0 {
		return nil
	}
	fresh := d.fresh
	d.fresh, d.bytes = nil, 0
	var batch mirror.Batch
	var useless, kept []journal.Received
	for _, r := range fresh {
		document, raw, err := d.read(r)
		switch {
		case d.ctx.Err() != nil:
			return d.ctx.Err()
		case errors.Is(err, errUnreadable):
			batch.Bad = append(batch.Bad, mirror.Bad{Where: mirror.WhereDocuments, ID: r.ID, Raw: raw, Reason: err.Error()})
			useless = append(useless, r)
		case err != nil:
			return err
		default:
			batch.Documents = append(batch.Documents, mirror.Document{Document: document, Raw: raw, Source: mirror.Shop})
			kept = append(kept, r)
		}
	}
	d.SetAside += len(useless)
	twins, err := d.sift(&batch, kept)
	if err != nil {
		return err
	}
	d.moved = true
	d.x.awaitAlso(batch.Documents)
	result, err := d.x.mirror.PutDocuments(d.ctx, batch)
	d.Changes = append(d.Changes, result.Levels...)
	if err != nil {
		return err
	}
	d.New += result.New
	for _, r := range kept {
		if !twins[r.Seq] {
			d.waiting = append(d.waiting, r)
		} else {
			useless = append(useless, r)
		}
	}
	return d.x.drop(d.ctx, useless)
}

// errUnreadable says that a document that was accepted cannot be read any more.
var errUnreadable = errors.New("cannot be read back")

// read reads a received document for the mirror.
func (d *draining) read(r journal.Received) (stock.Document, []byte, error) {
	raw, err := d.x.journal.ReceivedBody(d.ctx, r.Seq)
	if err != nil {
		return stock.Document{}, nil, err
	}
	document, err := readBack(r.ID, raw)
	return document, raw, err
}

// readBack decodes a document that was accepted before.
func readBack(id string, raw []byte) (stock.Document, error) {
	document, err := evotor.DecodeDocument(raw)
	if err == nil && document.ID != id {
		err = errors.New("it has another id")
	}
	if err != nil {
		return document, fmt.Errorf("what was received in the shop %w: %w", errUnreadable, err)
	}
	document.Store = "" // was compared when it came
	if document.Arrived == 0 {
		document.Arrived = notArrived
	}
	// Only version 2 says of a count that it is complete and means it: version 1
	// says it of everything (evotor-cloud §13.5). The cloud's copy will tell;
	// until then nothing is set to zero that was not counted.
	if document.FullCount() && (document.Complete != stock.CompleteYes || !bytes.Contains(raw, []byte(`"complete_inventory"`))) {
		document.Complete = stock.CompleteNo
	}
	return document, nil
}

// letGo makes room for what is to come.
func (d *draining) letGo() error {
	const nearly, down = 8, 4 // above seven eighths, down to three quarters
	size, most := d.x.Size(), d.x.most
	if size.Documents < most.Documents-most.Documents/nearly && size.Bytes < most.Bytes-most.Bytes/nearly {
		return nil
	}
	n := 0
	for n < len(d.waiting) && (size.Documents > most.Documents-most.Documents/down || size.Bytes > most.Bytes-most.Bytes/down) {
		size.Documents--
		size.Bytes -= d.waiting[n].Size
		n++
	}
	if n == 0 {
		return nil
	}
	gone := d.waiting[:n]
	if err := d.x.drop(d.ctx, gone); err != nil {
		return err
	}
	d.waiting = d.waiting[n:]
	d.LetGo = n
	d.x.event(d.ctx, "received_let_go", journal.Warning, fmt.Sprintf(
		"%d documents received in the shop are kept once only, to make room for new ones: the cloud has not shown them for long. "+
			"Check that the terminals and the box reach the internet.", n),
		map[string]any{"documents": n, "first": gone[0].ID, "last": gone[n-1].ID})
	return nil
}

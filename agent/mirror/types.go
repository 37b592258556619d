package mirror

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
)

// Options say which shop is mirrored and by which rules.
type Options struct {
	Dir    string        // the file is mirror.db in it
	Store  string        // id of the store
	Rules  stock.Options // how lines become movements
	Method stock.Method  // "" is the ledger
	Pinned map[stock.Type]stock.Reading

	Keep   time.Duration // documents older than this are collapsed by Tidy; 0 keeps all
	Budget int64         // bytes that the file may have; Tidy lets go of what it can do without. 0: any
	Least  time.Duration // … but of no documents younger than this; 0: of none
	Now    func() time.Time
	Log    zerolog.Logger
}

// Notice says that the file was not used as it was found, and why.
type Notice struct {
	Moved   string // the file that was set aside
	Message string // for a person: what happened and what follows
}

// Device is a terminal of the shop.
type Device struct {
	ID      string
	Name    string
	Created int64 // epoch ms, 0 when not told
}

// Source is where a document came from.
type Source int8

// The sources. A document received in the shop states nothing; the cloud's copy
// of it replaces it.
const (
	Cloud Source = iota
	Shop
	Own // a figure that we wrote ourselves (stock.Write)
)

// Document is a document as it was received.
type Document struct {
	stock.Document
	Raw    []byte // exact JSON; nil for our own
	Source Source
}

// Bad is something that was received and cannot be used.
type Bad struct {
	Where  string // request or page that it came in
	ID     string // best effort
	Raw    []byte
	Reason string
	At     int64 // epoch ms, filled in by the mirror
}

// Batch is what one transaction brings in.
type Batch struct {
	Documents []Document

	// More, when given, is drawn after Documents and before the transaction
	// begins, so that a large batch is never held decoded: Raw need only live
	// until the next document is drawn. Close, when given, is called when More
	// has ended, to complete Bad, Windows and Coverage.
	More  iter.Seq[Document]
	Close func(*Batch)

	Bad      []Bad
	Windows  []Window
	Coverage *Coverage

	// Defer leaves the products stale for a later Fold: for loading much.
	Defer bool
}

// Result tells what a batch did.
type Result struct {
	New       int
	Repeated  int // known already, same content
	Changed   int // known already, other content: kept as it was
	Completed int // the cloud's copy replaced the one received in the shop
	Refused   int // quarantined by the mirror itself
	Notices   []DocumentNotice
	Levels    []Change
}

// NoticeChanged is the kind of the notice that a document came again with other
// content; the first copy is kept.
const NoticeChanged = "document_changed"

// DocumentNotice is something in a document that a person should know of.
type DocumentNotice struct {
	stock.Notice
	Document string // id
}

// Change is a level that is no longer what it was.
type Change struct {
	Product       string // id
	Before, After stock.Level
}

// Window is the progress of reading one stretch of time. Kind, Device and Since
// identify it.
type Window struct {
	Kind         string // first, backfill, rescan
	Device       string // "" is the whole shop
	Since, Until int64  // epoch ms
	Cursor       string
	Done         bool
	Documents    int64
}

// Coverage is how much of the shop's history is here.
type Coverage struct {
	From     int64 // complete from here, epoch ms
	Complete bool  // … and there is nothing older
	Newest   int64 // greatest close time seen, epoch ms
}

// Row is a product with its level.
type Row struct {
	stock.Product
	Deleted bool // gone from the catalogue, or never in it
	Level   stock.Level
	CloudAt int64 // when Product.Cloud was read, epoch ms

	Reserved   stock.Quantity // ordered and not yet taken away, over all sources
	ReservedAt int64          // when the oldest of them was heard, epoch ms, up to 15 minutes behind; 0: none knows the product
}

// Query selects rows, in the order of the product's id.
type Query struct {
	Text    string        // id, code, barcode or article, or part of a name in any case
	States  []stock.State // none is all
	After   string        // ids after this one
	Limit   int           // 0 is no limit
	Deleted bool          // also products that are deleted
}

// Counts are the sizes of the mirror.
type Counts struct {
	Products   int // in the catalogue
	Deleted    int // products gone from it, or never in it
	Documents  int // held; collapsed ones are not counted
	Movements  int // held in the chains of products
	Quarantine int
	Devices    int
	Stale      int                 // products whose level waits for Fold
	Drift      int                 // products whose level is not the cloud's figure
	States     map[stock.State]int // of the products in the catalogue that have a stock
}

// ErrNotFound is returned for a product or document that is not in the mirror.
var ErrNotFound = errors.New("not found")

// SweepRefusedError says that too many products would have been taken for
// deleted; nothing was changed.
type SweepRefusedError struct {
	Had  int // products in the catalogue before
	Seen int // of them seen in this run
}

func (e *SweepRefusedError) Error() string {
	return fmt.Sprintf("the catalogue shrank from %d products to %d: not believed, nothing was deleted; "+
		"check the catalogue and run a full resync if it is right", e.Had, e.Seen)
}

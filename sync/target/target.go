// Package target says what a system is whose stock figures we keep in step: the
// Evotor cloud, VirtPOS, Zelenka, KeyCRM. The push engine knows nothing else of
// them.
package target

import (
	"context"
	"time"

	"ostatok/agent/stock"
)

// Target is one system that takes absolute stock figures. A figure is always
// the whole truth about its key, never a difference: sending it twice is
// harmless.
//
// Methods are called by one goroutine at a time and must end with their context.
type Target interface {
	// Traits says what the target can do. It is constant.
	Traits() Traits

	// Read returns what the target holds for each key, in any order; a key it
	// does not know is returned with Found false. Only called when
	// Traits().Reads. An error is about the call as a whole.
	Read(ctx context.Context, keys []string) ([]Observation, error)

	// Write sets the figures and returns one Outcome for each row, in any order.
	// Rows are at most Traits().Batch and their keys differ. A row whose fate
	// the target does not tell must be reported as an error. An error of the
	// call itself means that nothing is known about any row: the rows without
	// an outcome are sent again, those with one are taken as it says.
	Write(ctx context.Context, rows []Row) ([]Outcome, error)
}

// Fresh is how long a request that sets figures may wait until it is sent, or sent
// again. After that Write returns, and the engine computes the figures anew.
const Fresh = time.Minute

// Row is one figure to set.
type Row struct {
	Key      string         // the target's own id of the product
	Quantity stock.Quantity // thousandths, already in the target's precision
}

// Outcome is the fate of one row.
type Outcome struct {
	Key    string
	Err    error           // nil: accepted, which is not yet applied
	Before *stock.Quantity // what the target says it held before, nil when it does not tell
}

// Observation is what the target holds.
type Observation struct {
	Key      string
	Quantity stock.Quantity // thousandths; meaningful when Found
	Found    bool
	At       int64  // when it was read, epoch ms UTC by the target's clock; not relied on
	Reason   string // why it is not found, for people; "" is just that the key is not known
}

// Traits is what a target can do.
type Traits struct {
	Name       string         // for people: "Evotor cloud"
	Reads      bool           // figures can be read back, so a delivery can be verified
	Batch      int            // most rows in one Write; 0 is one
	ReadBatch  int            // most keys in one Read; 0 is Batch
	BatchBytes int            // most bytes of keys and figures in one Write; 0 is no limit
	Precision  stock.Quantity // the smallest step: 1 is a thousandth, stock.Unit whole numbers
	Sells      bool           // it sells from the figure, so below zero is shown as 0
	FullRun    bool           // it can take everything at once and zero the rest
}

// Package local is the agent as the other commands on the same machine see it.
//
// While `ostatok run` is alive it owns the files, and the other commands talk to
// it through a socket in the data directory; otherwise they open the files
// themselves. Both ways are a Shop, so a command is written once.
package local

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/match"
)

// Shop is what commands ask of the agent. Errors that a command answers in its
// own way are of type *Error.
type Shop interface {
	// Stock returns the levels of the products that match, in the catalogue's order.
	Stock(ctx context.Context, q StockQuery) iter.Seq2[Row, error]
	// Explain returns the chain of documents behind one product's level; product
	// is an id, code, barcode, article or part of a name that fits one product.
	Explain(ctx context.Context, product string) (Explanation, error)

	// Plans returns the plans of a target, of all targets for "": the open and
	// approved ones, or every one that is kept.
	Plans(ctx context.Context, target string, all bool) ([]journal.Plan, error)
	// Approve lets a plan be written, its assumed rows only when assumed is true.
	Approve(ctx context.Context, id string, assumed bool) error
	Reject(ctx context.Context, id string) error

	// Mapping returns the catalogue with the keys that are mapped at a target.
	Mapping(ctx context.Context, target string) ([]match.Entry, error)
	// SetMapping takes the entries into the mapping of a target, all of them or none.
	SetMapping(ctx context.Context, target string, entries []match.Entry, o MappingOptions) (MappingResult, error)
	// CheckMapping looks at how the products fit a target, and asks it for its own
	// list where it has one.
	CheckMapping(ctx context.Context, target string) (MappingReport, error)

	// Sync runs one full cycle; progress is called from one goroutine at a time.
	Sync(ctx context.Context, backfill bool, progress func(Progress)) (SyncResult, error)

	// Update fetches or takes a release, verifies it and checks it on a copy of the
	// data; it is switched to when the shop does not trade. The agent ends then.
	Update(ctx context.Context, order UpdateOrder, progress func(doing string)) (UpdateResult, error)
	Updates(ctx context.Context) (Updates, error)
	// RollBack has the previous version start next; the agent ends then.
	RollBack(ctx context.Context) error

	Status(ctx context.Context) (Status, error)
	// Check looks at the files in use: integrity of both databases.
	Check(ctx context.Context) ([]Check, error)

	// Backup writes an archive of both databases.
	Backup(ctx context.Context, w io.Writer) error
	// Restore verifies an archive and has the agent end and go on from it; only an
	// agent that runs can.
	Restore(ctx context.Context, r io.Reader) (Restored, error)
	// Diagnose writes a bundle for support without secrets; checks are the
	// results of `ostatok doctor`, which are put into it.
	Diagnose(ctx context.Context, w io.Writer, checks []Check) error
}

// StockQuery chooses products; the zero value is all.
type StockQuery struct {
	Text  string
	State stock.State
}

// Row is one product with its level.
type Row struct {
	Item
	Reason  stock.Reason `json:"reason,omitempty"` // why the level is not known
	Outside int          `json:"outside,omitempty"`
}

// Item is one product as `ostatok stock --format json` prints it.
type Item struct {
	Product   string          `json:"product_id"`
	Code      string          `json:"code"`
	Name      string          `json:"name"`
	Quantity  *stock.Quantity `json:"quantity"` // null when not known
	Reserved  *stock.Quantity `json:"reserved"` // null while no target tells reserves
	Available *stock.Quantity `json:"available"`
	State     stock.State     `json:"state"`
	AsOf      *time.Time      `json:"as_of"`
	Source    *Source         `json:"source"`
	Cloud     *stock.Quantity `json:"cloud_quantity"`
}

// Source is the document behind a level.
type Source struct {
	Document string     `json:"document_id"`
	Type     stock.Type `json:"type"`
}

// Explanation is the chain behind one figure.
type Explanation struct {
	Product Row       `json:"product"`
	Steps   []Step    `json:"steps"`
	From    time.Time `json:"from"`     // the known history begins here
	Whole   bool      `json:"complete"` // … and that is the shop's first day
}

// Step is what one document did to the product.
type Step struct {
	At       time.Time       `json:"at"`
	Document string          `json:"document_id"`
	Type     stock.Type      `json:"type"`
	Number   int64           `json:"number"`
	Device   string          `json:"device_id"`
	Terminal string          `json:"terminal,omitempty"` // the device's name
	Stated   *stock.Quantity `json:"stated"`             // the stock before, as the document states it
	Rule     stock.Rule      `json:"rule"`
	Outside  stock.Quantity  `json:"outside,omitempty"` // stock changed without a document, revealed here
	Moved    stock.Quantity  `json:"moved"`             // quantity of the lines, without a sign; the count for INVENTORY
	Unlisted bool            `json:"unlisted,omitempty"`
	Level    *stock.Quantity `json:"level"` // after
	Guide    *stock.Quantity `json:"guide"` // what the vendor's rule would say
}

// Progress is how far a sync has come.
type Progress struct {
	Phase     string  `json:"phase"`
	Percent   float64 `json:"percent"`
	Documents int64   `json:"documents"`
	Products  int     `json:"products"`
	Window    string  `json:"window,omitempty"`
}

// Problem is a state that somebody should know of.
type Problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Do      string `json:"do"`
	Blocks  bool   `json:"blocks"` // keeps the sync from being complete
}

// SyncResult is what one cycle came to.
type SyncResult struct {
	Complete  bool       `json:"complete"`
	Problems  []Problem  `json:"problems"`
	Documents int        `json:"documents"` // new ones
	Products  int        `json:"products"`
	Changes   int        `json:"changes"` // levels that changed
	Levels    Levels     `json:"levels"`
	Plans     []PlanHead `json:"plans"`    // waiting for somebody's word
	Delivery  []Delivery `json:"delivery"` // by target
}

// Levels counts products by the state of their level.
type Levels struct {
	Known      int `json:"known"`
	Assumed    int `json:"assumed"`
	Unresolved int `json:"unresolved"`
	Unknown    int `json:"unknown"`
}

// PlanHead is a plan without its rows.
type PlanHead struct {
	ID     string            `json:"id"`
	Target string            `json:"target"`
	State  journal.PlanState `json:"state"`
	Rows   int               `json:"rows"`
	Guards []journal.Guard   `json:"guards"`
}

// Delivery is what one target took, in rows.
type Delivery struct {
	Target   string `json:"target"`
	Due      int    `json:"due"`
	Accepted int    `json:"accepted"`
	Verified int    `json:"verified"`
	Rejected int    `json:"rejected"`
	Blocked  int    `json:"blocked"`
	Delayed  int    `json:"delayed"`          // to be tried again
	Reason   string `json:"reason,omitempty"` // why nothing, or not all, was sent
}

// Status is the agent at one moment.
type Status struct {
	Version     string     `json:"version"`
	PID         int        `json:"pid"`
	Running     bool       `json:"running"` // `ostatok run`, not a single command
	Started     time.Time  `json:"started"` // by what is known of the time now
	Opening     string     `json:"opening"` // another one whenever the files are opened anew
	Store       string     `json:"store"`
	Phase       string     `json:"phase"`
	Percent     float64    `json:"percent"`
	Complete    bool       `json:"complete"`
	LastSuccess *time.Time `json:"last_success"`
	Problems    []Problem  `json:"problems"`
	Levels      Levels     `json:"levels"`
	Counts      Counts     `json:"counts"`
	Targets     []Target   `json:"targets"`
	Plans       []PlanHead `json:"plans"`            // open or under way
	Broker      *Broker    `json:"broker,omitempty"` // null without one
	Clock       string     `json:"clock,omitempty"`  // why the clock is not trusted
	MirrorBytes int64      `json:"mirror_bytes"`
	JournalSize int64      `json:"journal_bytes"`
	DiskFree    uint64     `json:"disk_free"`
	Memory      uint64     `json:"memory"`           // bytes that the runtime holds
	Update      string     `json:"update,omitempty"` // state of an update under way
	Overrides   []Override `json:"overrides,omitempty"`
}

// Override is a setting that an operator has laid over the file.
type Override struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Until time.Time       `json:"until"`
	By    string          `json:"by"`
}

// Broker is the connection to the operator's MQTT broker.
type Broker struct {
	Connected bool       `json:"connected"`
	URL       string     `json:"url"` // in use, or tried last
	Since     *time.Time `json:"since"`
	LastError string     `json:"last_error,omitempty"`
}

// Counts are the sizes of the mirror.
type Counts struct {
	Products   int `json:"products"`
	Documents  int `json:"documents"`
	Movements  int `json:"movements"`
	Quarantine int `json:"quarantine"`
	Terminals  int `json:"terminals"`
	Drift      int `json:"drift"` // products whose figure in the cloud is not the level
}

// Target is one target's state.
type Target struct {
	Name        string     `json:"name"`
	Kind        string     `json:"kind"`
	Policy      string     `json:"policy"`
	ShownOnly   bool       `json:"shown_only,omitempty"` // a second opinion: differences are shown, nothing is written
	Waiting     int        `json:"waiting"`              // figures on their way
	Planned     int        `json:"planned"`              // of them, not sent yet
	Accepted    int        `json:"accepted"`
	Rejected    int        `json:"rejected"`
	Withheld    int        `json:"withheld"` // figures that must not be sent
	Blocked     string     `json:"blocked,omitempty"`
	LastSuccess *time.Time `json:"last_success"`
	LastError   string     `json:"last_error,omitempty"`
}

// Check is one thing that `ostatok doctor` looked at.
type Check struct {
	Name    string `json:"name"`
	Status  Health `json:"status"`
	Message string `json:"message"`
	Do      string `json:"do,omitempty"`
}

// Health is the outcome of a check.
type Health string

// The outcomes.
const (
	OK      Health = "ok"
	Warning Health = "warning"
	Failed  Health = "error"
)

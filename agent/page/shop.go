package page

import (
	"context"
	"iter"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// Shop is what the page shows and does. The first part is local.Shop's. An
// error of type *local.Error is shown as it is, any other one is logged.
type Shop interface {
	Status(ctx context.Context) (local.Status, error)
	Explain(ctx context.Context, product string) (local.Explanation, error)
	// PlanHeads returns the plans that are open or under way; PlanRows up to limit
	// rows of one, by its Seq, from one on.
	PlanHeads(ctx context.Context) ([]journal.PlanHead, error)
	PlanRows(ctx context.Context, plan int64, from, limit int) ([]journal.PlanRow, error)
	Approve(ctx context.Context, id string, assumed bool) error
	Reject(ctx context.Context, id string) error

	// Briefs returns the goods of the catalogue that the text names: an id, code,
	// article, barcode or part of a name, "" for all. Any order will do. It is
	// asked for the whole catalogue at every look, so it must be quick.
	Briefs(ctx context.Context, text string) iter.Seq2[Brief, error]
	// Products returns the goods of these ids in their order; what has left the
	// catalogue meanwhile is left out.
	Products(ctx context.Context, ids []string) ([]Product, error)
	// Holdings returns what each target holds of a product.
	Holdings(ctx context.Context, product string) ([]Holding, error)
	// Rejected returns up to limit figures that targets refuse or that are blocked.
	Rejected(ctx context.Context, limit int) ([]Rejection, error)
	// Terminals returns the shop's terminals.
	Terminals(ctx context.Context) ([]Terminal, error)
	// Events returns up to limit events, newest first; before is the sequence
	// number that they are older than, 0 for the newest.
	Events(ctx context.Context, before int64, limit int) ([]journal.Event, error)
}

// Brief is the little of a product by which lists are sorted and counted.
type Brief struct {
	ID       string
	Lower    string // its name in lower case
	State    stock.State
	Quantity stock.Quantity // of a known or assumed level
	Cloud    stock.Quantity
	HasCloud bool
}

// Product is one line of the catalogue.
type Product struct {
	local.Row
	Group   string // name of its group with those that it is in, "" for none
	Measure string // the unit as the shop writes it
}

// Holding is one product at one target.
type Holding struct {
	Target string
	Key    string          // the target's own id of it, "" when it has none
	Figure *stock.Quantity // what the target holds, nil when not known
	At     *time.Time      // when that was learned
	Wanted *stock.Quantity // what is on its way there, nil for nothing
	State  journal.RowState
	Reason string // why it is not written
}

// Rejection is one figure that a target does not take.
type Rejection struct {
	Target  string
	Product string
	Code    string
	Name    string
	Wanted  stock.Quantity
	State   journal.RowState // Rejected or Blocked
	Reason  string
}

// Terminal is one of the shop's terminals.
type Terminal struct {
	ID   string
	Name string
	Last *time.Time // its newest document, nil for none
	// Written is when figures were last written to the Evotor cloud that this
	// terminal sells; it must load them. nil: nothing to load.
	Written *time.Time
	Loaded  bool // a document since then shows a written figure
}

// Setup makes the first configuration. An error of type *TrialError is told to the
// person who fills in the form, any other one is logged.
type Setup interface {
	// Stores tries a token of the Evotor cloud and returns the shops that it sees.
	Stores(ctx context.Context, token string) ([]Store, error)
	// Try asks a backend whether it takes these settings.
	Try(ctx context.Context, b Backend) error
	// Save writes the configuration and the secrets' files; the agent starts with them.
	Save(ctx context.Context, s Settings) error
}

// TrialError says why a system did not take what was entered.
type TrialError struct {
	Why Trial
	Err error // for whoever knows the system; it holds no secret
}

// Error implements error.
func (e *TrialError) Error() string { return e.Err.Error() }

// Unwrap returns what the system said.
func (e *TrialError) Unwrap() error { return e.Err }

// Trial is what came of trying a system.
type Trial string

// The ways in which a trial fails.
const (
	Refused     Trial = "refused"     // the token or key is not taken
	NoRight     Trial = "no_right"    // it is taken, and may not see this
	NotThere    Trial = "not_there"   // no such shop or warehouse
	Unreachable Trial = "unreachable" // nobody answers at the address
	Malformed   Trial = "malformed"   // a field cannot be right
	NotSaved    Trial = "not_saved"   // the files cannot be written
	Strange     Trial = "strange"     // an answer that makes no sense
)

// Store is a shop that a token sees.
type Store struct {
	ID   string
	Name string
}

// Settings are what the setup form asks for.
type Settings struct {
	Token    string
	Store    string
	Language string // ru or en
	Backends []Backend
}

// Backend is one system to be kept in step; the fields are those of [[target]].
type Backend struct {
	Name      string
	Kind      string // virtpos, zelenka or keycrm
	URL       string
	Username  string // zelenka only
	Key       string
	Warehouse string
	Match     string // id, code, article or barcode
}

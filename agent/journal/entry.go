package journal

import "ostatok/agent/stock"

// RowState says how far one figure has come on its way to a target.
type RowState string

// The states of a row: the first three before it is on its way, the others as
// in the outbox.
const (
	Ready   RowState = "ready"   // waits for the plan to be approved
	Assumed RowState = "assumed" // waits to be approved by name: its level is assumed
	Skipped RowState = "skipped" // a newer figure, or another plan, took its place

	Planned  RowState = "planned"  // approved, to be sent
	Sent     RowState = "sent"     // a request is under way, or was when the agent stopped
	Accepted RowState = "accepted" // the target said yes, which is not yet applied
	Verified RowState = "verified" // read back and right
	Rejected RowState = "rejected" // the target said no for good; visible, not repeated
	Blocked  RowState = "blocked"  // not sent, for the reason given
)

// Entry is one row of the outbox: the newest figure for a product at a target.
type Entry struct {
	Target  string
	Product string
	Key     string         // the target's id of the product
	Wanted  stock.Quantity // in the target's precision

	// What was approved, to judge whether a level that moved since is still
	// covered: the exact level, how far it was relied on, the document behind it.
	Level      stock.Quantity
	LevelState stock.State
	Basis      stock.Order

	// Fixed rows send Wanted whatever the level is now: a full run may have taken
	// from the target what it had accepted, and nobody has approved another figure.
	Fixed bool

	State      RowState
	Reason     string // for Blocked and Rejected
	Plan       int64  // Plan.Seq
	Revision   int64  // grows when a newer figure replaces the row
	Attempts   int    // failures in a row that may pass
	Mismatches int    // times that the target did not hold what it accepted
	NextTry    int64  // epoch ms; 0: nothing more to do by itself
	SentAt     int64  // epoch ms, just before the last request
	ChangedAt  int64  // epoch ms
	LastError  string
}

// UnderWay tells whether the row will still be sent or read back by itself.
func (e *Entry) UnderWay() bool { return e.NextTry != 0 }

// Held is what is known of the figure that a target holds for a product.
type Held struct {
	Target     string
	Product    string
	Key        string          // the figures are of this key and of no other
	Accepted   *stock.Quantity // the last figure that the target took from us
	AcceptedAt int64           // epoch ms; 0: never
	Observed   *stock.Quantity // the last figure that was read from it; nil with ObservedAt: it does not know the key
	ObservedAt int64           // epoch ms; 0: never
	Verified   bool            // the figure was read, and is the one that it should be
	Reason     string          // why the target does not know the key, in its words

	// ReadLast tells that Observed is the later of the two. It is the order in
	// which they were stored: a clock that is set back must not turn it round.
	ReadLast bool
}

// Figure is what the target is taken to hold: the newer of what it accepted and
// what was read from it; ok is false when neither is known.
func (h *Held) Figure() (q stock.Quantity, ok bool) {
	if h == nil {
		return 0, false
	}
	newest := h.Accepted
	if h.ReadLast {
		newest = h.Observed
	}
	if newest == nil {
		return 0, false
	}
	return *newest, true
}

// Missing tells whether the target said that it does not know the key.
func (h *Held) Missing() bool { return h != nil && h.ReadLast && h.Observed == nil }

// At is when the figure was learned, epoch ms; 0 when it never was.
func (h *Held) At() int64 {
	if h.ReadLast {
		return h.ObservedAt
	}
	return h.AcceptedAt
}

// TargetFacts are what is remembered of a target as a whole; times are epoch
// ms, 0 for never.
type TargetFacts struct {
	Name        string
	Blocked     string // why nothing is sent to it, "" when it works
	LastSuccess int64
	LastError   string
	LastErrorAt int64
	VerifiedAt  int64 // when a figure was last read back and right
	NoticedAt   int64 // when people were last told to load the figures to the terminals
}

// OutboxCounts are the rows of a target's outbox by state.
type OutboxCounts struct {
	Planned  int `json:"planned"`
	Sent     int `json:"sent"`
	Accepted int `json:"accepted"`
	Verified int `json:"verified"`
	Rejected int `json:"rejected"`
	Blocked  int `json:"blocked"`
	UnderWay int `json:"under_way"` // of all of them, those that something is still to be done about
}

package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ostatok/agent/stock"
)

// PlanState says what became of a plan.
type PlanState string

// A plan is open until somebody decides, or the next plan with other content
// supersedes it; an approved one is done when nothing of it is under way.
const (
	PlanOpen       PlanState = "open"
	PlanApproved   PlanState = "approved"
	PlanRejected   PlanState = "rejected"
	PlanSuperseded PlanState = "superseded"
	PlanDone       PlanState = "done"
)

// Plan is what would be written to one target. Its JSON is what
// `plan show --format json` prints.
type Plan struct {
	ID        string      `json:"id"` // follows from the target and the rows alone
	Target    string      `json:"target"`
	State     PlanState   `json:"state"`
	CreatedAt time.Time   `json:"created_at"`
	Guards    []Guard     `json:"guards"`
	Rows      []PlanRow   `json:"rows"`
	Unmatched []Unmatched `json:"unmatched"`

	Seq    int64  `json:"-"` // tells plans of the same content apart; the newest is the greatest
	Counts Counts `json:"-"`
}

// Guard is a reason why a plan is not carried out without a person's word.
type Guard struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// Unmatched is a product that cannot be written to the target, and why.
type Unmatched struct {
	Product string `json:"product_id"`
	Reason  string `json:"reason"`
}

// PlanRow is one difference: the target holds From and should hold To, both in
// the target's precision.
type PlanRow struct {
	Product    string          `json:"product_id"`
	Code       string          `json:"code"`
	Name       string          `json:"name"`
	From       *stock.Quantity `json:"from"` // nil: not known what the target holds
	To         stock.Quantity  `json:"to"`
	LevelState stock.State     `json:"level_state"`
	State      RowState        `json:"state"`
	Reason     string          `json:"reason"`

	Key   string         `json:"-"` // the target's id of the product
	Level stock.Quantity `json:"-"` // the exact level behind To
	Basis stock.Order    `json:"-"` // the document behind the level
}

// Counts are the products that a plan looked at.
type Counts struct {
	Products   int `json:"products"`   // of the catalogue, without services
	Matched    int `json:"matched"`    // with a key at the target
	Known      int `json:"known"`      // of the matched, level known
	Assumed    int `json:"assumed"`    // of the matched, level assumed
	Unresolved int `json:"unresolved"` // of the matched, older months are being fetched
	Unknown    int `json:"unknown"`    // of the matched, a count is needed
	Right      int `json:"right"`      // the target holds the figure already
	UnderWay   int `json:"under_way"`  // approved before and not yet delivered
	Refused    int `json:"refused"`    // rejected by the target and unchanged since
}

// MarshalJSON prints empty lists as [] and the time in UTC.
func (p Plan) MarshalJSON() ([]byte, error) {
	type plain Plan
	q := plain(p)
	q.CreatedAt = p.CreatedAt.UTC()
	q.Guards, q.Rows, q.Unmatched = filled(p.Guards), filled(p.Rows), filled(p.Unmatched)
	return json.Marshal(q)
}

func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// ErrNoPlan is what a *PlanError wraps when there is no plan of that id.
var ErrNoPlan = errors.New("no such plan")

// PlanError says why a plan cannot be decided on, and which one can.
type PlanError struct {
	ID      string
	State   PlanState // "" when there is no such plan
	Current string    // id of the plan that is open now, "" for none
}

func (e *PlanError) Error() string {
	what := fmt.Sprintf("there is no plan %q", e.ID)
	if e.State != "" {
		what = fmt.Sprintf("plan %s is %s", e.ID, e.State)
	}
	switch {
	case e.Current == "" && e.State != "":
		return what + ", and its target has no open plan: make one with `ostatok sync --once` and look at it first"
	case e.Current == "":
		return what + ", and no plan is open: make one with `ostatok sync --once` and look at it first"
	case e.State != "":
		return fmt.Sprintf("%s; the open plan of its target is %s: look at it first", what, e.Current)
	}
	return fmt.Sprintf("%s; the newest open plan is %s: look at it first", what, e.Current)
}

// Unwrap makes errors.Is(err, ErrNoPlan) tell an unknown id from a decided plan.
func (e *PlanError) Unwrap() error {
	if e.State == "" {
		return ErrNoPlan
	}
	return nil
}

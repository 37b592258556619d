// Package message is what goes over MQTT: the payloads, their units and the
// topics they travel on. It is the contract of docs/PROTOCOL.md as Go types;
// the agent and the operator's tool both speak through it.
//
// Times are RFC 3339 in UTC. Quantities are JSON numbers with at most three
// decimals, null when not known. Fields may be added within version 1, so a
// reader ignores what it does not know.
package message

import (
	"encoding/json"
	"time"

	"ostatok/agent/stock"
)

// Schema is the version of the payloads, the v1 of the topics.
const Schema = 1

// Phase is where a shop's connection is in its life.
type Phase string

// The phases.
const (
	Init         Phase = "init"         // connected, the first status is not out yet
	Ready        Phase = "ready"        // commands are listened to
	Disconnected Phase = "disconnected" // stopped on purpose
	Lost         Phase = "lost"         // the will: the broker gave the connection up
)

// State is birth and will, both on the one retained topic `state`. A State with
// a lower session than one already seen is late news and means nothing.
type State struct {
	State   Phase     `json:"state"`
	Session int64     `json:"session"` // grows with every connection, across restarts
	Version string    `json:"version"`
	At      time.Time `json:"at"` // for a will: when the connection was made
}

// Status is how the shop is, on the retained topic `status`: after a change and
// at least every five minutes.
type Status struct {
	Schema   int       `json:"schema"`
	Session  int64     `json:"session"`
	At       time.Time `json:"at"`
	Version  string    `json:"version"`
	Store    string    `json:"store"`
	Uptime   int64     `json:"uptime"` // seconds
	Devices  int       `json:"devices"`
	Products int       `json:"products"`

	Sync    Sync     `json:"sync"`
	Levels  Levels   `json:"levels"`
	Targets []Target `json:"targets"`

	Drift      int    `json:"drift"`      // products whose figure in the cloud is not the level
	Outbox     int    `json:"outbox"`     // figures on their way to targets
	Quarantine int    `json:"quarantine"` // received items that could not be used
	Plans      []Plan `json:"plans"`      // waiting for somebody's word

	Problems []Problem `json:"problems"`
	Disk     Disk      `json:"disk"`
	Memory   uint64    `json:"memory"`     // bytes that the process holds
	Clock    string    `json:"clock"`      // why the clock is not trusted, "" when it is
	Config   string    `json:"config"`     // hash of the effective configuration
	Override []string  `json:"overrides"`  // keys that config.set has laid over the file
	Feed     Feed      `json:"feed"`       // what waits for the broker, what was dropped
	Release  string    `json:"release"`    // state of an update under way, "" for none
	LastBoot string    `json:"last_start"` // why the process was started, as far as it is known
}

// Sync is how far the mirror follows the cloud.
type Sync struct {
	Phase       string     `json:"phase"`
	Percent     float64    `json:"percent"`
	Complete    bool       `json:"complete"`
	LastSuccess *time.Time `json:"last_success"`
	Lag         *int64     `json:"lag"` // seconds since the last success, null before the first
}

// Levels counts products by the state of their level.
type Levels struct {
	Known      int `json:"known"`
	Assumed    int `json:"assumed"`
	Unresolved int `json:"unresolved"`
	Unknown    int `json:"unknown"`
}

// Target is how one system that figures are written to stands, in rows.
type Target struct {
	Name        string     `json:"name"`
	Policy      string     `json:"policy"` // off, approve, auto
	Planned     int        `json:"planned"`
	Accepted    int        `json:"accepted"`
	Rejected    int        `json:"rejected"`
	Blocked     int        `json:"blocked"`
	Reason      string     `json:"reason"` // why nothing, or not all, is sent
	LastSuccess *time.Time `json:"last_success"`
	LastError   string     `json:"last_error"`
}

// Plan is a plan that waits for a decision.
type Plan struct {
	ID     string   `json:"id"`
	Target string   `json:"target"`
	State  string   `json:"state"` // open, approved
	Rows   int      `json:"rows"`
	Guards []string `json:"guards"` // kinds of guards that hold it
}

// Problem is a state that somebody should know of.
type Problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Do      string `json:"do"`
}

// Disk is the space of the data directory, in bytes.
type Disk struct {
	Free    uint64 `json:"free"`
	Mirror  int64  `json:"mirror"`
	Journal int64  `json:"journal"`
}

// Feed tells what did not reach the operator yet, and what never will.
type Feed struct {
	Events  int64   `json:"events"`  // waiting
	Results int64   `json:"results"` // of commands, waiting
	Stock   bool    `json:"stock"`   // levels changed that are not out yet
	Dropped Dropped `json:"dropped"` // since the journal began, commands since the start
}

// Dropped counts what was given up to keep memory and disk bounded.
type Dropped struct {
	Info     int64 `json:"info"` // events, by severity
	Warning  int64 `json:"warning"`
	Error    int64 `json:"error"`
	Commands int64 `json:"commands"` // that came faster than they could be judged
}

// Event is something that happened, on `event`: at least once, told apart by ID.
type Event struct {
	ID       string          `json:"id"`
	Seq      int64           `json:"seq"` // grows within a shop, with gaps
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"`
	Severity string          `json:"severity"` // info, warning, error
	Message  string          `json:"message"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// Stock is changed levels, on `stock`. Within a session messages are ordered by
// Seq; a later session is newer than an earlier one.
type Stock struct {
	Session int64     `json:"session"`
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Full    bool      `json:"full"`           // a part of everything, after `rebirth`
	Part    int       `json:"part,omitempty"` // 1… within a full one
	Last    bool      `json:"last,omitempty"` // the last part: what no part named is gone
	Changes []Change  `json:"changes"`
}

// Removed is the State of a product that has left the catalogue.
const Removed stock.State = "removed"

// Change is one product's level.
type Change struct {
	Product  string          `json:"product_id"`
	Code     string          `json:"code"`
	Quantity *stock.Quantity `json:"quantity"` // null when not known
	Reserved *stock.Quantity `json:"reserved"` // null while no target tells reserves
	State    stock.State     `json:"state"`
}

// Outcome is where a command is in its life.
type Outcome string

// The outcomes. Done, Failed, Rejected and Expired are final.
const (
	Received Outcome = "received"
	Started  Outcome = "started"
	Done     Outcome = "done"
	Failed   Outcome = "failed"
	Rejected Outcome = "rejected"
	Expired  Outcome = "expired"
)

// Final tells whether nothing comes after the outcome.
func (o Outcome) Final() bool { return o != Received && o != Started }

// Result is what became of a command, on `command/result`: the newest outcome
// at least once, a final one always. What comes after a final one repeats it.
type Result struct {
	ID       string          `json:"id"` // the command's jti
	Cmd      string          `json:"cmd,omitempty"`
	Status   Outcome         `json:"status"`
	At       time.Time       `json:"at"`
	Progress json.RawMessage `json:"progress,omitempty"` // of a long one, while started
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
	Clock    string          `json:"clock,omitempty"` // the shop's clock was not trusted when expiry was judged
}

// Error says why a command was not done.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

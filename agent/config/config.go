// Package config reads the one configuration file of the agent.
//
// A setting has its value from the highest layer that names it: the defaults,
// the file, the environment (OSTATOK_EVOTOR_POLL for evotor.poll). Whatever the
// layer, a value out of its limits is refused. A mistake never stops at the
// first: all are reported together, each with its line and what to write.
package config

import (
	"strings"
	"time"

	"ostatok/agent/stock"
)

// DefaultFile is where the service looks for its configuration.
const DefaultFile = "/etc/ostatok/ostatok.toml"

// Config is what the file, the environment and the defaults say together.
type Config struct {
	File     string // where it was read from
	Store    string // id of the shop in the Evotor cloud
	DataDir  string
	Language string   // of the page and of messages for the shopkeeper: ru or en
	Timezone string   // the shop's: "Europe/Moscow" or "+03:00"; "" is the box's
	DNS      []string // name servers to ask when the box's own do not answer

	Evotor  Evotor
	Stock   Stock
	Guard   Guard
	Mirror  Mirror
	Targets []Target
	MQTT    MQTT
	Local   Local
	Update  Update
	Log     Log

	Warnings []Problem // what is worth telling and does not stop the agent

	origin map[string]Setting
}

// Policy says who decides that a plan is written.
type Policy string

// The policies. Approve is the default of every target.
const (
	Off     Policy = "off"     // plans are shown and never carried out
	Approve Policy = "approve" // a person approves each plan
	Auto    Policy = "auto"    // plans without guards are written at once
)

// Evotor is the connection to the cloud.
type Evotor struct {
	URL       string
	Token     Secret // from token, token_file or OSTATOK_EVOTOR_TOKEN
	TokenFile string
	Auth      string        // bearer, raw or x-authorization
	Poll      time.Duration // between two looks for new documents
	Overlap   time.Duration // how far below the newest document each look begins
	Horizon   int           // months of documents that a first sync reads
	PerDevice bool          // ask for documents terminal by terminal
	Write     Policy
}

// Stock is how levels are computed.
type Stock struct {
	Method        stock.Method
	CloudQuantity string            // ignore, observe or trust
	Reading       map[string]string // document type → before or after, pinned
	OpenTare      bool              // OPEN_TARE moves stock
	SubPositions  bool              // sub_positions move stock
}

// Guard is what makes a plan wait for a person even under auto.
type Guard struct {
	FallShare float64 // share of products that would fall to nothing
	FallFloor int     // below so many rows the share says nothing
}

// Mirror is what is kept in the box.
type Mirror struct {
	Keep   time.Duration // how long single documents are kept
	Budget int64         // bytes that its file may have
}

// The kinds of targets.
const (
	VirtPOS = "virtpos"
	Zelenka = "zelenka"
	KeyCRM  = "keycrm"
)

// Target is one system that is brought to the shop's levels.
type Target struct {
	Name      string
	Kind      string // VirtPOS, Zelenka or KeyCRM
	URL       string
	KeyFile   string
	Key       Secret // from KeyFile
	Warehouse string // the id that the system gave it; VirtPOS: see WarehouseExternal
	Match     string // id, code, article, barcode or mapping
	Quantity  string // physical or available
	Write     Policy
	Full      string // daily local time of a full run, "15:04", "" for none; not of KeyCRM

	// Zelenka only.
	Username string // of the account that Key belongs to

	// VirtPOS only.
	Format            string        // of its answers: xml or json
	Pace              time.Duration // least time between two writes
	WarehouseExternal bool          // Warehouse is the code of another system
	External          bool          // keys are codes of another system
	FullZero          string        // how a full run zeroes what the shop does not have: single or mass

	// KeyCRM only.
	Rate           int    // requests a minute, over all targets of the account
	Batch          int    // most rows of one write
	Precision      string // the smallest step that is written: 0.001 or 1
	Negative       bool   // figures below zero are written as they are
	Direction      string // Push or Pull
	Reserves       bool   // what it holds for orders is read
	HookSecretFile string
	HookSecret     Secret // part of the address of its webhooks, from HookSecretFile
}

// The directions of a target.
const (
	Push = "push" // it is brought to the shop's levels
	Pull = "pull" // it is a second opinion: differences are shown, nothing is written
)

// MQTT is the connection to the operator's broker; without URLs there is none.
type MQTT struct {
	URLs         []string
	Tenant       string
	Username     string
	PasswordFile string
	CAFile       string
	CertFile     string
	KeyFile      string
	Operators    []string // "ed25519:KEY=RIGHT"
}

// Local is what the agent offers in the shop's own network.
type Local struct {
	Listen     string // host:port, "" for none
	AccessFile string // who may read and send; needed on a LAN address
	Ingest     bool   // take documents from terminals in the shop
}

// Update is how the box comes to newer releases. Without keys only its package
// renews it.
type Update struct {
	ReleaseKeys []string      // "ed25519:KEY": the offline keys that certify release keys
	URL         string        // of the server with releases; "" only files
	Channel     string        // whose newest release is taken by itself; "" only when told
	Window      string        // "02:00-05:00" in the shop's time; "" whenever the shop does not trade
	Pin         string        // no version but this one
	Trial       time.Duration // a new version has run well for so long before it stays
}

// Hours returns the ends of the window, since local midnight; ok is false for
// none.
func (u *Update) Hours() (from, to time.Duration, ok bool) {
	a, b, ok := strings.Cut(u.Window, "-")
	begin, err1 := time.Parse("15:04", a)
	end, err2 := time.Parse("15:04", b)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, false
	}
	midnight := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	return begin.Sub(midnight), end.Sub(midnight), true
}

// Log is what the agent writes about itself.
type Log struct{ Level string }

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		File:     DefaultFile,
		DataDir:  "/var/lib/ostatok",
		Language: "ru",
		Evotor: Evotor{
			URL: "https://api.evotor.ru", TokenFile: "/etc/ostatok/evotor.token", Auth: "bearer",
			Poll: time.Minute, Overlap: 26 * time.Hour, Horizon: 6, Write: Approve,
		},
		Stock: Stock{
			Method: stock.Ledger, CloudQuantity: "observe", Reading: map[string]string{},
			OpenTare: true, SubPositions: true,
		},
		Guard:  Guard{FallShare: 0.30, FallFloor: 10},
		Mirror: Mirror{Keep: 400 * day, Budget: 1 << 30},
		Local:  Local{Listen: "127.0.0.1:8480", Ingest: true},
		Update: Update{Trial: 3 * time.Minute},
		Log:    Log{Level: "info"},
	}
}

// Options returns the switches of the rules for lines.
func (s *Stock) Options() stock.Options {
	return stock.Options{OpenTareIgnored: !s.OpenTare, SubIgnored: !s.SubPositions}
}

// Pinned returns the readings that the shop's evidence may not change.
func (s *Stock) Pinned() map[stock.Type]stock.Reading {
	pinned := make(map[stock.Type]stock.Reading, len(s.Reading))
	for t, r := range s.Reading {
		pinned[stock.Type(t)] = stock.Reading(r)
	}
	return pinned
}

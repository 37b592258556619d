// Package command is what an operator orders: a JWT signed with Ed25519 that
// names the shop, the command and when it expires. Whoever merely gets at the
// broker can neither make one nor change one.
package command

import (
	"encoding/json"
	"time"
)

// The commands, and the right that each needs.
const (
	Ping      = "ping"
	Stock     = "stock"
	Explain   = "explain"
	Plan      = "plan"
	Rebirth   = "rebirth"
	GetConfig = "config.get"
	Tail      = "log.tail"
	Diagnose  = "diagnose"

	Sync      = "sync"
	Resync    = "resync"
	Approve   = "plan.approve"
	Reject    = "plan.reject"
	SetConfig = "config.set"
	LogLevel  = "log.level"
	Backup    = "backup"
	Update    = "update"
	Rollback  = "update.rollback"
	Restart   = "restart"
)

// Needs returns the right that a command needs; ok is false for an unknown one.
// Reading and having things sent is Observe, everything that changes the shop is
// Manage.
func Needs(cmd string) (right Right, ok bool) {
	switch cmd {
	case Ping, Stock, Explain, Plan, Rebirth, GetConfig, Tail, Diagnose:
		return Observe, true
	case Sync, Resync, Approve, Reject, SetConfig, LogLevel, Backup, Update, Rollback, Restart:
		return Manage, true
	}
	return "", false
}

// Bounds of a command.
const (
	MaxSize     = 16 << 10       // bytes of the token
	MaxLifetime = 24 * time.Hour // from iat to exp
	Skew        = 5 * time.Minute
)

// Claims are what a command says. Times have whole seconds.
type Claims struct {
	ID       string   // jti: one command, once
	Issuer   string   // iss: who sends it, for people
	Audience []string // aud: store ids, or message.Everyone
	Cmd      string
	Args     json.RawMessage // nil for none

	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf, zero for at once
	ExpiresAt time.Time // exp

	Key   string // id of the key that signed it; Verify's finding
	Right Right  // of that key; Verify's finding
}

// Clock is what is known of the time. A box without a battery starts in the past,
// and then the best known time is the latest one that was trusted.
type Clock struct {
	Now     time.Time
	Trusted bool
	Best    time.Time // used instead of Now when that is not trusted
}

// Time is the time that is gone by. A clock that is not trusted is not used at
// all: one that is ahead would let every command expire.
func (c Clock) Time() time.Time {
	if c.Trusted {
		return c.Now
	}
	return c.Best
}

// Expired tells whether the command must not begin any more.
func (c Claims) Expired(clock Clock) bool { return !clock.Time().Before(c.ExpiresAt) }

// Refusal says why a command is not taken.
type Refusal struct {
	Code    Code
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// Code is the kind of a refusal.
type Code string

// The codes. From CodeAudience on the signature was right, so the answer goes to
// somebody whose key is known.
const (
	CodeTooLarge   Code = "too_large"
	CodeMalformed  Code = "malformed"
	CodeAlgorithm  Code = "algorithm"
	CodeUnknownKey Code = "unknown_key"
	CodeRevokedKey Code = "revoked_key"
	CodeSignature  Code = "signature"

	CodeClaims      Code = "claims"
	CodeAudience    Code = "audience"
	CodeLifetime    Code = "lifetime"
	CodeExpired     Code = "expired"
	CodeNotYetValid Code = "not_yet_valid"
	CodeUnknown     Code = "unknown_command"
	CodeRight       Code = "right"

	// Those that the shop finds out: what it has seen, and how busy it is.
	CodeReplay   Code = "replay"
	CodeRetained Code = "retained"
	CodeBusy     Code = "busy"
)

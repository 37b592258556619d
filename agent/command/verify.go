package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ostatok/agent/message"
)

// Verify reads a token that came for a shop. The error is a *Refusal. The claims
// are filled in, beside an error too, once the signature has been found right, so
// that the sender can be answered; otherwise they are empty.
//
// While the clock is not trusted, expiry is judged against the best known time and
// the future is no reason to refuse: a box that woke up in the past sees only
// commands from the future.
func Verify(token []byte, store string, keys []Key, clock Clock) (Claims, error) {
	if len(token) > MaxSize {
		return Claims{}, &Refusal{CodeTooLarge, fmt.Sprintf("the command has more than %d bytes", MaxSize)}
	}
	var b body
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	var key Key
	_, err := parser.ParseWithClaims(string(token), &b, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, &Refusal{CodeMalformed, "the command has a header that must be understood and is not"}
		}
		id, _ := t.Header["kid"].(string)
		var known bool
		switch key, known = find(keys, id); {
		case !known:
			return nil, &Refusal{CodeUnknownKey, fmt.Sprintf("the key %.32q is not among the shop's operators", id)}
		case key.Right == Revoked:
			return nil, &Refusal{CodeRevokedKey, fmt.Sprintf("the key %s is revoked", id)}
		}
		return key.Public, nil
	})
	if err != nil {
		return Claims{}, refusal(err)
	}
	c := Claims{
		ID: b.ID, Issuer: b.Issuer, Audience: b.Audience, Cmd: b.Cmd, Args: b.Args,
		IssuedAt: moment(b.IssuedAt), NotBefore: moment(b.NotBefore), ExpiresAt: moment(b.ExpiresAt),
		Key: key.ID, Right: key.Right,
	}
	if r := judge(c, store, clock); r != nil {
		return c, r
	}
	return c, nil
}

// refusal tells why the library could not prove the signature.
func refusal(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &Refusal{CodeMalformed, "the command is not a JWT"}
	case errors.Is(err, jwt.ErrEd25519Verification):
		return &Refusal{CodeSignature, "the signature is not that of the key"}
	}
	return &Refusal{CodeAlgorithm, "the command is not signed with EdDSA"}
}

// judge looks at what a command with a right signature says.
func judge(c Claims, store string, clock Clock) *Refusal {
	// A claim that the library reads as a date, but not as one of our time, is
	// missing as much as one that is not there.
	if c.ID == "" || len(c.ID) > 64 || strings.ContainsFunc(c.ID, unprintable) ||
		c.Cmd == "" || len(c.Cmd) > 64 || len(c.Issuer) > 128 || c.IssuedAt.IsZero() || c.ExpiresAt.IsZero() {
		return &Refusal{CodeClaims, "the command must have jti, cmd, iat and exp"}
	}
	if !slices.Contains(c.Audience, store) && !slices.Contains(c.Audience, message.Everyone) {
		return &Refusal{CodeAudience, "the command is for another shop"}
	}
	if lifetime := c.ExpiresAt.Sub(c.IssuedAt); lifetime <= 0 || lifetime > MaxLifetime {
		return &Refusal{CodeLifetime, fmt.Sprintf("a command lives for at most %v, from iat to exp", MaxLifetime)}
	}
	if c.Expired(clock) {
		return &Refusal{CodeExpired, "the command expired at " + c.ExpiresAt.Format(time.RFC3339)}
	}
	at := clock.Time()
	if !clock.Trusted && c.IssuedAt.After(at) {
		at = c.IssuedAt
	}
	if from := later(c.IssuedAt, c.NotBefore); from.Sub(at) > Skew {
		return &Refusal{CodeNotYetValid, "the command is valid from " + from.Format(time.RFC3339) + " on"}
	}
	needed, known := Needs(c.Cmd)
	if !known {
		return &Refusal{CodeUnknown, fmt.Sprintf("there is no command %q", c.Cmd)}
	}
	if !c.Right.allows(needed) {
		return &Refusal{CodeRight, fmt.Sprintf("%s needs a key with the right to %s", c.Cmd, needed)}
	}
	return nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// moment is a claim's time, zero for one that is missing or outside of the years
// that can be written in RFC 3339.
func moment(d *jwt.NumericDate) time.Time {
	if d == nil || d.Year() < 1971 || d.Year() > 9999 {
		return time.Time{}
	}
	return d.UTC()
}

package command

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// body is the token's payload as it is written.
type body struct {
	jwt.RegisteredClaims
	Cmd  string          `json:"cmd"`
	Args json.RawMessage `json:"args,omitempty"`
}

// Sign makes the token of a command. Key and Right of the claims are not part of
// it: the shop knows them from its own list.
func Sign(private ed25519.PrivateKey, c Claims) (string, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok || len(private) != ed25519.PrivateKeySize {
		return "", fmt.Errorf("cannot sign command %s: the key is not an Ed25519 private key", c.Cmd)
	}
	b := body{Cmd: c.Cmd, Args: c.Args, RegisteredClaims: jwt.RegisteredClaims{
		ID: c.ID, Issuer: c.Issuer, Audience: c.Audience,
		IssuedAt: jwt.NewNumericDate(c.IssuedAt), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
	}}
	if !c.NotBefore.IsZero() {
		b.NotBefore = jwt.NewNumericDate(c.NotBefore)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, b)
	token.Header["kid"] = KeyID(public)
	signed, err := token.SignedString(private)
	if err != nil {
		return "", fmt.Errorf("cannot sign command %s: %w", c.Cmd, err)
	}
	if len(signed) > MaxSize {
		return "", fmt.Errorf("cannot sign command %s: its token has %d bytes and a shop takes %d", c.Cmd, len(signed), MaxSize)
	}
	return signed, nil
}

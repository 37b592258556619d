package release

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// keyPrefix stands before a key in text, as it does before operators' keys.
const (
	keyPrefix     = "ed25519:"
	privatePrefix = "ed25519-private:"
)

// GenerateKey makes a key pair from a source of randomness, crypto/rand.Reader.
// Root keys and release keys are made alike; what a key is for is decided by who
// trusts it.
func GenerateKey(random io.Reader) (ed25519.PublicKey, ed25519.PrivateKey, error) {
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return public, private, nil
}

// KeyID is the name of a key in signed statements: the first 8 bytes of its
// SHA-256 in hex.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// FormatKey is the public key as people pass it on: ed25519:BASE64.
func FormatKey(public ed25519.PublicKey) string {
	return keyPrefix + base64.StdEncoding.EncodeToString(public)
}

// ParseKey reads what FormatKey wrote.
func ParseKey(text string) (ed25519.PublicKey, error) {
	raw, err := decodeKey(text, keyPrefix, ed25519.PublicKeySize)
	return ed25519.PublicKey(raw), err
}

// FormatPrivateKey is the private key for a file that only its owner may read.
func FormatPrivateKey(private ed25519.PrivateKey) string {
	return privatePrefix + base64.StdEncoding.EncodeToString(private.Seed())
}

// ParsePrivateKey reads what FormatPrivateKey wrote. Errors do not repeat it.
func ParsePrivateKey(text string) (ed25519.PrivateKey, error) {
	raw, err := decodeKey(text, privatePrefix, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(raw), nil
}

func decodeKey(text, prefix string, size int) ([]byte, error) {
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !ok {
		return nil, errors.New("cannot read the key: it does not begin with " + prefix)
	}
	raw, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || len(raw) != size {
		return nil, fmt.Errorf("cannot read the key: it is not %d bytes in base64", size)
	}
	return raw, nil
}

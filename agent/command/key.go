package command

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Right is what an operator's key allows.
type Right string

// The rights. Manage includes Observe. A key whose right is Revoked stays in the
// file so that its commands are refused by name instead of as those of a stranger.
const (
	Observe Right = "observe"
	Manage  Right = "manage"
	Revoked Right = "revoked"
)

// allows tells whether the right is enough for a command that needs another.
func (r Right) allows(needed Right) bool { return r == Manage || r == needed }

// Key is the public half of an operator's key, as the shop knows it.
type Key struct {
	ID     string // KeyID of Public, the kid of its commands
	Public ed25519.PublicKey
	Right  Right
}

// KeyID is the first 8 bytes of the public key's SHA-256 in hex.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

const scheme = "ed25519:"

// ParseKey reads "ed25519:BASE64=RIGHT", as it stands in mqtt.operators; padding of
// the base64 may be left out.
func ParseKey(text string) (Key, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	cut := strings.LastIndexByte(rest, '=')
	if !ok || cut < 0 {
		return Key{}, fmt.Errorf("cannot read the operator's key %q: write it as ed25519:KEY=manage or ed25519:KEY=observe", text)
	}
	public, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(rest[:cut], "="))
	if err != nil || len(public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("cannot read the operator's key %q: it must be %d bytes in base64", text, ed25519.PublicKeySize)
	}
	right := Right(rest[cut+1:])
	if right != Observe && right != Manage && right != Revoked {
		return Key{}, fmt.Errorf("cannot read the operator's key %q: the right must be observe, manage or revoked", text)
	}
	return Key{ID: KeyID(public), Public: public, Right: right}, nil
}

// String is the line that ParseKey reads.
func (k Key) String() string {
	return scheme + base64.RawStdEncoding.EncodeToString(k.Public) + "=" + string(k.Right)
}

// find returns the key of an id. Where an id is listed more than once, being
// revoked wins over any right.
func find(keys []Key, id string) (Key, bool) {
	var found Key
	for _, k := range keys {
		if k.ID == id && (found.ID == "" || k.Right == Revoked) {
			found = k
		}
	}
	return found, found.ID != ""
}

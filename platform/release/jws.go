package release

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A signed statement is a compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC
// 8037). Only this one algorithm is known, whatever the header asks for, and typ
// keeps a certificate from being taken for a manifest.
type header struct {
	Alg  string          `json:"alg"`
	Typ  string          `json:"typ"`
	Kid  string          `json:"kid"`
	Crit json.RawMessage `json:"crit,omitempty"`
}

var encoding = base64.RawURLEncoding.Strict()

func sign(typ string, key ed25519.PrivateKey, claims any) (string, error) {
	h, err := json.Marshal(header{Alg: "EdDSA", Typ: typ, Kid: KeyID(key.Public().(ed25519.PublicKey))})
	if err != nil {
		return "", fmt.Errorf("cannot encode the header: %w", err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("cannot encode the claims: %w", err)
	}
	body := encoding.EncodeToString(h) + "." + encoding.EncodeToString(c)
	return body + "." + encoding.EncodeToString(ed25519.Sign(key, []byte(body))), nil
}

// open checks a statement against the keys and decodes its claims only after.
// Claims that are not known are left out: an older release must be able to read
// what a newer one is signed with.
func open(typ, text string, keys []ed25519.PublicKey, claims any) error {
	body, signature, ok := cutLast(text, ".")
	head, payload, ok2 := strings.Cut(body, ".")
	if !ok || !ok2 || strings.Contains(payload, ".") {
		return errors.New("it is not a signed statement")
	}
	raw, err := encoding.DecodeString(head)
	if err != nil {
		return errors.New("its header cannot be decoded")
	}
	var h header
	switch err := json.Unmarshal(raw, &h); {
	case err != nil:
		return errors.New("its header cannot be decoded")
	case h.Alg != "EdDSA":
		return fmt.Errorf("it is signed by the algorithm %q, not EdDSA", h.Alg)
	case h.Typ != typ:
		return fmt.Errorf("it is of the type %q, not %s", h.Typ, typ)
	case h.Crit != nil:
		return errors.New("it asks for extensions that are not known")
	}
	sum, err := encoding.DecodeString(signature)
	if err != nil {
		return errors.New("its signature cannot be decoded")
	}
	for _, key := range keys {
		if KeyID(key) != h.Kid || !ed25519.Verify(key, []byte(body), sum) {
			continue
		}
		if raw, err = encoding.DecodeString(payload); err != nil {
			return errors.New("its claims cannot be decoded")
		}
		if err := json.Unmarshal(raw, claims); err != nil {
			return errors.New("its claims cannot be decoded")
		}
		return nil
	}
	return fmt.Errorf("it is not signed by a key that counts here (key %.16q)", h.Kid)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

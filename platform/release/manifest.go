// Package release is what a box accepts as a new version: a program packed into
// one file behind a manifest, which a release key signed, which an offline root
// key certified. Nothing is unpacked before both signatures, the size and the
// digest are right.
//
// The file is the same from a server and from a USB stick:
//
//	ostatok-release 1
//	<certificate of the release key, a JWS>
//	<manifest, a JWS>
//	<the program, gzip>
package release

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	typeCertificate = "ostatok-certificate"
	typeManifest    = "ostatok-manifest"
)

// Certificate says that a root key stands for a release key.
type Certificate struct {
	Key     string    `json:"key"`     // the release key, as FormatKey writes it
	Serial  int64     `json:"serial"`  // a box that saw a higher one refuses this one: so a stolen key ends
	Expires time.Time `json:"expires"` // for new installations; what is installed stays
}

// Manifest says what one release is.
type Manifest struct {
	Product   string    `json:"product"`
	Version   string    `json:"version"`
	OS        string    `json:"os"`   // as GOOS
	Arch      string    `json:"arch"` // as GOARCH; arm is built for ARMv6
	Size      int64     `json:"size"` // bytes of the packed program
	SHA256    string    `json:"sha256"`
	Unpacked  int64     `json:"unpacked"` // bytes of the program
	URL       string    `json:"url"`      // of the whole file; relative to the server's base, or absolute
	Schema    int       `json:"schema_level"`
	MinSchema int       `json:"min_schema_level"` // the lowest level of data that it can bring to its own
	Channel   string    `json:"channel"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"` // for new installations; what is installed stays
}

// Most is what a packed or an unpacked program may have in bytes. The agent's
// budget is 14 MB; a manifest that asks for more than this is a mistake.
const Most = 128 << 20

// Codes of a RefusedError.
const (
	CodeMalformed = "malformed"
	CodeSignature = "bad_signature"
	CodeExpired   = "expired"
	CodeRevoked   = "revoked_key"
	CodeProduct   = "wrong_product"
	CodeSystem    = "wrong_system"
	CodeContent   = "wrong_content"
)

// RefusedError says why a release is not accepted.
type RefusedError struct{ Code, Message string }

func (e *RefusedError) Error() string { return "the release is refused: " + e.Message }

func refuse(code, format string, args ...any) error {
	return &RefusedError{code, fmt.Sprintf(format, args...)}
}

// Certify signs a certificate with the root key.
func Certify(root ed25519.PrivateKey, c Certificate) (string, error) {
	if _, err := ParseKey(c.Key); err != nil {
		return "", err
	}
	return sign(typeCertificate, root, c)
}

// Rules is what a release is judged by.
type Rules struct {
	Roots  []ed25519.PublicKey
	Serial int64     // the highest serial of a certificate seen so far
	Time   time.Time // the best known time: the clock's when it is trusted, else the latest time known to have passed
	// What the box is.
	Product, OS, Arch string
}

// verify returns the manifest of a head and its certificate's serial, or
// *RefusedError.
func (r Rules) verify(certificate, manifest string) (m Manifest, serial int64, err error) {
	var c Certificate
	if err := open(typeCertificate, certificate, r.Roots, &c); err != nil {
		return m, 0, refuse(CodeSignature, "its certificate does not hold: %v", err)
	}
	key, err := ParseKey(c.Key)
	if err != nil {
		return m, 0, refuse(CodeMalformed, "its certificate names no key")
	}
	if err := open(typeManifest, manifest, []ed25519.PublicKey{key}, &m); err != nil {
		return Manifest{}, 0, refuse(CodeSignature, "its manifest does not hold: %v", err)
	}
	digest, err := hex.DecodeString(m.SHA256)
	switch {
	case c.Serial < r.Serial:
		err = refuse(CodeRevoked, "its key was replaced by a newer one (certificate %d, %d is known)", c.Serial, r.Serial)
	case m.Product != r.Product:
		err = refuse(CodeProduct, "it is a release of %q, not of %s", m.Product, r.Product)
	case m.OS != r.OS || m.Arch != r.Arch:
		err = refuse(CodeSystem, "it is made for %s/%s, this box is %s/%s; take the file for this box", m.OS, m.Arch, r.OS, r.Arch)
	case !ValidVersion(m.Version):
		err = refuse(CodeMalformed, "its version %q is not a version", m.Version)
	case err != nil || len(digest) != 32:
		err = refuse(CodeMalformed, "its digest is not a SHA-256")
	case m.Size <= 0 || m.Size > Most || m.Unpacked <= 0 || m.Unpacked > Most:
		err = refuse(CodeMalformed, "its size of %d bytes, %d unpacked, makes no sense", m.Size, m.Unpacked)
	case !c.Expires.IsZero() && r.Time.After(c.Expires):
		err = refuse(CodeExpired, "the certificate of its key ended on %s; take a newer release", c.Expires.UTC().Format(time.DateOnly))
	case !m.Expires.IsZero() && r.Time.After(m.Expires):
		err = refuse(CodeExpired, "it was to be installed before %s; take a newer release", m.Expires.UTC().Format(time.DateOnly))
	}
	if err != nil {
		return Manifest{}, 0, err
	}
	return m, c.Serial, nil
}

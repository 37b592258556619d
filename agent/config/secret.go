package config

import (
	"fmt"
	"io"
)

// hidden is what a secret looks like wherever it is printed.
const hidden = "***"

// Secret is a token, key or password. Every way of printing it, JSON and logs
// included, shows three stars; Reveal is the only way to the text.
type Secret struct{ text string }

// NewSecret wraps a text that must not be printed.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string { return s.text }

// Empty tells whether there is no secret at all.
func (s Secret) Empty() bool { return s.text == "" }

// String returns three stars, or "" when there is no secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// Format prints stars for every verb, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText writes stars.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

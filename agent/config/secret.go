package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
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

// secrets reads the files that hold secrets.
func (c *Config) secrets() []Problem {
	problems := c.readToken()
	for i := range c.Targets {
		t, path := &c.Targets[i], element("target", i)
		problems = append(problems, c.readSecret(path+".key_file", t.KeyFile, "the key", &t.Key)...)
		problems = append(problems, c.readSecret(path+".hook_secret_file", t.HookSecretFile, "a secret of your own making", &t.HookSecret)...)
		if s := t.HookSecret.Reveal(); s != "" && (len(s) < 16 || strings.Trim(s, hookLetters) != "") {
			problems = append(problems, c.problem(path+".hook_secret_file", t.HookSecretFile+" holds a secret that is short or cannot be part of an address",
				"write at least 16 letters and digits"))
		}
	}
	return problems
}

// hookLetters need no escape in an address.
const hookLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (c *Config) readToken() []Problem {
	if !c.Evotor.Token.Empty() {
		return nil
	}
	const key = "evotor.token_file"
	if c.Evotor.TokenFile == "" {
		return []Problem{c.problem(key, "there is no token", "name the file that holds it, or set OSTATOK_EVOTOR_TOKEN")}
	}
	problems := c.readSecret(key, c.Evotor.TokenFile, "the application's token", &c.Evotor.Token)
	if c.Evotor.Token.Empty() {
		problems[0].Do += ", or set OSTATOK_EVOTOR_TOKEN"
	}
	return problems
}

func (c *Config) problem(key, message, do string) Problem {
	s := c.origin[key]
	p := Problem{File: c.File, Line: s.Line, Key: key, Message: message, Do: do}
	if s.Layer == Environment {
		p.File = s.Variable
	}
	return p
}

// readSecret reads the one secret that a file holds; no file, no secret.
func (c *Config) readSecret(key, file, what string, to *Secret) []Problem {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return []Problem{c.problem(key, fmt.Sprintf("cannot read %s: %s", file, reason(err)), "put "+what+" there, with mode 0600")}
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsAny(secret, " \t\r\n") {
		return []Problem{c.problem(key, file+" does not hold one word", "write "+what+" on one line and nothing else")}
	}
	*to = NewSecret(secret)
	if wide, mode := wideMode(file); wide {
		p := c.problem(key, fmt.Sprintf("%s can be read by others (mode %04o)", file, mode), "run chmod 600 "+file)
		p.Warning = true
		return []Problem{p}
	}
	return nil
}

// wideMode tells whether anyone but the owner may read the file.
func wideMode(file string) (bool, fs.FileMode) {
	info, err := os.Stat(file)
	if err != nil {
		return false, 0
	}
	return info.Mode().Perm()&0o077 != 0, info.Mode().Perm()
}

// reason is the last part of a file error, without the path said twice.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

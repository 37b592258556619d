package config

import (
	"fmt"
	"strings"
)

// Problem is one mistake, or one thing worth a warning, in the configuration.
type Problem struct {
	File    string `json:"file,omitempty"` // the file, or the environment variable
	Line    int    `json:"line,omitempty"` // 0 when the place is not a line of a file
	Key     string `json:"key,omitempty"`
	Message string `json:"message"` // what is wrong
	Do      string `json:"do"`      // what to do about it
	Warning bool   `json:"warning"` // the agent can run all the same
}

// String is "FILE:LINE: KEY: what is wrong; what to do".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Do != "" {
		b.WriteString("; " + p.Do)
	}
	return b.String()
}

// InvalidError is a configuration that cannot be used. It holds every mistake,
// so that one look at the file mends them all.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "the configuration is not valid:\n  " + strings.Join(lines, "\n  ")
}

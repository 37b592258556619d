package main

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the newest lines of the log.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// tailBytes is how much of the log is kept: some hundred lines.
const tailBytes = 64 << 10

// Write implements io.Writer. Each call is one line.
func (t *tail) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over := len(t.kept) + len(line) - 2*tailBytes; over > 0 {
		cut := len(t.kept) - tailBytes
		if end := bytes.IndexByte(t.kept[max(cut, 0):], '\n'); end >= 0 {
			cut = max(cut, 0) + end + 1
		}
		t.kept = append(t.kept[:0], t.kept[min(max(cut, 0), len(t.kept)):]...)
	}
	t.kept = append(t.kept, line...)
	return len(line), nil
}

// lines returns the newest n lines.
func (t *tail) lines(n int) []string {
	t.mu.Lock()
	text := strings.TrimSuffix(string(t.kept), "\n")
	t.mu.Unlock()
	if text == "" {
		return []string{}
	}
	all := strings.Split(text, "\n")
	return all[max(0, len(all)-n):]
}

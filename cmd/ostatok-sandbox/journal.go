package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// entry is a line of what happened.
type entry struct {
	At   time.Time `json:"at"` // the shop's time
	Text string    `json:"text"`
}

// keptEntries bounds what /sandbox/log gives.
const keptEntries = 1000

// journal prints what happens, a line a thing, and keeps the newest lines.
type journal struct {
	mu      sync.Mutex
	out     io.Writer
	now     func() time.Time
	entries []entry
}

func (j *journal) say(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{At: j.now().UTC().Truncate(time.Millisecond), Text: fmt.Sprintf(format, args...)}
	// Nobody reads: the shop goes on.
	_, _ = fmt.Fprintf(j.out, "%s  %s\n", e.At.Format("2006-01-02 15:04:05"), e.Text)
	if len(j.entries) == keptEntries {
		j.entries = append(j.entries[:0], j.entries[1:]...)
	}
	j.entries = append(j.entries, e)
}

func (j *journal) newest() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]entry{}, j.entries...)
}

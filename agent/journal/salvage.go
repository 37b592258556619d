package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"ostatok/agent/sqlite"
)

// Notice says what happened to a journal that was found damaged.
type Notice struct {
	Moved  string           // the old file
	Detail string           // what was found
	Saved  map[string]int64 // rows saved of each table; nil: nobody counted them
}

// String is the notice for people.
func (n *Notice) String() string {
	var parts []string
	for table, rows := range n.Saved {
		if rows > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", table, rows))
		}
	}
	sort.Strings(parts)
	saved := "nothing could be read from it"
	if n.Saved == nil {
		saved = "what could be read from it was saved"
	}
	if len(parts) > 0 {
		saved = "saved from it: " + strings.Join(parts, ", ")
	}
	return fmt.Sprintf("the journal was damaged (%s) and is kept as %s; %s. Approvals and events that could not be read are lost: "+
		"look at the plans again. Stock figures are not affected", n.Detail, n.Moved, saved)
}

func (n *Notice) event() Event {
	data, err := json.Marshal(map[string]any{"moved": n.Moved, "saved": n.Saved})
	if err != nil {
		data = nil // a map of strings and numbers always encodes
	}
	return Event{Kind: "journal_salvaged", Severity: Error, Message: n.String(), Data: data}
}

// salvage saves what it can of the damaged file into a new one, and opens that.
func salvage(ctx context.Context, o sqlite.Options, now time.Time, corrupt *sqlite.CorruptError) (*sqlite.DB, *Notice, error) {
	moved, saved, err := sqlite.Rescue(ctx, o, now)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, o)
	return db, &Notice{Moved: moved, Detail: corrupt.Detail, Saved: saved}, err
}

// resume ends a salvage that a power cut has ended before its last step.
func resume(o sqlite.Options, now time.Time) (*Notice, error) {
	moved, done, err := sqlite.FinishRescue(o.File, now)
	if err != nil || !done {
		return nil, err
	}
	return &Notice{Moved: cmp.Or(moved, o.File+".corrupt-…"), Detail: "found at a start that was cut off"}, nil
}

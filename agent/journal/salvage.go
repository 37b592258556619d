package journal

import (
	"context"
	"encoding/json"
	"errors"
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
	Saved  map[string]int64 // rows saved of each table
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

// salvage sets the damaged file aside and saves what it can into a new one.
func salvage(ctx context.Context, o sqlite.Options, now time.Time, corrupt *sqlite.CorruptError) (*sqlite.DB, *Notice, error) {
	moved, err := sqlite.SetAside(o.File, now)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	saved, err := sqlite.Salvage(ctx, moved, db)
	if err != nil {
		// Not closed silently: the caller must not go on without the outbox
		// when there may be one that a second attempt can read.
		return nil, nil, fmt.Errorf("cannot save what %s holds: %w", moved, errors.Join(err, db.Close()))
	}
	return db, &Notice{Moved: moved, Detail: corrupt.Detail, Saved: saved}, nil
}

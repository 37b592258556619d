package agent

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/sqlite"
)

// reopenedKey is the journal's note of when the agent was last opened anew for
// the sake of a damaged file.
const reopenedKey = "damage.reopened"

// reopens has the agent opened anew if a file of its own is damaged, and tells
// whether: Open sets a damaged mirror aside and saves what a journal holds, and
// nobody comes to a shop to start it. Not within an hour of the last time: where
// opening did not help, it is no help.
func (a *Agent) reopens(ctx context.Context, part string, cause error) bool {
	damaged := false
	for _, db := range []*sqlite.DB{a.mirror.DB(), a.journal.DB()} {
		err := db.Check(ctx)
		damaged = damaged || sqlite.Damaged(err)
	}
	if !damaged { // the card failed to answer, and has answered since
		return false
	}
	now := a.now()
	last, err := a.journal.Meta(ctx, reopenedKey)
	if err == nil {
		if ms, err := strconv.ParseInt(last, 10, 64); err == nil && now.Sub(time.UnixMilli(ms)).Abs() < time.Hour {
			return false
		}
		err = a.journal.SetMeta(ctx, reopenedKey, strconv.FormatInt(now.UnixMilli(), 10))
	}
	if err != nil {
		a.log.Error().Err(err).Msg("agent not opened anew for a damaged file: that could not be noted")
		return false
	}
	a.log.Error().Err(cause).Str("part", part).Msg("agent is opened anew for a damaged file")
	a.event(ctx, part+"_failed", journal.Error, fmt.Sprintf("%s stopped: %v. The agent is opened anew, which mends its files.", part, cause), nil)
	a.end(Reopen)
	return true
}

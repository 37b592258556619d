package push

import (
	"context"
	"errors"
	"time"

	"ostatok/sync/rest"
)

const (
	backoffFirst = 5 * time.Second
	backoffMost  = 30 * time.Minute
	waitMost     = time.Hour // the longest that a target may tell us to wait

	// refusedPause is how long a target that refuses us altogether is left in
	// peace: a person has to act, and a token that is tried every minute may be
	// disabled.
	refusedPause = 30 * time.Minute

	// lookAgain is the pause before a target is looked at again that waits for
	// something on our side.
	lookAgain = time.Minute

	// far is how far ahead a time may lie before the clock is taken to have been
	// set back.
	far = 2 * waitMost

	// mismatchesMost is how often a figure is sent to a target that accepts it
	// and does not hold it afterwards.
	mismatchesMost = 5
)

// backoff is the wait before try number n+1 after n failures: doubled each time,
// at most half an hour, shortened by up to a third at random so that a hundred
// shops do not come back in the same second. A wait that the target asked for
// is kept to.
func (e *Engine) backoff(failures int, err error) time.Duration {
	wait := backoffMost
	if shift := max(failures, 1) - 1; shift < 12 {
		wait = min(backoffFirst<<shift, backoffMost)
	}
	wait -= time.Duration(e.o.Random() / 3 * float64(wait))
	if fault, ok := errors.AsType[*rest.Error](err); ok {
		wait = max(wait, min(fault.RetryAfter, waitMost))
	}
	return wait
}

// verdict is what an error means for what it happened to.
type verdict int

const (
	passing   verdict = iota // may pass by itself
	permanent                // will not change until the figure or the mapping does
	forbidden                // no permission: for this row, or for all of them
	shut                     // the target does not let us in at all
)

// judge tells what an error means. Of errors that nobody has classified, those
// of a whole call may pass (no network), and those that a target gave to a
// single row are its answer to that row.
func judge(err error, wholeCall bool) verdict {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return passing
	}
	switch kind := rest.KindOf(err); kind {
	case rest.Unauthorized, rest.NotInstalled:
		return shut
	case rest.Forbidden:
		return forbidden
	case "":
	default:
		if rest.Retryable(err) {
			return passing
		}
		return permanent
	}
	var own interface{ Retryable() bool }
	if errors.As(err, &own) {
		if own.Retryable() {
			return passing
		}
		return permanent
	}
	if wholeCall {
		return passing
	}
	return permanent
}

// paused tells whether the lane waits, and until when (epoch ms).
func (l *lane) paused(now int64) (until int64, yes bool) {
	until = l.pausedUntil.Load()
	return until, until > now && until <= now+far.Milliseconds()
}

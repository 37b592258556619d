package agent

import (
	"context"
	"fmt"

	"ostatok/agent/ingest"
)

// openInbox opens what was received in the shop and is not the cloud's yet.
func (a *Agent) openInbox(ctx context.Context) (err error) {
	a.received = make(chan struct{}, 1)
	a.inbox, err = ingest.OpenInbox(ctx, ingest.InboxOptions{Journal: a.journal, Mirror: a.mirror, Log: a.log})
	return err
}

// lookAtInbox wakes keepInbox. It never blocks.
func (a *Agent) lookAtInbox() {
	select {
	case a.received <- struct{}{}:
	default: // it is awake already
	}
}

// keepInbox brings what was received in the shop into the mirror, and drops what
// the cloud has shown since: at the start, when something came in, after each look
// at the cloud.
func (a *Agent) keepInbox(ctx context.Context) error {
	for {
		if err := a.drain(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.received:
		}
	}
}

// drain brings the inbox and the mirror in step.
func (a *Agent) drain(ctx context.Context) error {
	d, err := a.inbox.Drain(ctx)
	if len(d.Changes) > 0 {
		a.levelsChanged(changedProducts(d.Changes)...)
	}
	// What is not awaited any more may be written to the cloud again.
	if len(d.Changes) > 0 || d.Confirmed+d.Twins > 0 {
		a.lookAtTargets()
	}
	if err != nil && ctx.Err() != nil {
		return nil //nolint:nilerr // it is the end, and what is left waits for the next start
	}
	if err != nil {
		return fmt.Errorf("cannot bring documents of the shop into the mirror: %w", err)
	}
	return nil
}

// waitForCloud says why a product's figure must not be written to the cloud now.
// The cloud will apply a document that it has not shown yet by itself: the level,
// which has it in, would count it twice there.
func (a *Agent) waitForCloud(product string) (reason string) {
	if a.inbox.Awaited(product) {
		return "a document received in the shop is not in the cloud yet; written once it is"
	}
	return ""
}

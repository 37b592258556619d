package pull

import (
	"context"
	"strconv"
	"time"

	"ostatok/agent/mirror"
)

// A state that somebody has to mend is looked at again after refusedLeast,
// growing to refusedMost; trouble on the way is tried again with growing pauses
// up to troubleMost. A card that cannot be written is looked at after cardLeast,
// growing to cardMost, without asking the cloud.
const (
	refusedLeast = 5 * time.Minute
	refusedMost  = 30 * time.Minute
	troubleMost  = 15 * time.Minute

	cardLeast = time.Second
	cardMost  = 30 * time.Second
)

// Run pulls until ctx ends, and then returns nil: a cycle every Options.Poll,
// and after each one that came up to now one older month, as long as older
// months are wanted. It never stops for a reason of the cloud's or the card's, but
// with an error for a mirror that seems to be damaged (mirror.Damaged).
func (p *Puller) Run(ctx context.Context) error {
	var wait time.Duration
	settled := false // older documents are not wanted until something changes
	for {
		report, err := p.Cycle(ctx, Cycle{})
		if ctx.Err() != nil {
			return nil
		}
		if mirror.Damaged(err) {
			return err
		}
		if err != nil {
			p.log.Error().Err(err).Msg("pull failed")
		}
		if report.New > 0 || report.Changes > 0 || report.Products > 0 {
			settled = false
		}
		if report.current && !settled {
			if settled, err = p.BackfillStep(ctx); mirror.Damaged(err) {
				return err
			} else if err != nil && ctx.Err() == nil {
				p.log.Error().Err(err).Msg("backfill failed")
			}
		}
		if err != nil && p.fails(ctx) {
			if !p.heals(ctx) {
				return nil
			}
			wait = 0
			continue
		}
		wait = p.pause(report, err, wait)
		timer := time.NewTimer(p.o.Jitter(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-p.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// heals waits until the mirror can be written again, and tells whether that came
// before ctx ended. A cycle until then would download in vain what nobody keeps.
func (p *Puller) heals(ctx context.Context) bool {
	for pause := cardLeast; p.fails(ctx); pause = min(2*pause, cardMost) {
		if sleep(ctx, p.o.Jitter(pause)) != nil {
			return false
		}
	}
	return ctx.Err() == nil
}

// fails tells whether the mirror cannot be written just now.
func (p *Puller) fails(ctx context.Context) bool {
	// Always another text: a note that does not change is not written.
	return p.mirror.SetMeta(ctx, "pull.tried", strconv.FormatInt(time.Now().UnixNano(), 10)) != nil && ctx.Err() == nil
}

// Kick ends Run's present pause: something happened that makes a cycle worth it.
func (p *Puller) Kick() {
	select {
	case p.kick <- struct{}{}:
	default: // one is already waiting
	}
}

// pause is how long to wait after a cycle, given how long the last pause was.
func (p *Puller) pause(r Report, err error, last time.Duration) time.Duration {
	if err == nil && r.Complete {
		return p.o.Poll
	}
	trouble := err != nil
	for _, problem := range r.Problems {
		switch problem.Kind {
		case TokenRefused, NotInstalled, Forbidden, StoreNotVisible:
			return min(max(refusedLeast, last*3/2), refusedMost)
		case CatalogueShrank, NoDocuments: // everything else goes on as always
		default:
			trouble = trouble || problem.Blocks
		}
	}
	if !trouble {
		return p.o.Poll
	}
	return min(max(p.o.Poll, last*2), max(troubleMost, p.o.Poll))
}

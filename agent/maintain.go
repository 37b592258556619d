package agent

import (
	"context"
	"errors"
	"time"

	"ostatok/agent/sqlite"
)

// maintain tidies the files once a day, the first time a while after the start:
// a box that is switched off every evening must come to it too.
func (a *Agent) maintain(ctx context.Context) error {
	const first, every = 20 * time.Minute, 24 * time.Hour
	for pause := first; sleep(ctx, pause); pause = every {
		if err := a.tidy(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) tidy(ctx context.Context) error {
	var errs []error
	// Under a clock that runs years ahead everything would be older than what is
	// to be kept.
	if err := a.clock.trusted(); err == nil {
		errs = append(errs, a.clock.note(ctx), a.mirror.Tidy(ctx))
	} else {
		a.log.Warn().Err(err).Msg("old documents kept: clock not trusted")
	}
	errs = append(errs, a.journal.Maintain(ctx))
	// Copies of before a schema step are of use while the release is new.
	const week = 7 * 24 * time.Hour
	for _, db := range []*sqlite.DB{a.mirror.DB(), a.journal.DB()} {
		errs = append(errs, db.DropCopies(a.now().Add(-week)))
	}
	return errors.Join(errs...)
}

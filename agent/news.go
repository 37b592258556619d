package agent

import (
	"context"
	"fmt"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/page"
)

// levelsChanged tells all who show levels that these are, or may be, other ones;
// without products, that any may be. It never blocks.
func (a *Agent) levelsChanged(products ...string) {
	if a.remote != nil {
		a.remote.Changed(products)
	}
	if a.web != nil {
		if len(products) == 0 {
			products = []string{page.Everything}
		}
		a.web.page.Changed(products...)
	}
	a.stateChanged()
}

// stateChanged tells all who show the agent's state that it is another one. It
// never blocks.
func (a *Agent) stateChanged() {
	if a.remote != nil {
		a.remote.Wake()
	}
	if a.web != nil {
		a.web.page.Changed()
	}
}

// watchPull tells of the state of the pull, which changes without saying so.
func (a *Agent) watchPull(ctx context.Context) error {
	const every = 2 * time.Second
	for told := ""; sleep(ctx, every); {
		a.turn()
		s := a.puller.Status()
		now := "complete"
		if !s.Complete { // each poll has phases; only a long one is news
			now = fmt.Sprint(s.Phase, int(s.Percent)/5)
		}
		for _, p := range s.Problems {
			now += " " + p.Kind
		}
		if now != told {
			told = now
			a.stateChanged()
		}
	}
	return nil
}

// changedProducts are the ids of the products whose level changed.
func changedProducts(changes []mirror.Change) []string {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.Product
	}
	return ids
}

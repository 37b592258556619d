package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/pull"
	"ostatok/sync/push"
	"ostatok/sync/rest"
)

// Sync implements local.Shop: pull, fold, plan, deliver what policy allows.
func (a *Agent) Sync(ctx context.Context, backfill bool, progress func(local.Progress)) (local.SyncResult, error) {
	return a.sync(ctx, pull.Cycle{Backfill: backfill, Catalogue: true}, progress)
}

func (a *Agent) sync(ctx context.Context, cycle pull.Cycle, progress func(local.Progress)) (local.SyncResult, error) {
	if progress != nil {
		defer a.progress.watch(progress)()
	}
	report, err := a.puller.Cycle(ctx, cycle)
	if err == nil {
		err = a.drain(ctx)
	}
	if err != nil {
		return local.SyncResult{}, err
	}
	result := local.SyncResult{
		Complete: report.Complete, Problems: problems(report.Problems), Documents: report.New,
		Changes: report.Changes,
	}
	if report.Complete {
		if err := a.clock.note(ctx); err != nil {
			return result, err
		}
		if err := a.bringInStep(ctx, &result); err != nil {
			return result, err
		}
	}
	if result.Plans, err = a.heads(ctx, journal.PlanOpen); err != nil {
		return result, err
	}
	var counts local.Counts
	result.Levels, counts, err = a.count(ctx)
	result.Products = counts.Products // also when the catalogue was not read again
	return result, err
}

// bringInStep plans for all targets and delivers to them, side by side.
func (a *Agent) bringInStep(ctx context.Context, result *local.SyncResult) error {
	names := a.engine.Targets()
	done := make([]push.Delivery, len(names))
	errs := make([]error, len(names)+1)
	strangers := make([]string, len(names)) // what a target that knows no product of ours says
	var work sync.WaitGroup
	// What is available cannot be said without the reserves.
	errs[len(names)] = a.firstReserves(ctx)
	for i, name := range names {
		work.Go(func() {
			var p push.Plan
			if p, errs[i] = a.plan(ctx, name); errs[i] != nil {
				return
			}
			if at := slices.IndexFunc(p.Guards, func(g push.Guard) bool { return g.Kind == push.GuardUnmatched }); at >= 0 {
				strangers[i] = p.Guards[at].Message
			}
			done[i], errs[i] = a.deliver(ctx, name)
		})
	}
	work.Wait()
	for i, message := range strangers {
		if message != "" { // there is no plan that would say so
			result.Problems = append(result.Problems, local.Problem{Kind: push.GuardUnmatched,
				Message: names[i] + ": " + message + ".", Do: "`ostatok mapping check --target " + names[i] + "` shows what it knows."})
		}
	}
	var own []error
	for _, err := range errs {
		if err != nil && !elsewhere(err) {
			own = append(own, err)
		} else if err != nil {
			result.Complete = false
			result.Problems = append(result.Problems, local.Problem{Kind: "targets", Blocks: true,
				Message: upper(err.Error()) + ".", Do: "Run the sync again; what was approved is kept and sent then."})
		}
	}
	for _, d := range done {
		result.Delivery = append(result.Delivery, deliveries(d)...)
	}
	return errors.Join(own...)
}

// keepTarget plans for a target and delivers whenever levels changed or somebody
// approved, and delivers when a row of its outbox is due.
func (a *Agent) keepTarget(ctx context.Context, name string) error {
	const (
		// Documents come in bursts: a moment of quiet saves a plan for each.
		quiet = 2 * time.Second
		// What a target holds may change under us; the catalogue is read as often.
		lookAgain = time.Hour
	)
	plan, planned := true, time.Now()
	for wait := a.config.Evotor.Poll; ; {
		due := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			due.Stop()
			return nil
		case <-a.changed[name]:
			due.Stop()
			plan = true
			if !sleep(ctx, quiet) {
				return nil
			}
		case <-due.C:
			// A plan reads the whole catalogue: without news it is not made.
			plan = plan || time.Since(planned) >= lookAgain
		}
		wait = a.config.Evotor.Poll
		// Before the history is complete every plan would be superseded by the
		// next; rows approved earlier wait for the refresh before a delivery.
		if !a.puller.Status().Complete {
			continue
		}
		work := a.deliver
		if plan {
			work = a.planAndDeliver
		}
		delivery, err := work(ctx, name)
		if plan || delivery.Next != 0 {
			a.stateChanged()
		}
		if err == nil && plan {
			plan, planned = false, time.Now()
			debug.FreeOSMemory() // a plan is as large as the catalogue
		}
		if elsewhere(err) {
			a.log.Warn().Err(err).Str("target", name).Msg("target not brought up to date")
		} else if err != nil {
			return err
		}
		if delivery.Next != 0 {
			wait = min(wait, max(time.Second, millis(delivery.Next).Sub(a.now())))
		}
	}
}

// elsewhere tells whether an error is of the network or of a target: a state
// that is shown and passes, and no failure of ours.
func elsewhere(err error) bool {
	_, incomplete := errors.AsType[*incompleteError](err)
	return incomplete || rest.KindOf(err) != ""
}

// lookAtTargets has all targets looked at.
func (a *Agent) lookAtTargets() {
	for name := range a.changed {
		a.lookAt(name)
	}
}

// lookAt wakes the loop of a target.
func (a *Agent) lookAt(name string) {
	select {
	case a.changed[name] <- struct{}{}:
	default: // its loop is awake already
	}
}

func (a *Agent) planAndDeliver(ctx context.Context, name string) (push.Delivery, error) {
	if _, err := a.plan(ctx, name); err != nil {
		return push.Delivery{}, err
	}
	return a.deliver(ctx, name)
}

func (a *Agent) plan(ctx context.Context, name string) (push.Plan, error) {
	if _, err := a.learn(ctx, name); err != nil {
		return push.Plan{}, err
	}
	if b := a.backends.named(name); b != nil && b.available() {
		a.freshReserves(ctx)
	}
	p, err := a.engine.Plan(ctx, name)
	if err != nil {
		return p, fmt.Errorf("cannot plan for %s: %w", name, err)
	}
	return p, nil
}

func (a *Agent) deliver(ctx context.Context, name string) (push.Delivery, error) {
	delivery, err := a.engine.Deliver(ctx, name)
	if err != nil {
		return delivery, fmt.Errorf("cannot deliver: %w", err)
	}
	return delivery, nil
}

func deliveries(d push.Delivery) []local.Delivery {
	list := make([]local.Delivery, 0, len(d.Targets))
	for _, t := range d.Targets {
		list = append(list, local.Delivery{
			Target: t.Target, Due: t.Due, Accepted: t.Accepted, Verified: t.Verified,
			Rejected: t.Rejected, Blocked: t.Blocked, Delayed: t.Delayed, Reason: t.Reason,
		})
	}
	return list
}

// ready tells the engine what speaks against writing.
func (a *Agent) ready(ctx context.Context) []push.Guard {
	var guards []push.Guard
	switch items, err := a.mirror.Unreviewed(ctx); {
	case err != nil:
		guards = append(guards, push.Guard{Kind: pull.SetAside, Message: upper(err.Error()) + "."})
	case items > 0:
		guards = append(guards, push.Guard{Kind: pull.SetAside, Message: fmt.Sprintf(
			"%d of the cloud's documents could not be used and were set aside, so figures of the products in them may be wrong. "+
				"Look at them with `ostatok diagnose`; approving a plan accepts them.", items)})
	}
	s := a.puller.Status()
	if !s.Complete {
		guards = append(guards, push.Guard{Kind: "incomplete",
			Message: "The shop's documents are not complete yet, so levels may still change."})
	}
	for _, p := range s.Problems {
		if p.Blocks {
			guards = append(guards, push.Guard{Kind: p.Kind, Message: p.Message})
		}
	}
	if err := a.clock.trusted(); err != nil {
		guards = append(guards, push.Guard{Kind: "clock_not_trusted",
			Message: upper(err.Error()) + ". Set the clock of the box, or let it ask a time server."})
	}
	return guards
}

// refresh brings the documents up to date before a delivery.
func (a *Agent) refresh(ctx context.Context) error {
	report, err := a.puller.Cycle(ctx, pull.Cycle{})
	if err == nil {
		err = a.drain(ctx) // before anything is written: it may not count twice
	}
	if err != nil {
		return err
	}
	if !report.Complete {
		return &incompleteError{report.Problems}
	}
	return nil
}

// incompleteError says why the documents are not up to date.
type incompleteError struct{ problems []pull.Problem }

func (e *incompleteError) Error() string {
	var texts []string
	for _, p := range e.problems {
		if p.Blocks {
			texts = append(texts, p.Message)
		}
	}
	return "the shop's documents could not be brought up to date: " + strings.Join(texts, " ")
}

// wrote keeps a figure that we wrote in the product's chain, so that a terminal
// that states it later is understood. The same write gives the same document.
func (a *Agent) wrote(ctx context.Context, product string, q stock.Quantity, at int64) error {
	_, err := a.mirror.PutDocuments(ctx, mirror.Batch{Documents: []mirror.Document{{
		Source: mirror.Own,
		Document: stock.Document{
			ID: fmt.Sprintf("ostatok-%s-%d", product, at), Type: stock.Write, Closed: at, Arrived: at,
			Store: a.config.Store, Lines: []stock.Line{{Product: product, Quantity: q}},
		},
	}}})
	return err
}

// event keeps something for the operator. An event that cannot be kept is
// logged: it must not stop what it tells of.
func (a *Agent) event(ctx context.Context, kind, severity, message string, data any) {
	e := journal.Event{Kind: kind, Severity: severity, Message: message}
	var err error
	if data != nil {
		e.Data, err = json.Marshal(data)
	}
	// An event at the very end, such as a problem while stopping, counts too.
	if err = errors.Join(err, a.journal.AddEvent(context.WithoutCancel(ctx), e)); err != nil {
		a.log.Error().Err(err).Str("kind", kind).Str("event", message).Msg("event not kept")
	}
}

func problems(list []pull.Problem) []local.Problem {
	out := make([]local.Problem, 0, len(list))
	for _, p := range list {
		out = append(out, local.Problem{Kind: p.Kind, Message: p.Message, Do: p.Advice, Blocks: p.Blocks})
	}
	return out
}

func (a *Agent) count(ctx context.Context) (local.Levels, local.Counts, error) {
	c, err := a.mirror.Counts(ctx)
	if err != nil {
		return local.Levels{}, local.Counts{}, err
	}
	return local.Levels{
			Known: c.States[stock.Known], Assumed: c.States[stock.Assumed],
			Unresolved: c.States[stock.Unresolved], Unknown: c.States[stock.Unknown],
		}, local.Counts{
			Products: c.Products, Documents: c.Documents, Movements: c.Movements,
			Quarantine: c.Quarantine, Terminals: c.Devices, Drift: c.Drift,
		}, nil
}

// progressFan hands the progress of the one puller to everyone who watches.
type progressFan struct {
	mu       sync.Mutex
	watchers map[int]func(local.Progress)
	next     int
}

// watch adds a watcher and returns how to stop watching.
func (f *progressFan) watch(each func(local.Progress)) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = make(map[int]func(local.Progress))
	}
	id := f.next
	f.next++
	f.watchers[id] = each
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, id)
	}
}

func (f *progressFan) send(p pull.Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range f.watchers {
		each(local.Progress{
			Phase: string(p.Phase), Percent: p.Percent, Documents: p.Documents, Products: p.Products, Window: p.Window,
		})
	}
}

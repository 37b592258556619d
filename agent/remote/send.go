package remote

import (
	"context"
	"encoding/json"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// Bounds of what is sent.
const (
	statusGap   = 5 * time.Second // between two statuses that follow changes
	statusEvery = 5 * time.Minute
	look        = 2 * time.Second // for events, when nobody wakes the sender
	storeAgain  = time.Minute     // after the journal failed

	window        = 20        // events and results under way at a time
	maxResult     = 256 << 10 // bytes
	maxEventData  = 16 << 10
	levelsPerPart = 200
	maxDirty      = 4096
)

// sender sends over one connection what is due, the most important first.
type sender struct {
	r *Remote
	c *connection

	statusAt time.Time // of the last one
	pausedTo time.Time // the journal failed: until then only the status goes out
	looked   time.Time // for events
	more     bool      // there are more events

	seq     int64             // of stock messages
	told    map[string]string // levels sent, not noted in the journal yet
	toldAt  time.Time
	everyID []string // products that a rebirth still has to send
	part    int
	reborn  int64 // number of that rebirth
}

// serve does birth and then sends until the connection is lost or ctx ends.
func (r *Remote) serve(ctx context.Context, c *connection) error {
	s := &sender{r: r, c: c, told: map[string]string{}}
	defer func() {
		if ctx.Err() == nil {
			r.flushLevels(ctx, s)
		}
	}()
	if err := s.birth(ctx); err != nil {
		return err
	}
	for {
		again, err := s.turn(ctx)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		timer := time.NewTimer(s.rest())
		select {
		case <-ctx.Done():
		case <-c.lost:
		case <-r.wake:
			s.looked = time.Time{} // whoever has news may have told of them in an event
		case <-timer.C:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.lost:
			return c.err
		default:
		}
	}
}

// birth tells that the shop is there: state init, the status, and ready once
// commands are listened to.
func (s *sender) birth(ctx context.Context) error {
	// First, so that the state that the broker remembers is heard of.
	if err := s.r.subscribe(ctx, s.c); err != nil {
		return err
	}
	if err := s.state(ctx, message.Init); err != nil {
		return err
	}
	if err := s.status(ctx); err != nil {
		return err
	}
	return s.state(ctx, message.Ready)
}

func (s *sender) state(ctx context.Context, p message.Phase) error {
	payload, err := json.Marshal(s.r.state(s.c, p))
	if err != nil {
		return err
	}
	return s.c.send(ctx, s.r.topics.State, true, payload)
}

// turn sends one portion. again is false when nothing is due. Errors are the
// connection's; those of the shop or its journal are logged, and only the status
// goes out for a while: it says what is wrong.
func (s *sender) turn(ctx context.Context) (again bool, err error) {
	if s.statusDue() {
		return true, s.status(ctx)
	}
	if s.c.contradicted.CompareAndSwap(true, false) {
		return true, s.state(ctx, message.Ready)
	}
	if time.Now().Before(s.pausedTo) {
		return false, nil
	}
	for _, portion := range []func(context.Context) (bool, error){s.results, s.running, s.levels, s.events} {
		again, err := portion(ctx)
		if local, ok := err.(*shopError); ok { //nolint:errorlint // made by own and never wrapped
			s.r.log.Error().Err(local.err).Msg("cannot report to the operator for now")
			s.pausedTo = time.Now().Add(storeAgain)
			return false, nil
		}
		if err != nil || again {
			return again, err
		}
	}
	return false, nil
}

// shopError is an error of the shop or the journal, as against the connection.
type shopError struct{ err error }

func (e *shopError) Error() string { return e.err.Error() }

// rest is how long there is nothing to do but to wait for news.
func (s *sender) rest() time.Duration {
	d := look
	s.r.mu.Lock()
	if s.r.status {
		d = min(d, time.Until(s.statusAt.Add(statusGap)))
	}
	s.r.mu.Unlock()
	return max(d, time.Millisecond)
}

func (s *sender) statusDue() bool {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	age := time.Since(s.statusAt)
	return age >= statusEvery || (s.r.status && age >= statusGap)
}

// status sends how the shop is now. What happened while there was no connection
// is in it: there is no queue of statuses.
func (s *sender) status(ctx context.Context) error {
	r := s.r
	r.mu.Lock()
	r.status = false
	r.mu.Unlock()
	s.statusAt = time.Now()
	status, err := r.shop.Status(ctx)
	if err == nil {
		err = r.fill(ctx, s, &status)
	}
	if err != nil {
		if ctx.Err() == nil {
			r.log.Error().Err(err).Msg("cannot tell the shop's status")
		}
		return ctx.Err()
	}
	payload, err := json.Marshal(status)
	if err != nil {
		return err
	}
	trial := r.trial.generation()
	if err := s.c.send(ctx, r.topics.Status, true, payload); err != nil {
		return err
	}
	r.confirm(ctx, trial)
	return nil
}

func (r *Remote) fill(ctx context.Context, s *sender, status *message.Status) error {
	status.Schema, status.Session, status.At = message.Schema, s.c.session, r.now()
	status.Version, status.Store = r.o.Version, r.o.Store
	backlog, err := r.journal.EventBacklog(ctx)
	if err != nil {
		return err
	}
	results, err := r.journal.CountUnpublished(ctx)
	if err != nil {
		return err
	}
	overrides, err := r.journal.Overrides(ctx)
	if err != nil {
		return err
	}
	status.Override = make([]string, 0, len(overrides))
	for _, o := range overrides {
		status.Override = append(status.Override, o.Key)
	}
	r.mu.Lock()
	stock := r.scan || len(r.dirty) > 0
	r.mu.Unlock()
	status.Feed = message.Feed{Events: backlog.Waiting, Results: results, Stock: stock || len(s.everyID) > 0,
		Dropped: message.Dropped{Info: backlog.DroppedInfo, Warning: backlog.DroppedWarning, Error: backlog.DroppedError,
			Commands: r.drops.Load()}}
	return nil
}

// results sends the newest state of every command that the operator was not told.
func (s *sender) results(ctx context.Context) (again bool, err error) {
	list, err := s.r.journal.UnpublishedCommands(ctx, window)
	if err != nil {
		return false, &shopError{err}
	}
	if len(list) == 0 {
		return false, nil
	}
	payloads := make([][]byte, len(list))
	for i, c := range list {
		if payloads[i], err = json.Marshal(result(c)); err != nil {
			return false, err
		}
	}
	trial := s.r.trial.generation()
	if err := s.c.send(ctx, s.r.topics.Result, false, payloads...); err != nil {
		return false, err
	}
	s.r.at("published")
	if err := s.r.journal.PublishedCommands(ctx, list); err != nil {
		return false, &shopError{err}
	}
	s.r.confirm(ctx, trial)
	return true, nil
}

func result(c journal.Command) message.Result {
	m := message.Result{ID: c.ID, Cmd: c.Cmd, Status: message.Outcome(c.State), At: time.UnixMilli(c.ChangedAt).UTC(),
		Result: c.Result, Clock: c.Clock}
	if c.ErrorCode != "" {
		m.Error = &message.Error{Code: c.ErrorCode, Message: c.Error}
	}
	return m
}

// running sends how far long commands have come: the newest word of each.
func (s *sender) running(ctx context.Context) (again bool, err error) {
	s.r.mu.Lock()
	var list []message.Result
	for _, m := range s.r.progress {
		list = append(list, m)
	}
	clear(s.r.progress)
	s.r.mu.Unlock()
	for _, m := range list {
		payload, err := json.Marshal(m)
		if err != nil {
			return false, err
		}
		if err := s.c.send(ctx, s.r.topics.Result, false, payload); err != nil {
			return false, err
		}
	}
	return false, nil
}

// events sends the oldest events that the broker does not have.
func (s *sender) events(ctx context.Context) (again bool, err error) {
	if !s.more && time.Since(s.looked) < look {
		return false, nil
	}
	s.looked, s.more = time.Now(), false
	list, err := s.r.journal.UnsentEvents(ctx, window)
	if err != nil {
		return false, &shopError{err}
	}
	if len(list) == 0 {
		return false, nil
	}
	payloads := make([][]byte, len(list))
	for i, e := range list {
		if len(e.Data) > maxEventData || !json.Valid(e.Data) {
			e.Data = nil
		}
		payloads[i], err = json.Marshal(message.Event{ID: e.ID, Seq: e.Seq, At: time.UnixMilli(e.At).UTC(), Kind: e.Kind,
			Severity: e.Severity, Message: e.Message, Data: e.Data})
		if err != nil {
			return false, err
		}
	}
	if err := s.c.send(ctx, s.r.topics.Event, false, payloads...); err != nil {
		return false, err
	}
	if err := s.r.journal.EventsSent(ctx, list[len(list)-1].Seq); err != nil {
		return false, &shopError{err}
	}
	s.more = len(list) == window
	return s.more, nil
}

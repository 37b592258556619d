package remote

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"ostatok/agent/message"
	"ostatok/agent/stock"
)

// noteLevels is how long what the operator was told of levels may be unknown to
// the journal. After a crash these changes go again, which does no harm; a write
// after every sale would wear the card.
const noteLevels = time.Minute

// levels sends the levels that changed: first what a rebirth owes, then changes,
// each product with its newest figure.
func (s *sender) levels(ctx context.Context) (again bool, err error) {
	r := s.r
	if len(s.told) > 0 && (time.Since(s.toldAt) > noteLevels || len(s.told) > maxDirty) {
		if err := s.note(ctx); err != nil {
			return false, &shopError{err}
		}
	}
	if again, err := s.rebirth(ctx); again || err != nil {
		return again, err
	}
	r.mu.Lock()
	scan := r.scan
	r.scan = false
	r.mu.Unlock()
	if scan {
		if err := s.compare(ctx); err != nil {
			r.mu.Lock()
			r.scan = true
			r.mu.Unlock()
			return false, &shopError{err}
		}
	}
	products := r.takeDirty(levelsPerPart)
	if len(products) == 0 {
		return false, nil
	}
	if err := s.changes(ctx, products, message.Stock{}); err != nil {
		r.Changed(products) // they are still owed, to the next connection at the latest
		return false, err
	}
	return true, nil
}

func (r *Remote) takeDirty(most int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var products []string
	for p := range r.dirty {
		if len(products) == most {
			break
		}
		products = append(products, p)
		delete(r.dirty, p)
	}
	slices.Sort(products)
	return products
}

// compare finds the products whose level is not what the operator was last told.
// It finds what was missed while there was no connection or no agent.
func (s *sender) compare(ctx context.Context) error {
	if err := s.note(ctx); err != nil {
		return err
	}
	sent, err := s.r.journal.LevelsSent(ctx)
	if err != nil {
		return err
	}
	var differ []string
	for change, err := range s.r.shop.Levels(ctx) {
		if err != nil {
			return err
		}
		if sent[change.Product] != figure(change) {
			differ = append(differ, change.Product)
		}
		delete(sent, change.Product)
	}
	for product := range sent {
		differ = append(differ, product) // gone
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, p := range differ {
		s.r.dirty[p] = struct{}{} // beyond maxDirty here: bounded by the catalogue
	}
	return nil
}

// changes sends one message with the newest figures of products. Errors of the
// shop are *shopError.
func (s *sender) changes(ctx context.Context, products []string, m message.Stock) error {
	m.Changes = make([]message.Change, 0, len(products))
	for _, p := range products {
		change, found, err := s.r.shop.Level(ctx, p)
		if err != nil {
			return &shopError{err}
		}
		if !found {
			change = message.Change{Product: p, State: message.Removed}
		}
		m.Changes = append(m.Changes, change)
	}
	s.seq++
	m.Session, m.Seq, m.At = s.c.session, s.seq, s.r.now()
	payload, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := s.c.send(ctx, s.r.topics.Stock, false, payload); err != nil {
		return err
	}
	if len(s.told) == 0 {
		s.toldAt = time.Now()
	}
	for _, change := range m.Changes {
		s.told[change.Product] = figure(change)
	}
	return nil
}

// figure is what of a change makes it worth sending, "" for a product that is gone.
func figure(c message.Change) string {
	if c.State == message.Removed {
		return ""
	}
	return string(c.State) + "|" + text(c.Quantity) + "|" + text(c.Reserved) + "|" + c.Code
}

func text(q *stock.Quantity) string {
	if q == nil {
		return ""
	}
	return q.String()
}

// rebirth sends one numbered part of everything while that is owed.
func (s *sender) rebirth(ctx context.Context) (again bool, err error) {
	if s.everyID == nil {
		if s.reborn, err = s.r.journal.Rebirth(ctx); err != nil {
			return false, &shopError{err}
		}
		if s.reborn == 0 {
			return false, nil
		}
		s.part = 0
		s.everyID = []string{}
		for change, err := range s.r.shop.Levels(ctx) {
			if err != nil {
				s.everyID = nil
				return false, &shopError{err}
			}
			s.everyID = append(s.everyID, change.Product)
		}
	}
	n := min(len(s.everyID), levelsPerPart)
	m := message.Stock{Full: true, Part: s.part + 1, Last: n == len(s.everyID)}
	if err := s.changes(ctx, s.everyID[:n], m); err != nil {
		return false, err
	}
	s.part++
	s.everyID = s.everyID[n:]
	if m.Last {
		s.everyID = nil
		if err := s.r.journal.Reborn(ctx, s.reborn); err != nil {
			return false, &shopError{err}
		}
	}
	return true, nil
}

// note puts into the journal what the operator was told.
func (s *sender) note(ctx context.Context) error {
	if len(s.told) == 0 {
		return nil
	}
	if err := s.r.journal.SetLevelsSent(ctx, s.told); err != nil {
		return err
	}
	clear(s.told)
	return nil
}

// flushLevels notes what was told when a connection ends.
func (r *Remote) flushLevels(ctx context.Context, s *sender) {
	if err := s.note(ctx); err != nil {
		r.log.Warn().Err(err).Msg("levels that were sent are not noted and go again")
	}
}

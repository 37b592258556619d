package agent

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/page"
	"ostatok/sync/push"
)

// pageShop is the agent as page.Shop: what the shop's page shows and does.
type pageShop struct {
	*Agent

	mu     sync.Mutex
	place  int64            // in the mirror, up to which documents were looked at
	last   map[string]int64 // newest document of each terminal, epoch ms
	loaded loading
}

// Briefs implements page.Shop.
func (s *pageShop) Briefs(ctx context.Context, text string) iter.Seq2[page.Brief, error] {
	return func(yield func(page.Brief, error) bool) {
		for b, err := range s.mirror.Briefs(ctx, text) {
			if !yield(page.Brief(b), err) {
				return
			}
		}
	}
}

// Products implements page.Shop.
func (s *pageShop) Products(ctx context.Context, ids []string) ([]page.Product, error) {
	rows, err := s.mirror.RowsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	groups, err := s.mirror.Groups(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]page.Product, 0, len(rows))
	for _, id := range ids {
		if r, ok := rows[id]; ok && !r.Deleted {
			list = append(list, page.Product{Row: localRow(r), Group: groupPath(groups, r.Parent), Measure: r.Measure})
		}
	}
	return list, nil
}

// groupPath names a group with those that it is in, the outermost first.
func groupPath(groups map[string]mirror.Group, id string) string {
	const deepest = 10 // they might go round in a circle
	path := ""
	for range deepest {
		g, ok := groups[id]
		if !ok || g.Name == "" {
			break
		}
		if path != "" {
			path = " / " + path
		}
		path, id = g.Name+path, g.Parent
	}
	return path
}

// Holdings implements page.Shop.
func (s *pageShop) Holdings(ctx context.Context, product string) ([]page.Holding, error) {
	row, err := s.mirror.Row(ctx, product)
	if err != nil {
		return nil, err
	}
	var list []page.Holding
	for _, name := range s.engine.Targets() {
		h, err := s.holding(ctx, name, &row)
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

// holding is what is known of a product at one target.
func (s *pageShop) holding(ctx context.Context, target string, row *mirror.Row) (page.Holding, error) {
	h := page.Holding{Target: target}
	if b := s.backends.named(target); b != nil {
		h.Key, h.Reason = b.matcher.Key(row.Product)
	} else {
		h.Key, h.Reason = row.ID, s.waitForCloud(row.ID)
	}
	held, err := s.journal.HeldOf(ctx, target, []string{row.ID})
	if err != nil {
		return h, err
	}
	at := int64(0)
	if known := held[row.ID]; known != nil {
		if q, ok := known.Figure(); ok {
			h.Figure, at = &q, known.At()
		}
		if known.Missing() && h.Reason == "" {
			h.Reason = known.Reason
		}
	}
	if target == push.KindEvotor && row.HasCloud && row.CloudAt > at {
		h.Figure, at = &row.Cloud, row.CloudAt // as the catalogue showed it since
	}
	h.At = moment(millis(at))
	return h, s.underWay(ctx, &h, row.ID)
}

// underWay adds what is to be written, and why it is not.
func (s *pageShop) underWay(ctx context.Context, h *page.Holding, product string) error {
	waiting, ok, err := s.journal.Waiting(ctx, h.Target, product)
	if err != nil {
		return err
	}
	if ok {
		h.Wanted, h.State = &waiting.To, waiting.State
		if h.Reason == "" {
			h.Reason = waiting.Reason
		}
		return nil
	}
	entries, err := s.journal.Entries(ctx, h.Target, []string{product})
	if err != nil || len(entries) == 0 {
		return err
	}
	e := &entries[0]
	h.State = e.State
	if e.State != journal.Accepted && e.State != journal.Verified {
		h.Wanted = &e.Wanted
		if h.Reason == "" {
			h.Reason = e.Reason
		}
	}
	return nil
}

// PlanHeads implements page.Shop.
func (s *pageShop) PlanHeads(ctx context.Context) ([]journal.PlanHead, error) {
	return s.journal.PlanHeads(ctx)
}

// PlanRows implements page.Shop.
func (s *pageShop) PlanRows(ctx context.Context, plan int64, from, limit int) ([]journal.PlanRow, error) {
	return s.journal.PlanRows(ctx, plan, from, limit)
}

// Rejected implements page.Shop.
func (s *pageShop) Rejected(ctx context.Context, limit int) ([]page.Rejection, error) {
	var list []page.Rejection
	for _, target := range s.engine.Targets() {
		entries, err := s.journal.Stuck(ctx, target, limit-len(list))
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(entries))
		for i := range entries {
			ids[i] = entries[i].Product
		}
		rows, err := s.mirror.RowsOf(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			r := rows[e.Product]
			list = append(list, page.Rejection{
				Target: target, Product: e.Product, Code: r.Code, Name: r.Name,
				Wanted: e.Wanted, State: e.State, Reason: e.Reason,
			})
		}
	}
	return list, nil
}

// Events implements page.Shop.
func (s *pageShop) Events(ctx context.Context, before int64, limit int) ([]journal.Event, error) {
	return s.journal.RecentEvents(ctx, before, limit)
}

// Terminals implements page.Shop.
func (s *pageShop) Terminals(ctx context.Context) ([]page.Terminal, error) {
	devices, err := s.mirror.Devices(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last, next, err := s.mirror.LastClosed(ctx, s.place)
	if err != nil {
		return nil, err
	}
	if s.last == nil {
		s.last = make(map[string]int64)
	}
	for device, closed := range last {
		s.last[device] = max(s.last[device], closed)
	}
	s.place = next
	if err := s.loaded.look(ctx, s.Agent); err != nil {
		return nil, err
	}
	list := make([]page.Terminal, len(devices))
	for i, d := range devices {
		list[i] = page.Terminal{ID: d.ID, Name: d.Name, Last: moment(millis(s.last[d.ID])), Loaded: s.loaded.marks[d.ID]}
		if s.loaded.since != 0 {
			list[i].Written = moment(millis(s.loaded.since))
		}
	}
	slices.SortFunc(list, func(a, b page.Terminal) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

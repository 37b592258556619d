package agent_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
)

// look lets the shop live on to now, and notes what is true and what the agent
// has written to some systems since the last look.
func (w *world) look(systems ...*system) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(false)
	w.compare(true, systems...)
}

// foreign does something that changes the systems and is not the agent's doing.
func (w *world) foreign(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.compare(true, w.systems...)
	do()
	w.note(true)
	w.compare(false, w.systems...)
}

// note keeps what is true now. What the cloud can tell changes with its documents.
func (w *world) note(always bool) {
	now := w.now().Truncate(time.Millisecond) // as the shop dates what is written to it
	if !w.closed {
		w.shop.Run(now)
	}
	documents := len(w.shop.Documents())
	if documents == w.documents && !always {
		return
	}
	w.documents = documents
	for _, g := range w.goods {
		q, ok := w.shop.Told(g.id)
		g.told = add(g.told, moment{now, q, ok})
		_, reserved, _ := w.crm.Holds(2, g.code)
		g.reserved = add(g.reserved, moment{now, reserved, true})
	}
}

func add(list []moment, m moment) []moment {
	if n := len(list); n > 0 && list[n-1].q == m.q && list[n-1].ok == m.ok {
		return list
	}
	return append(list, m)
}

// compare looks at what systems hold. The cloud of the terminals counts by itself,
// so it is judged by what was written to it instead.
func (w *world) compare(ours bool, systems ...*system) {
	now := w.now()
	for _, s := range systems {
		if s.name == "evotor" {
			continue
		}
		holds := s.holds()
		for _, g := range w.goods {
			q, ok := holds(g)
			if !ok {
				continue
			}
			from, had := s.last[g.id]
			if had && from == q {
				continue
			}
			s.last[g.id] = q
			if ours && (had || s.name == "market") { // the others began with rows of 0
				s.writes = append(s.writes, written{now, g, from, q})
			}
		}
	}
}

// during lists the figures that held at some time of a stretch.
func during(list []moment, from, to time.Time) (figures []stock.Quantity) {
	for i, m := range list {
		ended := i+1 < len(list) && !list[i+1].at.After(from)
		if m.ok && !ended && !m.at.After(to) && !slices.Contains(figures, m.q) {
			figures = append(figures, m.q)
		}
	}
	return figures
}

// How old a figure may be when a buyer sees it: documents are pulled less than a
// minute before a part of a delivery, and a part takes its time when the line is
// bad. Reserves are relied on for longer, see reservesOld.
const (
	figureAge  = 10 * time.Minute
	reserveAge = 4 * time.Hour
)

// justified tells whether a figure was the right one lately.
func (s *system) justified(v *written) bool {
	reserves := during(v.good.reserved, v.at.Add(-reserveAge), v.at)
	for _, level := range during(v.good.told, v.at.Add(-figureAge), v.at) {
		for _, reserved := range reserves {
			if s.shows(level, reserved) == v.q {
				return true
			}
		}
	}
	return false
}

// truth is what is known of the goods now; the shop lives on meanwhile.
func (w *world) truth() []*good {
	w.mu.Lock()
	defer w.mu.Unlock()
	goods := make([]*good, len(w.goods))
	for i, g := range w.goods {
		now := *g
		goods[i] = &now
	}
	return goods
}

// agentWrites are the figures that the agent wrote to a system.
func (w *world) agentWrites(s *system) []written {
	goods := make(map[string]*good)
	for _, g := range w.truth() {
		goods[g.id] = g
	}
	var list []written
	if s.name != "evotor" {
		w.mu.Lock()
		list = slices.Clone(s.writes)
		w.mu.Unlock()
		for i := range list {
			list[i].good = goods[list[i].good.id]
		}
		return list
	}
	for _, p := range w.shop.Patches() {
		list = append(list, written{at: time.UnixMilli(p.At), good: goods[p.Product], q: p.Quantity})
	}
	return list
}

// judgeWrites finds rows that were zeroed though there was stock, and with every
// figure also any other that was never right.
func (w *world) judgeWrites(every bool) {
	w.t.Helper()
	total := 0
	for _, s := range w.systems {
		writes := w.agentWrites(s)
		total += len(writes)
		for _, v := range writes {
			if (v.q <= 0 || every) && !s.justified(&v) {
				w.t.Errorf("%s: at %s %s went from %s to %s; lately the shelf had %v and %v was reserved", s.name,
					v.at.In(moscow).Format("2 15:04:05"), v.good.code, v.from, v.q,
					during(v.good.told, v.at.Add(-figureAge), v.at), during(v.good.reserved, v.at.Add(-reserveAge), v.at))
			}
		}
	}
	if total < len(w.goods) {
		w.t.Errorf("only %d figures were written: this tests nothing", total)
	}
}

// judgeFigures finds products that do not have the same figure everywhere.
func (w *world) judgeFigures() {
	w.t.Helper()
	rows := make(map[string]local.Row)
	for row, err := range w.running().Stock(w.t.Context(), local.StockQuery{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		rows[row.Product] = row
	}
	// Zelenka cannot be read. What somebody else told it is mended by the daily list,
	// and there is none while a product has no figure.
	list := true
	for _, row := range rows {
		list = list && (row.State == stock.Known || w.good(row.Product) == nil)
	}
	known := 0
	for _, g := range w.truth() {
		row, listed := rows[g.id]
		if !listed || row.State != stock.Known {
			continue
		}
		known++
		level, reserved := g.told[len(g.told)-1], g.reserved[len(g.reserved)-1].q
		if !level.ok || *row.Quantity != level.q {
			w.t.Errorf("%s: the agent knows of %s on the shelf, there are %s", g.code, row.Quantity, level.q)
			continue
		}
		for _, s := range w.systems {
			if s.name == "market" && g.misled && !list {
				continue
			}
			q, ok := s.holds()(g)
			want := s.shows(level.q, reserved)
			if s.strange[g.id] || ok && q == want {
				continue
			}
			// What a system refuses is on a list with its words, and is not tried again.
			if why := w.why(s, g); !strings.Contains(why, "rejected: ") || !strings.Contains(why, "Операция отклонена") {
				w.t.Errorf("%s: %s shows %s (%t) at the end, want %s%s", g.code, s.name, q, ok, want, why)
			}
		}
	}
	if known < len(w.goods)/2 {
		w.t.Errorf("the levels of %d of %d products are known: this tests little", known, len(w.goods))
	}
}

// why is what the agent says of a row that is wrong.
func (w *world) why(s *system, g *good) string {
	text := ""
	plans, err := w.running().Plans(w.t.Context(), s.name, false)
	if err != nil {
		w.t.Error(err)
	}
	for _, p := range plans {
		for _, r := range p.Rows {
			if r.Product == g.id {
				text += fmt.Sprintf("; plan %s is %s: %s %s %v", p.ID, p.State, r.State, r.Reason, p.Guards)
			}
		}
		for _, u := range p.Unmatched {
			if u.Product == g.id {
				text += "; " + u.Reason
			}
		}
	}
	return text
}

// judgeLimits finds requests that came too fast or in a form that is not allowed.
func (w *world) judgeLimits() {
	w.t.Helper()
	refused := 0
	for _, r := range w.crm.Requests() {
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if ours := refused - w.crm.Faults(keycrmtest.Limited); ours > 0 {
		w.t.Errorf("KeyCRM's limit was exceeded %d times", ours)
	}
	if v := w.zelenka.Violations(); len(v) > 0 {
		w.t.Errorf("Zelenka's rules were broken: %q", v)
	}
	w.mu.Lock()
	limited, rushed := w.limited, w.rushed
	w.mu.Unlock()
	if ours := limited - w.cloud.Faults()[evotortest.Limited]; ours > 0 {
		w.t.Errorf("the cloud's limit was exceeded %d times", ours)
	}
	if rushed > 0 {
		w.t.Errorf("%d writes to VirtPOS came less than %s after another", rushed, w.config.Targets[0].Pace)
	}
}

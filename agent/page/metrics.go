package page

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

// metrics writes the status in Prometheus' text format. The client library
// would cost more than it does.
func (p *Page) metrics(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Shop.Status(r.Context())
	if err != nil {
		p.o.Log.Error().Err(err).Msg("metrics not told")
		http.Error(w, "the agent's files cannot be read; see its log", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(exposition(&s))
}

// exposition is the status as gauges.
func exposition(s *local.Status) []byte {
	var e exposed
	e.gauge("ostatok_info", "The version that runs and the shop it serves.")
	e.value(1, "version", s.Version, "store", s.Store)
	e.one("ostatok_start_time_seconds", "When the agent started.", seconds(&s.Started))
	e.one("ostatok_sync_complete", "1 when the last look at the cloud left nothing open.", yes(s.Complete))
	e.one("ostatok_sync_last_success_timestamp_seconds", "End of the last complete look, 0 for never.", seconds(s.LastSuccess))
	e.one("ostatok_sync_progress_ratio", "How far the work at hand has come.", s.Percent/100)
	e.gauge("ostatok_problem", "A state that somebody should know of, by kind; absent when there is none.")
	told := make(map[string]bool)
	for _, p := range s.Problems {
		if !told[p.Kind] {
			told[p.Kind] = true
			e.value(1, "kind", p.Kind, "blocks", strconv.FormatBool(p.Blocks))
		}
	}
	e.one("ostatok_clock_trusted", "1 when the box's clock is believed.", yes(s.Clock == ""))
	e.gauge("ostatok_products", "Products by the state of their level.")
	e.value(float64(s.Levels.Known), "state", "known")
	e.value(float64(s.Levels.Assumed), "state", "assumed")
	e.value(float64(s.Levels.Unresolved), "state", "unresolved")
	e.value(float64(s.Levels.Unknown), "state", "unknown")
	e.one("ostatok_documents", "Documents held.", float64(s.Counts.Documents))
	e.one("ostatok_movements", "Movements held.", float64(s.Counts.Movements))
	e.one("ostatok_quarantine_items", "Items that could not be read and were set aside.", float64(s.Counts.Quarantine))
	e.one("ostatok_terminals", "Terminals of the shop.", float64(s.Counts.Terminals))
	e.targets(s.Targets)
	e.plans(s)
	e.one("ostatok_mirror_bytes", "Size of the mirror's file.", float64(s.MirrorBytes))
	e.one("ostatok_journal_bytes", "Size of the journal's file.", float64(s.JournalSize))
	e.one("ostatok_disk_free_bytes", "Room left for them.", float64(s.DiskFree))
	e.one("ostatok_memory_bytes", "Memory that the agent holds.", float64(s.Memory))
	return e.Bytes()
}

func (e *exposed) targets(list []local.Target) {
	each := func(name, help string, of func(t *local.Target) float64) {
		e.gauge(name, help)
		for i := range list {
			e.value(of(&list[i]), "target", list[i].Name)
		}
	}
	each("ostatok_target_waiting_rows", "Figures on their way to the target.", func(t *local.Target) float64 { return float64(t.Waiting) })
	each("ostatok_target_rejected_rows", "Figures that the target refuses.", func(t *local.Target) float64 { return float64(t.Rejected) })
	each("ostatok_target_blocked", "1 when nothing is sent to the target.", func(t *local.Target) float64 { return yes(t.Blocked != "") })
	each("ostatok_target_last_success_timestamp_seconds", "When it last took figures, 0 for never.",
		func(t *local.Target) float64 { return seconds(t.LastSuccess) })
}

func (e *exposed) plans(s *local.Status) {
	rows := make(map[string]int)
	for _, p := range s.Plans {
		if p.State == journal.PlanOpen {
			rows[p.Target] += p.Rows
		}
	}
	e.gauge("ostatok_plan_open_rows", "Changes that wait for approval.")
	for _, t := range s.Targets {
		e.value(float64(rows[t.Name]), "target", t.Name)
	}
}

// exposed is a text under construction.
type exposed struct {
	bytes.Buffer
	name string
}

func (e *exposed) gauge(name, help string) {
	e.name = name
	e.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n")
}

func (e *exposed) one(name, help string, value float64) {
	e.gauge(name, help)
	e.value(value)
}

func (e *exposed) value(value float64, labels ...string) {
	e.WriteString(e.name)
	for i := 0; i+1 < len(labels); i += 2 {
		e.WriteByte("{,"[min(i, 1)])
		e.WriteString(labels[i] + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")) + `"`)
	}
	if len(labels) > 0 {
		e.WriteByte('}')
	}
	e.WriteString(" " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t *time.Time) float64 {
	if t == nil || t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

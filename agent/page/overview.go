package page

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

// silentAfter is how long a terminal may be quiet while the shop sells: a day
// off and a night.
const silentAfter = 36 * time.Hour

// task is something that needs a hand.
type task struct {
	tone   string
	title  string
	detail string
	to     string // where it is done, "" when nowhere on the page
	do     string
	list   node
}

func (p *Page) overview(v *visit) (view, error) {
	s, err := p.o.Shop.Status(v.ctx())
	if err != nil {
		return view{}, err
	}
	terminals, err := p.o.Shop.Terminals(v.ctx())
	if err != nil {
		return view{}, err
	}
	count := 0
	if s.LastSuccess != nil { // before that everything would have to be counted
		if count, err = p.countables.get(v); err != nil {
			return view{}, err
		}
	}
	about := subjectOf(s)
	tasks := v.tasks(s, about, terminals, count)
	tone, sentence, detail := v.verdict(s, about, len(tasks))
	return view{title: v.overviewTitle, at: "/", live: "all", body: nodes{
		el("div", id("how"), data("live", ""),
			el("section", class("verdict "+tone),
				el("h1", text(sentence)),
				when(detail != "", el("p", text(detail))),
				when(s.LastSuccess == nil && s.Percent > 0, progress(s.Percent)),
			),
			when(len(tasks) > 0, el("section",
				el("h2", text(v.tasksTitle)),
				el("ul", class("tasks"), each(tasks, v.task)),
			)),
			v.figures(s),
		),
	}}, nil
}

// tally remembers how many products should be counted: the overview is made
// anew with every sale, and looking at 20 000 products takes a box a second.
type tally struct {
	mu    sync.Mutex
	n     int
	known bool
	at    time.Time
}

const tallyFor = time.Minute

func (t *tally) get(v *visit) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// A clock that was set back counts as old too.
	if age := v.now.Sub(t.at); t.known && age >= 0 && age < tallyFor {
		return t.n, nil
	}
	n := 0
	for b, err := range v.p.briefs(v.ctx(), "") {
		if err != nil {
			return 0, err
		}
		if countable(&b) {
			n++
		}
	}
	t.n, t.known, t.at = n, true, v.now
	return n, nil
}

// subject is what the first sentence speaks of when something is wrong: the
// tasks tell the rest.
type subject struct {
	problem int // of Status.Problems, -1 for none of them
	clock   bool
}

func subjectOf(s local.Status) subject {
	blocks := slices.IndexFunc(s.Problems, func(p local.Problem) bool { return p.Blocks })
	switch {
	case blocks >= 0:
		return subject{problem: blocks}
	case s.LastSuccess == nil:
		return subject{problem: -1}
	case s.Clock != "":
		return subject{problem: -1, clock: true}
	case len(s.Problems) > 0:
		return subject{problem: 0}
	}
	return subject{problem: -1}
}

// verdict is how it is, in one sentence and one that explains it.
func (v *visit) verdict(s local.Status, about subject, tasks int) (tone, sentence, detail string) {
	since := ""
	if s.LastSuccess != nil {
		since = v.lastLook(v.text(*s.LastSuccess))
	}
	if about.problem >= 0 {
		known := v.problem(s.Problems[about.problem])
		if s.Problems[about.problem].Blocks {
			return "bad", known.title, known.do
		}
		return "warn", known.title, known.do + " " + since
	}
	switch {
	case s.LastSuccess == nil:
		return "wait", v.firstSync, v.firstSyncText(v.number(int(s.Percent)), v.plural(s.Counts.Documents, v.documents))
	case about.clock:
		return "bad", v.clockWrong, v.clockWrongDo
	case slices.ContainsFunc(s.Targets, func(t local.Target) bool { return t.Blocked != "" }):
		return "warn", v.targetStuck, since
	case tasks > 0:
		return "warn", v.tasksWait(v.plural(tasks, v.tasksCount)), since
	}
	return "good", v.allWell, since
}

// tasks are what people have to do, the most pressing first.
func (v *visit) tasks(s local.Status, about subject, terminals []Terminal, count int) []task {
	var list []task
	for i, p := range s.Problems {
		if i == about.problem {
			continue
		}
		known := v.problem(p)
		list = append(list, task{tone: "bad", title: known.title, detail: known.do})
	}
	if s.Clock != "" && !about.clock {
		list = append(list, task{tone: "bad", title: v.clockWrong, detail: v.clockWrongDo})
	}
	for _, plan := range s.Plans {
		if plan.State == journal.PlanOpen {
			list = append(list, task{tone: "warn", title: v.approveTask(v.target(plan.Target)),
				detail: v.plural(plan.Rows, v.changes), to: address("/plan", nil, "id", plan.ID), do: v.approveDo})
		}
	}
	if load := v.loading(terminals); load.title != "" {
		list = append(list, load)
	}
	for _, t := range s.Targets {
		if t.Blocked != "" {
			list = append(list, task{tone: "bad", title: v.blockedTask(v.target(t.Name)), list: v.technical(t.Blocked), to: "/targets", do: v.lookDo})
		}
		if t.Rejected > 0 {
			list = append(list, task{tone: "warn", title: v.rejectedTask(v.target(t.Name)),
				detail: v.plural(t.Rejected, v.products), to: "/targets", do: v.lookDo})
		}
	}
	if count > 0 {
		list = append(list, task{tone: "warn", title: v.countTask, detail: v.plural(count, v.products), to: "/count", do: v.countDo})
	}
	for _, t := range terminals {
		if t.Last != nil && v.now.Sub(*t.Last) > silentAfter {
			list = append(list, task{tone: "wait", title: v.silentTask(terminalName(t)), detail: v.silentText(v.text(*t.Last))})
		}
	}
	return list
}

// loading reminds of the last step of every write to the cloud: a terminal
// sells by the new figures only after it has loaded them.
func (v *visit) loading(terminals []Terminal) task {
	wrote := slices.DeleteFunc(slices.Clone(terminals), func(t Terminal) bool { return t.Written == nil })
	if len(wrote) == 0 || !slices.ContainsFunc(wrote, func(t Terminal) bool { return !t.Loaded }) {
		return task{}
	}
	return task{tone: "warn", title: v.loadTask, detail: v.loadText, list: el("ul", class("marks"),
		each(wrote, func(t Terminal) node {
			if t.Loaded {
				return el("li", badge("good", v.loadedMark), text(" "), name(terminalName(t)))
			}
			return el("li", badge("warn", v.notLoadedMark), text(" "), name(terminalName(t)))
		}))}
}

func terminalName(t Terminal) string {
	if t.Name != "" {
		return t.Name
	}
	return t.ID
}

func (v *visit) task(t task) node {
	return el("li", class("task "+t.tone),
		el("div", el("h3", text(t.title)), when(t.detail != "", el("p", text(t.detail))), t.list),
		when(t.to != "", el("a", class("button"), href(t.to), text(t.do))),
	)
}

func progress(percent float64) node {
	return el("progress", attr{"max", "100"}, attr{"value", strconv.Itoa(int(percent))})
}

// figures are the sizes of the shop at a glance.
func (v *visit) figures(s local.Status) node {
	big := func(n int, title, to, tone string) node {
		if n == 0 {
			tone = ""
		}
		return el("a", class("figure "+tone), href(to), el("strong", text(v.number(n))), el("span", text(title)))
	}
	return el("section",
		el("h2", text(v.figuresTitle)),
		el("div", class("figures"),
			big(s.Levels.Known, v.knownFigure, "/stock?show=known", "good"),
			big(s.Levels.Assumed, v.unsureFigure, "/stock?show=unsure", "warn"),
			big(s.Levels.Unknown+s.Levels.Unresolved, v.unknownFigure, "/stock?show=unknown", "bad"),
		),
		el("dl", class("facts"),
			fact(v.documentsFact, text(v.number(s.Counts.Documents))),
			fact(v.terminalsFact, text(v.number(s.Counts.Terminals))),
			fact(v.lookFact, v.moment(s.LastSuccess)),
			when(s.Counts.Quarantine > 0, fact(v.quarantineFact, text(v.number(s.Counts.Quarantine)))),
			when(s.DiskFree > 0, fact(v.diskFact, text(v.size(s.DiskFree)))),
		),
	)
}

package page

import (
	"net/url"
	"strconv"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

const planRows = 200 // of one plan on one page

// plan shows what waits for somebody's word, and what is under way.
func (p *Page) plan(v *visit) (view, error) {
	plans, err := p.o.Shop.PlanHeads(v.ctx())
	if err != nil {
		return view{}, err
	}
	body := nodes{el("h1", text(v.planTitle))}
	if said := v.planSaid[v.query("said")]; said != "" {
		body = append(body, el("p", class("said"), attr{"role", "status"}, text(said)))
	}
	shown := 0
	for i := range plans {
		plan := &plans[i]
		if plan.Size == 0 && len(plan.Unmatched) == 0 {
			continue
		}
		from := v.from(plan)
		rows, err := p.o.Shop.PlanRows(v.ctx(), plan.Seq, from, planRows)
		if err != nil {
			return view{}, err
		}
		unmatched, err := p.unmatched(v, plan)
		if err != nil {
			return view{}, err
		}
		body = append(body, v.onePlan(plan, rows, from, unmatched))
		shown++
	}
	if shown == 0 {
		body = append(body, empty(v.noPlan))
	}
	return view{title: v.planTitle, at: "/plan", body: body}, nil
}

// from is the first row to show of a plan.
func (v *visit) from(plan *journal.PlanHead) int {
	if v.query("id") != plan.ID {
		return 0
	}
	from, _ := strconv.Atoi(v.query("from")) // nonsense is the beginning
	return max(0, min(from, plan.Size/planRows*planRows))
}

func (v *visit) onePlan(plan *journal.PlanHead, rows []journal.PlanRow, from int, unmatched part) node {
	tone := "warn"
	if plan.State == journal.PlanApproved {
		tone = "wait"
	}
	return el("section", class("plan"), id("plan-"+plan.ID),
		el("h2", name(v.target(plan.Target)), text(" "), badge(tone, v.planStates[plan.State])),
		el("p", class("note"), text(v.planMade(v.text(plan.CreatedAt), v.plural(plan.Size, v.changes)))),
		when(len(plan.Guards) > 0, el("div", class("guards"),
			el("h3", text(v.guardsTitle)),
			el("ul", each(plan.Guards, v.guard)))),
		when(plan.State == journal.PlanOpen && plan.Size > 0, v.decision(plan)),
		when(len(rows) > 0, v.planTable(rows)),
		v.planPages(plan, from),
		unmatched,
	)
}

func (v *visit) guard(g journal.Guard) node {
	title := v.guards[g.Kind]
	if title == "" {
		title = v.problem(local.Problem{Kind: g.Kind, Message: g.Message}).title
	}
	return el("li", text(title), v.technical(g.Message))
}

// decision is the form with the two answers.
func (v *visit) decision(plan *journal.PlanHead) node {
	hidden := el("input", attr{"type", "hidden"}, attr{"name", "id"}, attr{"value", plan.ID})
	return el("div", class("decision"),
		el("form", attr{"method", "post"}, attr{"action", "/plan/approve"}, hidden,
			when(plan.Asking > 0, el("label", class("check"),
				el("input", attr{"type", "checkbox"}, attr{"name", "assumed"}, attr{"value", "1"}),
				el("span", text(v.assumedToo(v.plural(plan.Asking, v.products)))))),
			el("button", class("main"), text(v.approve)),
		),
		el("form", attr{"method", "post"}, attr{"action", "/plan/reject"}, hidden,
			el("button", text(v.reject))),
		when(!v.session, el("p", class("note"), text(v.codeNeeded))),
	)
}

func (v *visit) planTable(rows []journal.PlanRow) node {
	return el("table", class("cards"),
		el("thead", el("tr", column(v.nameColumn), column(v.codeColumn), numbers(v.fromColumn), numbers(v.toColumn),
			column(v.sureColumn), column(v.stateColumn))),
		el("tbody", each(rows, func(r journal.PlanRow) node {
			return el("tr",
				el("td", class("title"), productLink(r.Product, r.Name)),
				cell(v.codeColumn, text(r.Code)),
				numberCell(v.fromColumn, text(v.figure(r.From))),
				numberCell(v.toColumn, class("big"), text("→"+hardSpace+v.quantity(r.To))),
				cell(v.sureColumn, v.state(r.LevelState)),
				cell(v.stateColumn, v.rowState(r.State), v.because(r.Reason)),
			)
		})),
	)
}

func (v *visit) planPages(plan *journal.PlanHead, from int) part {
	if plan.Size <= planRows {
		return nil
	}
	to := func(n int) attr {
		return href(address("/plan", nil, "id", plan.ID, "from", strconv.Itoa(n)) + "#plan-" + url.PathEscape(plan.ID))
	}
	return el("nav", class("pages"), label(v.pagesLabel),
		when(from > 0, el("a", to(max(0, from-planRows)), text(v.earlierPage))),
		text(v.rowsOf(v.number(from+1), v.number(min(from+planRows, plan.Size)), v.number(plan.Size))),
		when(from+planRows < plan.Size, el("a", class("button"), to(from+planRows), text(v.nextPage))),
	)
}

// unmatched lists what cannot be written because the target does not know it.
func (p *Page) unmatched(v *visit, plan *journal.PlanHead) (part, error) {
	const most = 100
	if len(plan.Unmatched) == 0 {
		return nil, nil
	}
	list := plan.Unmatched[:min(most, len(plan.Unmatched))]
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].Product
	}
	products, err := p.o.Shop.Products(v.ctx(), ids)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(products))
	for _, product := range products {
		names[product.Product] = product.Name
	}
	return el("details",
		el("summary", text(v.unmatchedTitle(v.plural(len(plan.Unmatched), v.products)))),
		el("ul", class("unmatched"), each(list, func(u journal.Unmatched) node {
			return el("li", productLink(u.Product, names[u.Product]), text(" — "), el("span", attr{"lang", "en"}, text(u.Reason)))
		})),
	), nil
}

func (p *Page) approve(v *visit) (view, error) {
	return v.decide("approved", func(plan string) error {
		return p.o.Shop.Approve(v.ctx(), plan, v.r.PostForm.Get("assumed") == "1")
	})
}

func (p *Page) reject(v *visit) (view, error) {
	return v.decide("rejected", func(plan string) error { return p.o.Shop.Reject(v.ctx(), plan) })
}

func (v *visit) decide(said string, do func(plan string) error) (view, error) {
	if err := v.r.ParseForm(); err != nil {
		return view{}, &local.Error{Code: local.Refused, Message: v.tooLarge}
	}
	plan := v.r.PostForm.Get("id")
	if err := do(plan); err != nil {
		if local.CodeOf(err) == local.Internal {
			return view{}, err
		}
		// Most often somebody looked at a plan while the next one was made.
		v.p.o.Log.Info().Err(err).Str("plan", plan).Msg("plan not decided")
		return view{}, &local.Error{Code: local.Refused, Message: v.planGone}
	}
	v.p.o.Log.Info().Str("plan", plan).Str("said", said).Stringer("from", caller(v.r)).Msg("plan decided on the page")
	v.p.Changed()
	return view{next: address("/plan", nil, "said", said)}, nil
}

package page

import (
	"slices"
	"strconv"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

const chainRows = 50 // documents of one product on one page

func (p *Page) product(v *visit) (view, error) {
	e, err := p.o.Shop.Explain(v.ctx(), v.query("id"))
	if err != nil {
		if local.CodeOf(err) == local.NotFound {
			err = &local.Error{Code: local.NotFound, Message: v.noProduct}
		}
		return view{}, err
	}
	holdings, err := p.o.Shop.Holdings(v.ctx(), e.Product.Product)
	if err != nil {
		return view{}, err
	}
	title := e.Product.Name
	if title == "" {
		title = e.Product.Product
	}
	return view{title: title, at: "/stock", live: "figures", body: nodes{
		el("div", id("card"), data("live", ""), data("product", e.Product.Product),
			v.productHead(&e.Product, title),
			v.history(&e),
			v.held(holdings),
			v.chain(&e),
		),
	}}, nil
}

func (v *visit) productHead(p *local.Row, title string) node {
	return el("section", class("head"),
		el("h1", name(title)),
		el("p", class("level"), el("strong", text(v.figure(p.Quantity))), text(" "), v.state(p.State)),
		when(p.Reason != "", el("p", text(v.reasons[p.Reason]))),
		el("dl", class("facts"),
			fact(v.codeColumn, text(p.Code)),
			when(p.Reserved != nil, fact(v.reservedColumn, text(v.figure(p.Reserved)))),
			when(p.Reserved != nil, fact(v.availableColumn, text(v.figure(p.Available)))),
			fact(v.cloudColumn, text(v.figure(p.Cloud))),
			fact(v.asOfColumn, v.moment(p.AsOf)),
			when(p.Outside > 0, fact(v.outsideFact, text(v.plural(p.Outside, v.times)))),
		),
	)
}

// held is what each target holds beside the shelf.
func (v *visit) held(holdings []Holding) part {
	if len(holdings) == 0 {
		return nil
	}
	return el("section",
		el("h2", text(v.heldTitle)),
		el("table", class("cards"),
			el("thead", el("tr", column(v.targetColumn), numbers(v.heldColumn), numbers(v.wantedColumn), column(v.stateColumn), column(v.learnedColumn))),
			el("tbody", each(holdings, func(h Holding) node {
				return el("tr",
					el("td", class("title"), name(v.target(h.Target))),
					numberCell(v.heldColumn, class("big"), text(v.figure(h.Figure))),
					numberCell(v.wantedColumn, text(v.figure(h.Wanted))),
					cell(v.stateColumn, v.rowState(h.State), v.because(h.Reason)),
					cell(v.learnedColumn, v.moment(h.At)),
				)
			})),
		),
	)
}

// rowState says how far a figure has come; nothing while there is none.
func (v *visit) rowState(s journal.RowState) node {
	tones := map[journal.RowState]string{
		journal.Verified: "good", journal.Accepted: "good", journal.Rejected: "bad", journal.Blocked: "bad",
		journal.Assumed: "warn", journal.Ready: "warn",
	}
	if v.rowStates[s] == "" {
		return nil
	}
	t := tones[s]
	if t == "" {
		t = "wait"
	}
	return badge(t, v.rowStates[s])
}

// chain tells the documents behind the figure, newest first.
func (v *visit) chain(e *local.Explanation) node {
	if len(e.Steps) == 0 {
		return el("section", el("h2", text(v.chainTitle)), empty(v.chainEmpty))
	}
	end := len(e.Steps)
	if n, err := strconv.Atoi(v.query("before")); err == nil && n > 0 && n < end {
		end = n
	}
	begin := max(0, end-chainRows)
	steps := slices.Clone(e.Steps[begin:end])
	slices.Reverse(steps)
	known := v.historySince(v.dateOnly(e.From))
	if e.Whole {
		known = v.historyWhole
	}
	return el("section",
		el("h2", text(v.chainTitle)),
		when(!e.From.IsZero() || e.Whole, el("p", class("note"), text(known))),
		el("table", class("cards chain"),
			el("thead", el("tr", column(v.whenColumn), column(v.documentColumn), column(v.terminalColumn),
				numbers(v.effectColumn), numbers(v.levelColumn), column(v.storyColumn))),
			el("tbody", each(steps, v.step)),
		),
		when(begin > 0, el("nav", class("pages"), label(v.pagesLabel),
			el("a", class("button"), href(address("/product", nil, "id", e.Product.Product, "before", strconv.Itoa(begin))), text(v.olderPage)))),
	)
}

func (v *visit) step(s local.Step) node {
	terminal := s.Terminal
	if terminal == "" {
		terminal = s.Device
	}
	if terminal == "" {
		terminal = dash
	}
	title := v.types[s.Type]
	if title == "" {
		title = string(s.Type)
	}
	if s.Number != 0 {
		title += hardSpace + "№" + hardSpace + strconv.FormatInt(s.Number, 10)
	}
	return el("tr", when(s.Rule == stock.RuleOutside, class("outside")),
		cell(v.whenColumn, v.moment(&s.At)),
		el("td", class("title"), text(title)),
		cell(v.terminalColumn, name(terminal)),
		numberCell(v.effectColumn, text(v.effect(&s))),
		numberCell(v.levelColumn, class("big"), text(v.figure(s.Level))),
		cell(v.storyColumn, text(v.story(&s))),
	)
}

// effect is what the document itself did.
func (v *visit) effect(s *local.Step) string {
	switch s.Type {
	case stock.Inventory, stock.Write:
		return "=" + hardSpace + v.quantity(s.Moved)
	case stock.Payback, stock.Accept, stock.Buy:
		return v.change(s.Moved)
	}
	return v.change(-s.Moved)
}

// story says in a sentence what the document told besides.
func (v *visit) story(s *local.Step) string {
	switch {
	case s.Rule == stock.RuleOutside:
		return v.outsideStory(v.change(s.Outside))
	case s.Unlisted:
		return v.unlistedStory
	}
	sentence := v.rules[s.Rule]
	if s.Stated != nil && s.Rule != stock.RuleCount && s.Rule != stock.RuleWrite {
		sentence = v.statedStory(v.quantity(*s.Stated)) + " " + sentence
	}
	return sentence
}

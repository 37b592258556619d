package page

import (
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

const rejectedRows = 200

// targets shows how each system takes its figures.
func (p *Page) targets(v *visit) (view, error) {
	s, err := p.o.Shop.Status(v.ctx())
	if err != nil {
		return view{}, err
	}
	rejected, err := p.o.Shop.Rejected(v.ctx(), rejectedRows)
	if err != nil {
		return view{}, err
	}
	body := nodes{el("h1", text(v.targetsTitle)),
		el("div", id("targets"), data("live", ""),
			el("div", class("grid"), each(s.Targets, v.targetCard)),
			when(len(rejected) > 0, el("section",
				el("h2", text(v.rejectedTitle)),
				el("p", text(v.rejectedText)),
				el("table", class("cards"),
					el("thead", el("tr", column(v.nameColumn), column(v.targetColumn), numbers(v.wantedColumn), column(v.stateColumn))),
					el("tbody", each(rejected, func(r Rejection) node {
						return el("tr",
							el("td", class("title"), productLink(r.Product, r.Name)),
							cell(v.targetColumn, name(v.target(r.Target))),
							numberCell(v.wantedColumn, text(v.quantity(r.Wanted))),
							cell(v.stateColumn, v.rowState(r.State), v.because(r.Reason)),
						)
					})),
				),
			)),
		),
	}
	if len(s.Targets) == 0 {
		body = append(body, empty(v.noTargets))
	}
	return view{title: v.targetsTitle, at: "/targets", live: "all", body: body}, nil
}

func (v *visit) targetCard(t local.Target) node {
	tone, word := "good", v.targetStates["works"]
	switch {
	case t.ShownOnly && t.Blocked == "":
		tone, word = "wait", v.targetStates["compared"]
	case t.Policy == "off":
		tone, word = "wait", v.targetStates["off"]
	case t.Blocked != "":
		tone, word = "bad", v.targetStates["blocked"]
	case t.Rejected > 0:
		tone, word = "warn", v.targetStates["rejected"]
	case t.Waiting > 0:
		tone, word = "wait", v.targetStates["waiting"]
	}
	policy := v.policies[t.Policy]
	if t.ShownOnly {
		policy = v.shownOnly
	}
	return el("section", class("card"),
		el("h2", name(v.target(t.Name)), text(" "), badge(tone, word)),
		el("dl", class("facts"),
			fact(v.policyFact, text(policy)),
			fact(v.waitingFact, text(v.number(t.Waiting))),
			fact(v.rejectedFact, text(v.number(t.Rejected))),
			fact(v.successFact, v.moment(t.LastSuccess)),
		),
		when(t.Blocked != "", v.technical(t.Blocked)),
		when(t.Blocked == "" && t.LastError != "", v.technical(t.LastError)),
	)
}

// target is a target's name; the cloud has one that everybody knows.
func (w *words) target(name string) string {
	if name == "evotor" {
		return w.evotor
	}
	return name
}

// because says why a figure is not written: the level's reason in the visitor's
// language, or the target's own message.
func (v *visit) because(reason string) node {
	if known := v.reasons[stock.Reason(reason)]; known != "" {
		return el("p", class("technical"), text(known))
	}
	return v.technical(reason)
}

// technical is a message that is not translated: whoever does not read English
// finds it folded away, for support.
func (v *visit) technical(message string, more ...part) node {
	switch {
	case message == "":
		return nil
	case v.language == "en":
		return el("div", class("technical"), el("p", text(message)), parts(more))
	}
	return el("details", class("technical"), el("summary", text(v.details)), el("p", attr{"lang", "en"}, text(message)), parts(more))
}

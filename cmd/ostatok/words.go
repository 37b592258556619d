package main

import (
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// stateWords says how far a level can be relied on, and why not further.
func stateWords(r local.Row) string {
	switch r.State {
	case stock.Known:
		return "known"
	case stock.Unresolved:
		return "no document yet, older months are being fetched"
	case stock.Unknown:
		return "not known: count it"
	}
	switch r.Reason {
	case stock.ReasonReading:
		return "assumed: what this document states is not settled in this shop"
	case stock.ReasonDisagree:
		return "assumed: terminals disagreed before the known history"
	case stock.ReasonAlone:
		return "assumed: rests on one terminal's view"
	case stock.ReasonWindow:
		return "assumed: the size of an outside change is not settled"
	case stock.ReasonCount:
		return "assumed: zero by a count that did not say it was complete"
	case stock.ReasonLate:
		return "assumed: a document older than the kept history came in"
	}
	return "assumed"
}

// ruleWords says how a statement was judged.
func ruleWords(s local.Step) string {
	switch s.Rule {
	case stock.RuleFirst:
		return "first figure known, taken"
	case stock.RuleOwnView:
		return "the terminal has not downloaded since: no news"
	case stock.RuleAgree:
		return "agrees with the level"
	case stock.RuleLate:
		return "a late download: no news"
	case stock.RuleOutside:
		return "stock was changed without a document: " + signed(s.Outside)
	case stock.RuleCount:
		if s.Unlisted {
			return "not listed by a complete count: nothing left"
		}
		return "counted"
	case stock.RuleWrite:
		return "written by this agent"
	case stock.RuleUnstated:
		return "states nothing"
	}
	return string(s.Rule)
}

// effectWords says what the document itself did to the stock.
func effectWords(s local.Step) string {
	switch s.Type {
	case stock.Inventory, stock.Write:
		return "= " + s.Moved.String()
	case stock.Payback, stock.Accept, stock.Buy:
		return signed(s.Moved)
	}
	return signed(-s.Moved)
}

func signed(q stock.Quantity) string {
	if q > 0 {
		return "+" + q.String()
	}
	return q.String()
}

// loadToTerminals is the last step of the guide: the cloud's new figures are on
// a till only after it has downloaded them, by itself every four hours.
func loadToTerminals(language string) string {
	if language == "en" {
		return "Figures were written to the Evotor cloud. Load the goods on every terminal now: by itself it does so only every four hours."
	}
	return "Остатки записаны в Облако Эвотор. Загрузите товары на каждом терминале: сам он делает это только раз в четыре часа."
}

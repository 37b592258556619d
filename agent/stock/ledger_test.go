package stock_test

import (
	"testing"

	"ostatok/agent/stock"
)

// shop folds documents of one product and keeps the steps.
type shop struct {
	t     *testing.T
	rules stock.Rules
	fold  stock.Fold
	clock int64
	steps []stock.Step
}

func newShop(t *testing.T, rules stock.Rules) *shop {
	if rules.Method == "" {
		rules.Method = stock.Ledger
	}
	return &shop{t: t, rules: rules, clock: 1_700_000_000_000}
}

// does folds one document: device, type, quantity and stated stock in units.
func (s *shop) does(device string, kind stock.Type, quantity, stated stock.Quantity) *shop {
	s.clock += 600_000
	d := stock.Document{ID: "d", Type: kind, Device: device, Closed: s.clock, Number: s.clock,
		Lines: []stock.Line{line("milk", quantity, stated)}, Complete: stock.CompleteNo}
	return s.folds(d)
}

func (s *shop) folds(d stock.Document) *shop {
	movements, _ := d.Movements(stock.Options{})
	for i := range movements {
		s.steps = append(s.steps, s.fold.Apply(&s.rules, &movements[i]))
	}
	return s
}

func (s *shop) stands(units stock.Quantity, state stock.State, reason stock.Reason) *shop {
	s.t.Helper()
	l := s.fold.Level(&s.rules)
	if l.Quantity != units*stock.Unit || l.State != state || l.Reason != reason {
		s.t.Errorf("stands at %s, %s %q; want %s, %s %q", l.Quantity, l.State, l.Reason, units*stock.Unit, state, reason)
	}
	return s
}

func (s *shop) by(rule stock.Rule, outside stock.Quantity) *shop {
	s.t.Helper()
	last := s.steps[len(s.steps)-1]
	if last.Rule != rule || last.Outside != outside*stock.Unit {
		s.t.Errorf("judged %q, outside %s; want %q, %s", last.Rule, last.Outside, rule, outside*stock.Unit)
	}
	return s
}

var complete = stock.Rules{Complete: true, Terminals: 2}

func TestRule1FirstStatementIsTaken(t *testing.T) {
	newShop(t, complete).does("a", stock.Sell, 1, 10).by(stock.RuleFirst, 0).stands(9, stock.Known, "")
}

func TestRule2OwnViewIsNoNews(t *testing.T) {
	newShop(t, complete).
		does("a", stock.Sell, 1, 10).
		does("b", stock.Sell, 1, 10). // b never downloaded
		does("a", stock.Sell, 1, 9).by(stock.RuleOwnView, 0).
		does("b", stock.Sell, 1, 9).by(stock.RuleOwnView, 0).
		stands(6, stock.Known, "")
}

func TestRule3AgreementIsNoNews(t *testing.T) {
	newShop(t, complete).
		does("a", stock.Sell, 1, 10).
		does("b", stock.Sell, 2, 9).by(stock.RuleAgree, 0).
		stands(7, stock.Known, "")
}

func TestRule4LateDownloadIsNoNews(t *testing.T) {
	newShop(t, complete).
		does("b", stock.Sell, 1, 10).
		does("a", stock.Sell, 1, 9).
		does("a", stock.Sell, 1, 8).
		does("a", stock.Sell, 1, 7).
		does("b", stock.Sell, 1, 8). // downloaded after a's first sale
		by(stock.RuleLate, 0).stands(5, stock.Known, "")
}

func TestRule5OutsideChangeIsTakenAndSized(t *testing.T) {
	newShop(t, complete).
		does("a", stock.Sell, 1, 10).
		does("a", stock.Sell, 1, 29).by(stock.RuleOutside, 20).
		stands(28, stock.Known, "")
}

func TestSizeOfAnOutsideChangeSettlesLater(t *testing.T) {
	s := newShop(t, complete).
		does("b", stock.Sell, 1, 100).
		does("a", stock.Sell, 1, 99).
		does("a", stock.Sell, 1, 98) // then 20 come in and b downloads, then a sells
	s.does("a", stock.Sell, 1, 97).
		does("b", stock.Sell, 1, 117). // 117 was the cloud's figure before a's last sale
		stands(116, stock.Assumed, stock.ReasonWindow)
	s.does("b", stock.Sell, 1, 115). // b downloads again: it was 20, not 21
						by(stock.RuleOutside, -1).stands(114, stock.Known, "")
}

func TestViewThatIsTooOldToBeTheTerminalsOwn(t *testing.T) {
	// Other terminals sell two, two come in from outside, and the cloud is back
	// at what c showed days ago: c states it after a download, not from memory.
	fresh := map[string]int64{"a": 14_400_000, "b": 14_400_000, "c": 14_400_000}
	s := newShop(t, stock.Rules{Complete: true, Terminals: 3, Fresh: fresh}).
		does("c", stock.Sell, 2, 8).
		does("a", stock.Sell, 1, 6).
		does("b", stock.Sell, 1, 5).stands(4, stock.Known, "")
	s.clock += 3 * 86_400_000
	s.does("c", stock.Sell, 1, 6).by(stock.RuleOwnView, 0).stands(3, stock.Assumed, stock.ReasonWindow).
		does("b", stock.Sell, 1, 5).by(stock.RuleOutside, 2).stands(4, stock.Known, "")
}

func TestCountSets(t *testing.T) {
	newShop(t, complete).
		does("a", stock.Sell, 1, 10).
		does("a", stock.Inventory, 42, 9).by(stock.RuleCount, 0).stands(42, stock.Known, "").
		does("b", stock.Sell, 1, 9).by(stock.RuleLate, 0). // b has not seen the count
		stands(41, stock.Known, "").
		does("a", stock.Sell, 1, 42).by(stock.RuleOwnView, 0).stands(40, stock.Known, "")
}

func TestCountThatDoesNotSaySetsAnAssumedZero(t *testing.T) {
	count := stock.Document{Type: stock.Inventory, Device: "a", Closed: 1_700_000_600_000, Number: 2}
	zero := func(complete stock.Completeness) *shop {
		count.Complete = complete
		s := newShop(t, stock.Rules{Complete: true, Terminals: 1}).does("a", stock.Sell, 1, 10)
		m := count.Zero("milk")
		s.steps = append(s.steps, s.fold.Apply(&s.rules, &m))
		return s
	}
	zero(stock.CompleteYes).stands(0, stock.Known, "")
	zero(stock.CompleteUnsaid).stands(0, stock.Assumed, stock.ReasonCount).
		does("a", stock.Sell, 1, 0).stands(-1, stock.Known, "") // the terminal stands at zero itself
	zero(stock.CompleteUnsaid).
		does("a", stock.Sell, 1, 9).stands(8, stock.Known, "") // it does not: the count was partial
}

func TestTerminalsThatDisagreeBeforeTheKnownHistory(t *testing.T) {
	newShop(t, stock.Rules{Terminals: 2}).
		does("a", stock.Sell, 1, 10).stands(9, stock.Assumed, stock.ReasonAlone).
		does("b", stock.Sell, 1, -37).stands(-38, stock.Assumed, stock.ReasonDisagree).
		does("a", stock.Inventory, 5, 9).stands(5, stock.Known, "")
}

func TestDownloadThatAgreesConfirmsTheLevel(t *testing.T) {
	story := func(fresh map[string]int64) *shop {
		return newShop(t, stock.Rules{Terminals: 2, From: 1_699_999_999_000, Fresh: fresh}).
			does("a", stock.Sell, 1, 10).
			does("b", stock.Sell, 1, 9).stands(8, stock.Assumed, stock.ReasonAlone).
			does("a", stock.Sell, 1, 8) // a was at 9 and shows our 8
	}
	story(nil).stands(7, stock.Assumed, stock.ReasonAlone) // may be chance
	story(map[string]int64{"a": 14_400_000}).stands(7, stock.Known, "")
}

func TestUnstatedDocumentMovesTheLevel(t *testing.T) {
	s := newShop(t, complete).does("a", stock.Sell, 1, 10)
	d := stock.Document{ID: "x", Type: stock.Payback, Device: "a", Closed: s.clock + 1,
		Lines: []stock.Line{{Product: "milk", Quantity: 2 * stock.Unit}}}
	s.folds(d).by(stock.RuleUnstated, 0).stands(11, stock.Known, "").
		does("a", stock.Sell, 1, 11).by(stock.RuleOwnView, 0)
}

func TestOwnWriteIsRecognised(t *testing.T) {
	s := newShop(t, complete).does("a", stock.Sell, 1, 10).does("a", stock.Sell, 1, 4).by(stock.RuleOutside, -5)
	s.folds(stock.Document{Type: stock.Write, Closed: s.clock + 1, Lines: []stock.Line{{Product: "milk", Quantity: 3 * stock.Unit}}}).
		by(stock.RuleWrite, 0).
		does("b", stock.Sell, 1, 3).by(stock.RuleAgree, 0).stands(2, stock.Known, "")
}

func TestDocumentThatArrivedLateIsNotYetInWhatOthersDownload(t *testing.T) {
	// a is offline and sells three; b downloads meanwhile and cannot know.
	s := newShop(t, complete).does("a", stock.Sell, 1, 10).does("b", stock.Sell, 1, 9)
	at := s.clock
	for i := range stock.Quantity(3) {
		s.folds(stock.Document{ID: "late", Type: stock.Sell, Device: "a", Closed: at + 1000*int64(i+1), Arrived: at + 86_400_000,
			Lines: []stock.Line{line("milk", 1, 9-i)}})
	}
	s.does("c", stock.Sell, 1, 8).by(stock.RuleAgree, 0).stands(4, stock.Known, "")
}

func TestDocumentThatArrivesAfterOurWriteStillMovesTheCloud(t *testing.T) {
	s := newShop(t, complete).does("a", stock.Sell, 1, 10).does("b", stock.Sell, 1, 9)
	s.folds(stock.Document{ID: "late", Type: stock.Sell, Device: "a", Closed: s.clock + 1, Arrived: s.clock + 3_600_000,
		Lines: []stock.Line{line("milk", 2, 9)}})
	// We knew nothing of it, wrote 8, and then it came in: the cloud stands at 6.
	s.folds(stock.Document{Type: stock.Write, Closed: s.clock + 60_000, Lines: []stock.Line{{Product: "milk", Quantity: 8 * stock.Unit}}})
	s.clock += 7_200_000
	s.does("c", stock.Sell, 1, 6).by(stock.RuleAgree, 0).stands(5, stock.Known, "")
}

func TestVotesSettleAReading(t *testing.T) {
	// In this shop ACCEPT states the stock before it, against the default.
	s := newShop(t, complete)
	level := stock.Quantity(10)
	for range 6 {
		s.does("a", stock.Sell, 1, level)
		level--
		s.does("a", stock.Accept, 5, level)
		level += 5
	}
	var e stock.Evidence
	e.Add(&s.fold)
	rules := stock.Decide(s.rules, &e, nil)
	if got := rules.Readings[stock.Accept]; got.Reading != stock.Before || !got.Settled {
		t.Fatalf("after %+v: %+v", e.Votes, got)
	}
	again := newShop(t, rules)
	for _, step := range s.steps {
		again.fold.Apply(&rules, &step.Movement)
	}
	again.stands(level, stock.Known, "")
	var same stock.Evidence
	same.Add(&again.fold)
	if same.Votes[stock.Accept] != e.Votes[stock.Accept] {
		t.Errorf("evidence depends on the rules: %v, then %v", e.Votes, same.Votes)
	}
	same.Remove(&again.fold)
	if len(same.Votes) != 0 {
		t.Errorf("evidence is not taken back: %v", same.Votes)
	}
	if got := stock.Decide(s.rules, &e, map[stock.Type]stock.Reading{stock.Accept: stock.After}); got.Readings[stock.Accept].Reading != stock.After {
		t.Error("a pinned reading must win")
	}
}

func TestLevelFromAnUnsettledReadingIsAssumed(t *testing.T) {
	newShop(t, complete).
		does("a", stock.Accept, 10, 10).stands(10, stock.Assumed, stock.ReasonReading).
		does("a", stock.Sell, 1, 10).stands(9, stock.Known, "")
}

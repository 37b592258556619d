package stock

// Method is the rule by which levels are computed.
type Method string

const (
	Ledger Method = "ledger" // every statement judged against the shop's level and the terminal's own view
	Guide  Method = "guide"  // the vendor's rule: the newest document of a product wins
)

// Reading says what initial_quantity means in documents of one type.
type Reading string

const (
	Before Reading = "before" // the stock before the document
	After  Reading = "after"  // the stock after it
)

// State says how far a level can be relied on.
type State string

const (
	Known      State = "known"      // written by itself where policy allows
	Assumed    State = "assumed"    // rests on something uncertain; written only when approved by name
	Unresolved State = "unresolved" // no document yet; older months are being fetched
	Unknown    State = "unknown"    // the whole history says nothing: recommend a count
)

// Reason is why a level is not known; "" for a known one.
type Reason string

const (
	ReasonReading  Reason = "reading"      // rests on a type whose initial_quantity is not settled in this shop
	ReasonDisagree Reason = "disagree"     // terminals disagreed before the known history began
	ReasonAlone    Reason = "one_terminal" // rests on one terminal's view, which may be older than the known history
	ReasonWindow   Reason = "outside_size" // stock was changed outside; its exact size is not settled yet
	ReasonCount    Reason = "count_unsaid" // set to zero by a count that did not say it was complete
	ReasonLate     Reason = "too_late"     // a document older than the retained history came in
	ReasonOlder    Reason = "older_months" // no document yet, older months are being fetched
	ReasonNothing  Reason = "no_documents" // the whole history says nothing of the product
)

// Level is the stock of one product.
type Level struct {
	Quantity Quantity // meaningful for Known and Assumed only
	State    State
	Reason   Reason
	AsOf     int64 // close time of the last movement, epoch ms; 0 for none
	Last     Order // the document behind it
	LastType Type
	Outside  int // outside changes seen: stock changed without a document
}

// Valued tells whether the level has a figure at all.
func (l Level) Valued() bool { return l.State == Known || l.State == Assumed }

// Rules are what holds for the whole shop while a product is folded. They
// follow from the configuration, from what is known of the shop, and from the
// Evidence of all products; Decide fills in the last.
type Rules struct {
	Method    Method
	Terminals int   // terminals that have written documents in the known history
	From      int64 // the known history begins here, epoch ms
	Complete  bool  // … and that is the store's first day

	// Started lists when terminals were activated, where that is known: their
	// created_at, or their first document in a complete history. At that moment
	// a terminal loads the cloud's figures. Decide sorts it by time.
	Started []Start

	// What Decide concludes.
	Readings map[Type]RuleReading // types that differ from, or confirm, the default
	Fresh    map[string]int64     // terminal → the age, ms, that its downloads do not exceed
	Never    map[string]bool      // terminals that download nothing after their activation
}

// Start is the activation of a terminal.
type Start struct {
	Device string
	At     int64 // epoch ms
}

// RuleReading is a reading and whether it is settled (pinned or voted).
type RuleReading struct {
	Reading Reading
	Settled bool
}

// Step tells what one movement did, for explaining a figure.
type Step struct {
	Movement    Movement
	Rule        Rule
	Stated      Quantity // the stock before the movement as stated, by the reading in force
	HasStated   bool
	Outside     Quantity // size of the outside change that the statement revealed
	Level       Quantity // after
	Valued      bool     // there is a level after
	Guide       Quantity // what the guide's rule says after
	GuideValued bool
}

// Rule names the judgement on a statement (design: the ledger, 1–5).
type Rule string

const (
	RuleFirst    Rule = "first"    // 1: nothing was known, the statement is taken
	RuleOwnView  Rule = "own_view" // 2: the terminal downloaded nothing since its last document
	RuleAgree    Rule = "agree"    // 3: agrees with the shop's level
	RuleLate     Rule = "late"     // 4: a value the level had since: a late download
	RuleOutside  Rule = "outside"  // 5: stock was changed without a document
	RuleCount    Rule = "count"    // an INVENTORY sets
	RuleWrite    Rule = "write"    // our own write to the cloud
	RuleUnstated Rule = "unstated" // the document states nothing; its effect is applied
)

package stock

import "strings"

// Type is the type of a cloud document. The list is open: Evotor adds types,
// and one that is not known moves nothing and is reported.
type Type string

// The document types (evotor-cloud §11). Write is our own: a figure that this
// agent wrote to the cloud, kept in the chain so that a terminal that states it
// later is recognised.
const (
	Sell        Type = "SELL"        // sale: −
	Payback     Type = "PAYBACK"     // customer's return: +
	Accept      Type = "ACCEPT"      // receipt from a supplier: +
	Return      Type = "RETURN"      // return to the supplier: −
	WriteOff    Type = "WRITE_OFF"   // write-off: −
	Buy         Type = "BUY"         // bought from a customer: +
	Buyback     Type = "BUYBACK"     // redeemed by the customer: −
	Inventory   Type = "INVENTORY"   // count: sets
	OpenTare    Type = "OPEN_TARE"   // container opened: − (configurable)
	Revaluation Type = "REVALUATION" // price change: none
	Write       Type = "OSTATOK_WRITE"
)

// silent are the known types that never touch stock.
func (t Type) silent() bool {
	switch t {
	case Revaluation, "CASH_INCOME", "CASH_OUTCOME", "OPEN_SESSION", "POS_OPEN_SESSION",
		"CLOSE_SESSION", "X_REPORT", "Z_REPORT", "FPRINT":
		return true
	}
	// CORRECTION, CORRECTION_INCOME, …: fiscal corrections (evotor-cloud §11).
	return t == "CORRECTION" || strings.HasPrefix(string(t), "CORRECTION_")
}

// Moves tells whether documents of this type can change or state stock.
func (t Type) Moves() bool {
	return t.sign() != 0 || t == Inventory || t == Write
}

// Known tells whether the type is on the list at all.
func (t Type) Known() bool { return t.Moves() || t.silent() }

// sign is the direction in which the type moves stock, 0 for none or a set.
func (t Type) sign() Quantity {
	switch t {
	case Payback, Accept, Buy:
		return 1
	case Sell, Return, WriteOff, Buyback, OpenTare:
		return -1
	}
	return 0
}

// Completeness says whether an INVENTORY counted everything.
type Completeness int8

// A count that does not say is taken as complete (inventory article:
// "Default: true") and reported, because that is the most destructive reading.
const (
	CompleteUnsaid Completeness = iota
	CompleteYes
	CompleteNo
)

// Document is one document of a terminal, whatever form it came in.
type Document struct {
	ID      string // opaque, unique in the store
	Type    Type
	Device  string // id of the terminal that wrote it
	Number  int64  // running number on that terminal; restarts after a reset
	Closed  int64  // terminal's clock when saved, epoch ms UTC
	Arrived int64  // cloud's clock when it came in, epoch ms; 0 when not told
	Store   string // id of the store, "" when the body did not name it
	Lines   []Line

	// Complete is meaningful for INVENTORY only: V1 sends it with every type.
	Complete Completeness
}

// Line is one position of a document.
type Line struct {
	Product    string   // "" is a free-price line, which moves nothing
	Quantity   Quantity // as sent; the sign is the type's, so only |Quantity| counts
	Stated     Quantity // initial_quantity: the stock that the terminal showed
	HasStated  bool
	Settlement string // settlement_method.type, "" when absent
	Sub        bool   // a sub_position: a component of the line before it
}

// Product is a card of the catalogue.
type Product struct {
	ID       string
	Type     string // NORMAL, SERVICE, ALCOHOL_MARKED, …: open list
	Name     string
	Parent   string // group, or modification group
	Code     string
	Article  string
	Barcodes []string
	Measure  string
	Created  int64 // epoch ms, 0 when not told
	Updated  int64 // epoch ms, 0 when not told

	// Cloud is the cloud's own figure, an observation and never the truth
	// (evotor-cloud §8); HasCloud is false when the app may not see stock.
	Cloud    Quantity
	HasCloud bool
}

// Service tells whether the product is a service, which has no stock.
func (p *Product) Service() bool { return p.Type == "SERVICE" }

package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// Products whose ids are as the article says, uuid4.
const (
	coffee = "5b0a3f5e-6a0c-4f0e-9d52-0c1d3c8f7a11"
	tea    = "c4d7e9a2-13bb-4c58-8f7e-2a90b6d1e422"
	cocoa  = "e81f6c3d-92a4-4d17-b0c6-7f5a1e2d3c33"
)

// wrapped is a position as the article shows it: inside an object of its own.
func wrapped(position string) string { return `{"position":` + position + "}" }

// counted is a position of a count with all its members.
func counted(product, quantity, initial string) string {
	return wrapped(line(product, quantity, initial, `"code":"7"`, `"id":3`, `"uuid":"0d9c1b7a-44e3-4a6f-8b21-9f3e5d7c6a55"`, `"extra_keys":[]`))
}

// Whether a count is of everything.
const (
	whole = `"complete_inventory":true`
	part  = `"complete_inventory":false`
)

// sold is the state before the counts: 7 of coffee, 4 of tea, 2 of cocoa.
func sold() document {
	return document{kind: "SELL", at: ago(30), lines: []string{line(coffee, "3", "10"), line(tea, "1", "5"), line(cocoa, "1", "3")}}
}

// count is an INVENTORY of today.
func count(body string, positions ...string) document {
	return document{kind: "INVENTORY", at: ago(1), lines: positions, body: body}
}

// TestInventoryArticle is the vendor's article on INVENTORY, one sentence after
// the other.
func TestInventoryArticle(t *testing.T) {
	t.Run("the document", inventoryDocument)
	t.Run("product_id", inventoryProduct)
	t.Run("quantity", inventoryQuantity)
	t.Run("initial_quantity", inventoryInitial)
	t.Run("code", inventoryCode)
	t.Run("id, uuid, extra_keys", inventoryIdentities)
	t.Run("complete_inventory", inventoryComplete)
}

// after plays documents and returns the agent that has read them.
func after(t *testing.T, method stock.Method, documents ...document) *install {
	t.Helper()
	d := newDesk(t, coffee, tea, cocoa)
	d.write(documents...)
	i := d.install(t, method)
	i.sync()
	return i
}

func inventoryDocument(t *testing.T) {
	// positions holds the positions that were counted.
	sentence(t, "positions: every one is set to its count", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, counted(coffee, "6", "7"), counted(tea, "9", "4")))
		i.stands(coffee, "6 known", tea, "9 known", cocoa, "2 known")
	})

	// Each is an object position inside an object of the list.
	sentence(t, "position: wrapped as in the article, and flat as in life", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, wrapped(line(coffee, "6", "7")), line(tea, "9", "4")))
		i.stands(coffee, "6 known", tea, "9 known", cocoa, "2 known")
	})
}

func inventoryProduct(t *testing.T) {
	// product_id is unique within a shop only.
	sentence(t, "unique in the shop: another shop's count is its own", func(t *testing.T, method stock.Method) {
		elsewhere := count(whole, counted(coffee, "100", "0"))
		elsewhere.store, elsewhere.device = shop2, till9
		i := after(t, method, sold(), elsewhere)
		i.stands(coffee, "7 known", tea, "4 known", cocoa, "2 known")
	})

	// It is not sent when something was sold or returned at a free price.
	sentence(t, "absent for a free price: moves nothing, the rest counts", func(t *testing.T, method stock.Method) {
		free := `{"quantity":5,"initial_quantity":0,"price":99}`
		i := after(t, method, sold(),
			document{kind: "SELL", at: ago(3), lines: []string{wrapped(free), wrapped(line(coffee, "2", "7"))}},
			document{kind: "PAYBACK", at: ago(2), lines: []string{wrapped(free), wrapped(line(tea, "1", "4"))}})
		i.stands(coffee, "5 known", tea, "5 known", cocoa, "2 known")
		if n := i.counts().Quarantine; n != 0 {
			t.Errorf("%d documents were set aside", n)
		}
	})

	// It is a uuid4.
	sentence(t, "a uuid4, and any other text that the cloud calls a product", func(t *testing.T, method stock.Method) {
		d := newDesk(t, coffee, strings.ToUpper(coffee), "00-00006902")
		d.write(count(part, counted(coffee, "6", "0"), counted(strings.ToUpper(coffee), "8", "0"), counted("00-00006902", "9", "0")))
		i := d.install(t, method)
		i.sync()
		i.stands(coffee, "6 known", strings.ToUpper(coffee), "8 known", "00-00006902", "9 known")
	})
}

func inventoryQuantity(t *testing.T) {
	// quantity is how much the operation is about: what was counted.
	sentence(t, "what was counted, not a difference", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, counted(coffee, "12", "7")))
		i.stands(coffee, "12 known")
		i = after(t, method, sold(), count(part, counted(coffee, "0", "7")))
		i.stands(coffee, "0 known")
	})

	// It is always positive.
	sentence(t, "always positive: the type gives the direction", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(),
			document{kind: "SELL", at: ago(3), lines: []string{line(coffee, "2", "7")}},
			document{kind: "PAYBACK", at: ago(2), lines: []string{line(tea, "2", "4")}},
			document{kind: "PAYBACK", at: ago(1), lines: []string{line(cocoa, "-2", "2")}}) // older forms
		i.stands(coffee, "5 known", tea, "6 known", cocoa, "4 known")
	})

	// It has up to three decimals.
	sentence(t, "up to three decimals, kept exactly", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, counted(coffee, "321.123", "7"), counted(tea, "0.001", "4"), counted(cocoa, "4.10", "2")))
		i.stands(coffee, "321.123 known", tea, "0.001 known", cocoa, "4.1 known")
	})
	sentence(t, "with more decimals it is set aside, not rounded", func(t *testing.T, method stock.Method) {
		d := newDesk(t, coffee, tea)
		d.write(sold(), count(whole, counted(coffee, "6.0005", "7")))
		i := d.install(t, method)
		r := i.sync()
		i.stands(coffee, "7 known", tea, "4 known")
		if len(r.Problems) != 1 || r.Problems[0].Kind != "items_set_aside" || i.counts().Quarantine != 1 {
			t.Errorf("told %+v, %d set aside", r.Problems, i.counts().Quarantine)
		}
		plan := i.plan()
		if len(plan.Guards) != 1 || plan.Guards[0].Kind != "items_set_aside" {
			t.Errorf("the plan's guards: %+v, want that an item was set aside", plan.Guards)
		}
		if i.approve(true); len(i.plan().Guards) != 0 {
			t.Errorf("after the approval still %+v", i.plan().Guards)
		}
	})
}

func inventoryInitial(t *testing.T) {
	// initial_quantity is the stock before the operation.
	sentence(t, "the stock before the count is not the stock after it", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, counted(coffee, "6", "7"), counted(tea, "9", "55")))
		i.stands(coffee, "6 known", tea, "9 known")
		for _, product := range []string{coffee, tea} { // what a count finds is no riddle
			if n := i.row(product).Outside; n != 0 {
				t.Errorf("%d changes without a document of %s", n, product)
			}
		}
	})
	sentence(t, "the stock before the sale that follows is the count", func(t *testing.T, method stock.Method) {
		next := document{kind: "SELL", at: ago(0.5), lines: []string{wrapped(line(coffee, "1", "6"))}}
		i := after(t, method, sold(), count(part, counted(coffee, "6", "7")), next)
		i.stands(coffee, "5 known")
	})

	// It has up to three decimals, though its type is called integer.
	sentence(t, "up to three decimals, whatever its type is called", func(t *testing.T, method stock.Method) {
		i := after(t, method, document{kind: "SELL", at: ago(3), lines: []string{wrapped(line(coffee, "0.236", "2.17"))}})
		i.stands(coffee, "1.934 known")
		i = after(t, method, sold(), count(part, counted(coffee, "1.7", "1.934")))
		i.stands(coffee, "1.7 known")
	})
}

func inventoryCode(t *testing.T) {
	// code is that of the product …
	sentence(t, "the product's: shown, while product_id decides", func(t *testing.T, method stock.Method) {
		d := newDesk(t)
		d.card(card{id: coffee, code: "42"})
		d.card(card{id: tea, code: "43"})
		d.write(sold(), count(part, wrapped(line(coffee, "6", "7", `"code":"43"`)))) // the code was given to tea since
		i := d.install(t, method)
		i.sync()
		i.stands(coffee, "6 known", tea, "4 known")
	})

	// … or of a modification of it, which is a product of its own.
	sentence(t, "a modification's: its stock is its own", func(t *testing.T, method stock.Method) {
		d := newDesk(t)
		d.card(card{id: coffee, name: "Shirt, red", code: "42"})
		d.card(card{id: tea, name: "Shirt, blue", code: "42"})
		d.write(sold(), count(part, wrapped(line(coffee, "6", "7", `"code":"42"`, `"attributes_choices":{"colour":"red"}`))))
		i := d.install(t, method)
		i.sync()
		i.stands(coffee, "6 known", tea, "4 known")
	})

	// It is not sent when something was sold or returned at a free price.
	sentence(t, "absent for a free price: the position counts nothing", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, wrapped(`{"quantity":5,"initial_quantity":0,"id":1}`), counted(tea, "9", "4")))
		i.stands(coffee, "7 known", tea, "9 known", cocoa, "2 known")
	})
}

func inventoryIdentities(t *testing.T) {
	position := func(product, quantity, initial, id, uuid string) string {
		return wrapped(line(product, quantity, initial, `"id":`+id, `"uuid":`+uuid))
	}
	const same = `"9f8e7d6c-5b4a-4321-8fed-cba987654321"`

	// id numbers the registrations of positions on a terminal, from one on …
	sentence(t, "id: a number of the terminal's, and no identity", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, position(coffee, "6", "7", "1", "null"), position(tea, "9", "4", "1", "null")))
		i.stands(coffee, "6 known", tea, "9 known")
	})

	// … and a program can reset it.
	sentence(t, "id: begins again after a reset, the later count stands", func(t *testing.T, method stock.Method) {
		again := count(part, position(coffee, "5", "6", "1", "null"))
		again.at = ago(0.5)
		i := after(t, method, sold(), count(part, position(coffee, "6", "7", "12", "null")), again)
		i.stands(coffee, "5 known")
	})

	// uuid is the position's identity within a receipt …
	sentence(t, "uuid: of the position in its receipt, a return repeats it", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(),
			document{kind: "SELL", at: ago(3), lines: []string{position(coffee, "2", "7", "1", same)}},
			document{kind: "PAYBACK", at: ago(2), lines: []string{position(coffee, "2", "5", "1", same)}})
		i.stands(coffee, "7 known")
	})

	// … for programs that refer to it.
	sentence(t, "uuid: for other programs, no figure rests on it", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, position(coffee, "6", "7", "1", "null"), wrapped(line(tea, "9", "4"))))
		i.stands(coffee, "6 known", tea, "9 known")
	})

	// extra_keys is a list of extra_key objects: identity, application and
	// description of what an application has attached to the product.
	sentence(t, "extra_keys, extra_key, identity, app_id, description: attached, and no stock", func(t *testing.T, method stock.Method) {
		extra := fmt.Sprintf(`"extra_keys":[{"extra_key":{"identity":%q,"app_id":%q,"description":"quantity 1"}},{"identity":%q,"quantity":1}]`, tea, tea, cocoa)
		i := after(t, method, sold(), count(part, wrapped(line(coffee, "6", "7", extra))))
		i.stands(coffee, "6 known", tea, "4 known", cocoa, "2 known")
	})
}

func inventoryComplete(t *testing.T) {
	// complete_inventory says whether the count is of everything.
	sentence(t, "it decides what becomes of the rest", func(t *testing.T, method stock.Method) {
		for body, want := range map[string]string{whole: "0 known", part: "4 known"} {
			i := after(t, method, sold(), count(body, counted(coffee, "6", "7")))
			i.stands(coffee, "6 known", tea, want)
		}
	})

	// Unless it is said, it is true. That is the reading that destroys most, so
	// it is reported, and a person has to name the zeros first.
	sentence(t, "true by default: taken so, reported, assumed", func(t *testing.T, method stock.Method) {
		for _, body := range []string{"", `"complete_inventory":null`} {
			i := after(t, method, sold(), count(body, counted(coffee, "6", "7")))
			zero := "0 assumed count_unsaid"
			i.stands(coffee, "6 known", tea, zero, cocoa, zero)
			if n := len(i.events(stock.NoticeUnsaid)); n != 1 {
				t.Errorf("reported %d times", n)
			}
		}
	})
	t.Run("true by default: the zeros are written when a person has named them", func(t *testing.T) {
		d := newDesk(t, coffee)
		d.card(card{id: tea, quantity: "4"})
		d.write(sold(), count("", counted(coffee, "6", "7")))
		i := d.install(t, stock.Ledger)
		i.sync()
		i.approve(false)
		if coffee, tea := d.quantity(coffee), d.quantity(tea); coffee != "6" || tea != "4" {
			t.Errorf("the cloud holds %s and %s, want 6 and 4: the zero was not named", coffee, tea)
		}
		i.approve(true)
		if tea := d.quantity(tea); tea != "0" {
			t.Errorf("the cloud holds %s, want the zero that was named", tea)
		}
	})

	// True: the stock of all products changes, and what is not mentioned becomes
	// zero.
	sentence(t, "true: all products change, those not mentioned become zero", func(t *testing.T, method stock.Method) {
		d := newDesk(t, coffee, tea, cocoa) // no document names cocoa
		d.write(
			document{kind: "SELL", at: ago(30), lines: []string{line(coffee, "3", "10"), line(tea, "1", "5")}},
			count(whole, counted(coffee, "6", "7")))
		i := d.install(t, method)
		i.sync()
		i.stands(coffee, "6 known", tea, "0 known", cocoa, "0 known")
		e, err := i.Explain(t.Context(), tea)
		if err != nil {
			t.Fatal(err)
		}
		if last := e.Steps[len(e.Steps)-1]; !last.Unlisted || last.Document != "document-002" {
			t.Errorf("the zero is explained by %+v", last)
		}
	})
	sentence(t, "true: not what has no stock, nor what was not there yet", func(t *testing.T, method stock.Method) {
		d := newDesk(t, coffee)
		d.card(card{id: tea, kind: "SERVICE"})
		d.card(card{id: cocoa, created: ago(0.5)})
		d.write(count(whole, counted(coffee, "6", "7")))
		i := d.install(t, method)
		i.sync()
		i.stands(coffee, "6 known", cocoa, "? unresolved older_months")
		for r, err := range i.Stock(t.Context(), local.StockQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Product == tea {
				t.Error("a service has stock")
			}
		}
	})
	sentence(t, "true: a count that lists nothing empties nothing", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(whole))
		i.stands(coffee, "7 known", tea, "4 known", cocoa, "2 known")
	})
	sentence(t, "true: a count that empties the shop waits for a person", func(t *testing.T, method stock.Method) {
		d := newDesk(t, coffee)
		for n := range 12 {
			d.card(card{id: fmt.Sprint("tea ", n), quantity: "5"})
		}
		d.write(count(whole, counted(coffee, "6", "7")))
		i := d.install(t, method, auto)
		i.sync()
		if n := len(d.requests("PATCH", "")); n != 0 {
			t.Errorf("%d figures were written unasked", n)
		}
		if g := i.plan().Guards; len(g) != 1 || g[0].Kind != "fall" {
			t.Errorf("guards %+v", g)
		}
	})

	// False: only the stock of what is listed changes.
	sentence(t, "false: only those listed change", func(t *testing.T, method stock.Method) {
		i := after(t, method, sold(), count(part, counted(coffee, "6", "7")))
		i.stands(coffee, "6 known", tea, "4 known", cocoa, "2 known")
	})
}

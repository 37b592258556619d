package stock_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
)

// line is a position that states its stock, in whole units.
func line(product string, quantity, stated stock.Quantity) stock.Line {
	return stock.Line{Product: product, Quantity: quantity * stock.Unit, Stated: stated * stock.Unit, HasStated: true}
}

func TestLinesOfOneProductAreCombined(t *testing.T) {
	d := stock.Document{ID: "d", Type: stock.Sell, Lines: []stock.Line{
		line("milk", 1, 50), line("bread", 2, 7), line("milk", 1, 51), line("milk", 1, 49),
	}}
	got, notices := d.Movements(stock.Options{})
	if len(got) != 2 || len(notices) != 0 {
		t.Fatalf("%d movements, notices %v", len(got), notices)
	}
	milk := got[0]
	if milk.Product != "milk" || milk.Moved != 3*stock.Unit || milk.Low != 49*stock.Unit || milk.High != 51*stock.Unit {
		t.Errorf("milk: %+v", milk)
	}
}

func TestSettlementDecidesWhetherASaleMovesStock(t *testing.T) {
	for method, moves := range map[string]bool{
		"": true, "CHECKOUT_FULL": true, "CHECKOUT_PARTIAL": true, "CREDIT_PASS": true, "CREDIT_CHECKOUT": true,
		"PREPAYMENT_FULL": false, "PREPAYMENT_PARTIAL": false, "ADVANCE": false, "SOMETHING_NEW": true,
	} {
		for _, kind := range []stock.Type{stock.Sell, stock.Payback} {
			l := line("milk", 2, 10)
			l.Settlement = method
			d := stock.Document{Type: kind, Lines: []stock.Line{l}}
			got, notices := d.Movements(stock.Options{})
			if len(got) != 1 || (got[0].Moved != 0) != moves {
				t.Errorf("%s %q: %+v, want moves=%v", kind, method, got, moves)
			}
			if (len(notices) == 1) != (method == "SOMETHING_NEW") {
				t.Errorf("%s %q: notices %v", kind, method, notices)
			}
		}
	}
}

func TestWhatMovesNothing(t *testing.T) {
	for _, kind := range []stock.Type{
		stock.Revaluation, "CASH_INCOME", "CASH_OUTCOME", "OPEN_SESSION", "POS_OPEN_SESSION", "CLOSE_SESSION",
		"X_REPORT", "Z_REPORT", "FPRINT", "CORRECTION", "CORRECTION_RETURN_INCOME",
	} {
		d := stock.Document{Type: kind, Lines: []stock.Line{line("milk", 1, 5)}}
		if got, notices := d.Movements(stock.Options{}); len(got) != 0 || len(notices) != 0 {
			t.Errorf("%s: %v %v", kind, got, notices)
		}
	}
	d := stock.Document{Type: "LOTTERY", Lines: []stock.Line{line("milk", 1, 5)}}
	got, notices := d.Movements(stock.Options{})
	if want := []stock.Notice{{Kind: stock.NoticeType, Detail: "LOTTERY"}}; len(got) != 0 || !cmp.Equal(notices, want) {
		t.Errorf("a type nobody knows: %v %v", got, notices)
	}
}

func TestFreePriceLinesMoveNothing(t *testing.T) {
	d := stock.Document{Type: stock.Sell, Lines: []stock.Line{
		line("", 1, 0), line("390067bf-e8d3-4fcc-8c30-fbfd77a0a70d", 1, 0), line("milk", 1, 5),
	}}
	got, notices := d.Movements(stock.Options{})
	if len(got) != 1 || got[0].Product != "milk" || len(notices) != 2 {
		t.Errorf("%v %v", got, notices)
	}
}

func TestSwitches(t *testing.T) {
	sub := line("syrup", 1, 8)
	sub.Sub = true
	sale := stock.Document{Type: stock.Sell, Lines: []stock.Line{line("coffee", 1, 5), sub}}
	if got, _ := sale.Movements(stock.Options{}); len(got) != 2 {
		t.Errorf("sub positions move: %v", got)
	}
	if got, _ := sale.Movements(stock.Options{SubIgnored: true}); len(got) != 1 {
		t.Errorf("sub positions are switched off: %v", got)
	}
	tare := stock.Document{Type: stock.OpenTare, Lines: []stock.Line{line("beer", 1, 5)}}
	if got, _ := tare.Movements(stock.Options{}); len(got) != 1 {
		t.Errorf("an opened container moves: %v", got)
	}
	if got, _ := tare.Movements(stock.Options{OpenTareIgnored: true}); len(got) != 0 {
		t.Errorf("opened containers are switched off: %v", got)
	}
}

func TestSignOfQuantityIsTheTypes(t *testing.T) {
	for _, q := range []stock.Quantity{1, -1} {
		d := stock.Document{Type: stock.Payback, Lines: []stock.Line{line("milk", q, 10)}}
		got, _ := d.Movements(stock.Options{})
		var f stock.Fold
		rules := stock.Rules{Method: stock.Ledger, Complete: true}
		f.Apply(&rules, &got[0])
		if level := f.Level(&rules); level.Quantity != 11*stock.Unit {
			t.Errorf("return of %s: %s, want 11", q*stock.Unit, level.Quantity)
		}
	}
}

func TestLongDocumentsCombineTheSame(t *testing.T) {
	var lines []stock.Line
	for i := range 40 {
		lines = append(lines, line([]string{"a", "b", "c"}[i%3], 1, stock.Quantity(100-i/3)))
	}
	d := stock.Document{Type: stock.Sell, Lines: lines}
	got, _ := d.Movements(stock.Options{})
	if len(got) != 3 || got[0].Moved != 14*stock.Unit || got[0].High != 100*stock.Unit || got[1].Moved != 13*stock.Unit {
		t.Errorf("%+v", got)
	}
}

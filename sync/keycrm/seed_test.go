package keycrm_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/target"
)

// The tests of this file go through the vendor's article «Синхронизация остатков
// из KeyCRM на собственный сайт» from its beginning to its end, one for each
// thing that it says.

// Preparation 1: products are created in the CRM, with SKUs, before anything is
// exchanged. What was not is accepted and nowhere to be seen.
func TestSeedProductsMustExistInTheCRM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := account(t, 1, keycrmtest.Options{}, nil)
		w := warehouse(t, c, keycrm.TargetOptions{})
		outcomes, err := w.Write(t.Context(), []target.Row{{Key: "never created", Quantity: units(3)}})
		if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil {
			t.Fatalf("202 is all that KeyCRM says: %v, %v", outcomes, err)
		}
		seen, err := w.Read(t.Context(), []string{"never created", sku(0)})
		if err != nil || seen[0].Found || !seen[1].Found {
			t.Errorf("accepted must not pass for applied: %+v, %v", seen, err)
		}
	})
}

// Preparation 3: the stock of the beginning is loaded into KeyCRM.
func TestSeedInitialStockIsLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 120, keycrmtest.Options{}, nil)
		w := warehouse(t, c, keycrm.TargetOptions{})
		var rows []target.Row
		for i, s := range skus(120) {
			rows = append(rows, target.Row{Key: s, Quantity: units(int64(i))})
		}
		if _, err := w.Write(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if q, _, _ := crm.Holds(shopHouse, sku(119)); q != units(119) {
			t.Errorf("holds %v", q)
		}
		if n := len(crm.Requests()); n != 1 {
			t.Errorf("%d requests for one batch", n)
		}
	})
}

// «Синхронизация товаров происходит по артикулу»: the SKU is the key, literally:
// leading zeros and letter case count.
func TestSeedProductsMeetBySKU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 0, keycrmtest.Options{Fold: true}, nil)
		for i, s := range []string{"0557722", "557722", "abc-1", "ABC-1", "Сыр «Российский» & co+1"} {
			crm.AddOffer(s)
			crm.Set(shopHouse, s, units(int64(i+1)))
		}
		w := warehouse(t, c, keycrm.TargetOptions{})
		seen, err := w.Read(t.Context(), []string{"557722", "ABC-1", "Abc-1", "Сыр «Российский» & co+1"})
		if err != nil {
			t.Fatal(err)
		}
		want := []stock.Quantity{units(2), units(4), 0, units(5)}
		for i, o := range seen {
			if o.Quantity != want[i] || o.Found != (want[i] != 0) {
				t.Errorf("%+v, want %v", o, want[i])
			}
		}
	})
}

// Every product and every variant has a SKU of its own. Where two share one,
// nothing is read as theirs and nothing is written to either.
func TestSeedEachVariantHasItsOwnSKU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 1, keycrmtest.Options{}, nil)
		crm.AddOffer("shirt")
		crm.AddOffer("shirt")
		crm.Set(shopHouse, "shirt", units(7))
		w := warehouse(t, c, keycrm.TargetOptions{})
		seen, err := w.Read(t.Context(), []string{"shirt", sku(0)})
		if err != nil || seen[0].Found || !seen[1].Found {
			t.Fatalf("%+v, %v", seen, err)
		}
		outcomes, err := w.Write(t.Context(), []target.Row{{Key: "shirt", Quantity: units(1)}, {Key: sku(0), Quantity: units(2)}})
		if err != nil || len(outcomes) != 2 || outcomes[0].Err == nil || outcomes[1].Err != nil {
			t.Fatalf("%+v, %v", outcomes, err)
		}
		if want := `cannot set the stock of SKU "shirt": the offers 2, 3 share it, give each its own in KeyCRM`; outcomes[0].Err.Error() != want {
			t.Errorf("%v", outcomes[0].Err)
		}
		if q, _, _ := crm.Holds(shopHouse, "shirt"); q != units(7) {
			t.Errorf("the shared SKU was written: %v", q)
		}
	})
}

// Products may be named by the id of the variant, offerId, as well.
func TestSeedVariantsMayBeNamedByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{}, nil)
		w := warehouse(t, c, keycrm.TargetOptions{ByOffer: true})
		outcomes, err := w.Write(t.Context(), []target.Row{{Key: "2", Quantity: units(5)}, {Key: sku(0), Quantity: units(5)}})
		if err != nil || len(outcomes) != 2 || outcomes[0].Err == nil || outcomes[1].Err != nil {
			t.Fatalf("%+v, %v", outcomes, err)
		}
		if want := `cannot set the stock of "SKU-00000": it is not the number of an offer in KeyCRM, correct the mapping`; outcomes[0].Err.Error() != want {
			t.Error(outcomes[0].Err)
		}
		if q, _, _ := crm.Holds(shopHouse, sku(1)); q != units(5) {
			t.Errorf("offer 2 holds %v", q)
		}
		seen, err := w.Read(t.Context(), []string{"2", "99", sku(0), "02"})
		if err != nil || len(seen) != 4 || !seen[0].Found || seen[0].Quantity != units(5) || seen[1].Found || seen[2].Found || seen[3].Found {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

// Sixty requests a minute, so a pause of a second between two of them.
func TestSeedSixtyRequestsAMinuteWithAPauseOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 2000, keycrmtest.Options{Rate: 60}, func(o *keycrm.Options) { o.Rate = 60; o.PageRows = 15 })
		if offers, err := sweep(t, c); err != nil || len(offers) != 2000 {
			t.Fatal(len(offers), err)
		}
		requests := crm.Requests()
		for i, r := range requests {
			if r.Status != http.StatusOK || (i > 0 && r.At.Sub(requests[i-1].At) < time.Second) {
				t.Fatalf("request %d: %d after %v", i, r.Status, r.At.Sub(requests[max(i-1, 0)].At))
			}
		}
	})
}

// Way 1: all stock is read from time to time.
func TestSeedAllStockIsReadPeriodically(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 170, keycrmtest.Options{}, nil)
		for range 2 {
			offers, err := sweep(t, c)
			if err != nil || len(offers) != 170 {
				t.Fatal(len(offers), err)
			}
		}
		if n := len(crm.Requests()); n != 8 {
			t.Errorf("two times 170 offers at 50 a page took %d requests", n)
		}
	})
}

// Way 2: a webhook on an order status that reserves or writes off. It says which
// order; the order says which goods; these are read.
func TestSeedOrderWebhookOnReserveAndWriteOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 10, keycrmtest.Options{}, nil)
		crm.Set(shopHouse, sku(3), units(9))
		crm.Set(shopHouse, sku(4), units(9))
		hooks := listen(t, crm, true)
		id := crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: shopHouse, SKU: sku(3), Quantity: units(2)},
			keycrmtest.OrderLine{Warehouse: shopHouse, SKU: sku(4), Quantity: 500}, keycrmtest.OrderLine{SKU: sku(3), Quantity: units(1)})
		for _, step := range []struct {
			status keycrmtest.Status
			want   keycrm.Figure
		}{
			{keycrmtest.StatusReserved, keycrm.Figure{Quantity: units(9), Reserve: units(2)}},
			{keycrmtest.StatusFulfilled, keycrm.Figure{Quantity: units(7)}},
			{keycrmtest.StatusCancelled, keycrm.Figure{Quantity: units(9)}},
		} {
			crm.SetStatus(id, step.status)
			event, err := keycrm.DecodeOrderEvent(hooks.next(t))
			if err != nil || event.Order != id || event.Status != int64(step.status) || event.HasReserves != (step.status == keycrmtest.StatusReserved) {
				t.Fatalf("%+v, %v", event, err)
			}
			order, err := c.Order(t.Context(), event.Order)
			if err != nil || !slices.Equal(order.SKUs(), []string{sku(3), sku(4)}) || order.Lines[0].Warehouse != shopHouse || order.Lines[2].Warehouse != 0 {
				t.Fatalf("%+v, %v", order, err)
			}
			var got keycrm.Figure
			if err := c.BySKU(t.Context(), order.SKUs()[:1], func(o keycrm.Offer) (err error) { got, err = o.In(shopHouse); return err }); err != nil || got != step.want {
				t.Errorf("status %d: %+v, %v", step.status, got, err)
			}
		}
	})
}

// «offers_id»: one id or several, joined by commas.
func TestSeedFilterByIDOfTheVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 200, keycrmtest.Options{}, nil)
		for _, ids := range [][]int64{{7}, {7, 150, 9999}} {
			var got []int64
			if err := c.ByID(t.Context(), ids, func(o keycrm.Offer) error { got = append(got, o.ID); return nil }); err != nil {
				t.Fatal(err)
			}
			if want := ids[:min(len(ids), 2)]; !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		}
		if q := crm.Requests()[1].Query; q != "filter%5Bdetails%5D=true&filter%5Boffers_id%5D=7%2C150%2C9999&limit=50&page=1" {
			t.Error(q)
		}
	})
}

// «offers_sku»: one SKU or several, joined by commas; so one that holds a comma
// cannot be asked for, and is found by its id.
func TestSeedFilterBySKU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 200, keycrmtest.Options{}, nil)
		var got []string
		keep := func(o keycrm.Offer) error { got = append(got, o.SKU); return nil }
		if err := c.BySKU(t.Context(), []string{sku(1), sku(180), "none"}, keep); err != nil || !slices.Equal(got, []string{sku(1), sku(180)}) {
			t.Errorf("%v, %v", got, err)
		}
		if err := c.BySKU(t.Context(), []string{"1,5 l"}, keep); err == nil {
			t.Error("a SKU with a comma was asked for")
		}
		crm.AddOffer("1,5 l")
		crm.AddOffer(" spaced ")
		crm.Set(shopHouse, "1,5 l", units(4))
		crm.Set(shopHouse, " spaced ", units(6))
		w := warehouse(t, c, keycrm.TargetOptions{})
		for range 3 {
			before := len(crm.Requests())
			seen, err := w.Read(t.Context(), []string{"1,5 l", " spaced ", "a,b", ""})
			if err != nil || seen[0].Quantity != units(4) || seen[1].Quantity != units(6) || seen[2].Found || seen[3].Found {
				t.Fatalf("%+v, %v", seen, err)
			}
			if n := len(crm.Requests()) - before; before > 10 && n != 1 {
				t.Errorf("%d requests: the sweep must not be repeated", n)
			}
		}
	})
}

// Each warehouse apart, by the array «warehouse»; all of them together without.
func TestSeedEachWarehouseApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 2, keycrmtest.Options{}, nil)
		crm.Set(mainHouse, sku(0), units(98))
		crm.Set(shopHouse, sku(0), units(35))
		offers, err := sweep(t, c)
		if err != nil {
			t.Fatal(err)
		}
		for house, want := range map[int64]stock.Quantity{0: units(133), mainHouse: units(98), shopHouse: units(35), 77: 0} {
			if f, err := offers[0].In(house); err != nil || f.Quantity != want {
				t.Errorf("warehouse %d: %+v, %v", house, f, err)
			}
		}
		list, err := c.Warehouses(t.Context())
		if diff := cmp.Diff([]keycrm.Warehouse{{ID: 1, Name: "Основной"}, {ID: 2, Name: "Магазин"}}, list); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// Both ways have the two fields «quantity» and «reserve».
func TestSeedQuantityAndReserveInBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{}, nil)
		crm.Set(mainHouse, sku(0), units(98))
		crm.Reserve(mainHouse, sku(0), units(8))
		crm.Set(shopHouse, sku(0), units(35))
		crm.Reserve(shopHouse, sku(0), units(3))
		for house, want := range map[int64]stock.Quantity{0: units(11), mainHouse: units(8), shopHouse: units(3)} {
			for _, asked := range [][]string{nil, {sku(0), sku(1), "unknown"}} {
				got, err := c.Reserves(t.Context(), house, asked)
				if err != nil || got[sku(0)] != want {
					t.Errorf("warehouse %d: %v, %v", house, got, err)
				}
				if _, told := got[sku(1)]; !told {
					t.Error("a reserve of nothing must be told apart from one that is not known")
				}
				if _, told := got["unknown"]; told {
					t.Error("nothing is known of an unknown SKU")
				}
			}
		}
	})
}

// The reserve is to be subtracted by whoever reads. Below zero it stays below.
func TestSeedReserveIsSubtractedByTheReader(t *testing.T) {
	for _, c := range []struct{ quantity, reserve, want stock.Quantity }{
		{units(98), units(8), units(90)}, {units(3), units(5), units(-2)}, {-500, 0, -500}, {1500, 250, 1250},
	} {
		if got := (keycrm.Figure{Quantity: c.quantity, Reserve: c.reserve}).Available(); got != c.want {
			t.Errorf("%v − %v = %v", c.quantity, c.reserve, got)
		}
	}
}

// The example of the article.
func TestSeedExampleOfWarehouses(t *testing.T) {
	row := `{"data":[{"id":1,"sku":"a","quantity":133,"reserve":11,` + string(sample(t, "stocks-warehouse.fragment.json"))[1:] + `],"total":1,"next_page_url":null}`
	p := decodePage(t, []byte(row))
	want := []keycrm.Warehouse{
		{ID: 1, Name: "Основной", Figure: keycrm.Figure{Quantity: 98_000, Reserve: 8_000}},
		{ID: 2, Name: "Магазин", Figure: keycrm.Figure{Quantity: 35_000, Reserve: 3_000}},
	}
	if diff := cmp.Diff(want, p.Offers[0].Warehouses); diff != "" || p.Offers[0].Err != nil {
		t.Error(diff, p.Offers[0].Err)
	}
}

// Where stock is kept elsewhere the other scheme is used: figures are brought to
// KeyCRM, by movements, and rows that are not sent stay as they are.
func TestSeedStockThatIsKeptElsewhereIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{Visible: 5 * time.Second}, nil)
		crm.Set(shopHouse, sku(0), units(9))
		crm.Set(shopHouse, sku(2), units(9))
		before := len(crm.Movements())
		w := warehouse(t, c, keycrm.TargetOptions{})
		rows := []target.Row{{Key: sku(0), Quantity: 0}, {Key: sku(1), Quantity: 1234}}
		if _, err := w.Write(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		early, err := w.Read(t.Context(), []string{sku(0)})
		if err != nil || early[0].Quantity != units(9) {
			t.Errorf("what is accepted is seen only later: %+v, %v", early, err)
		}
		time.Sleep(5 * time.Second)
		seen, err := w.Read(t.Context(), []string{sku(0), sku(1), sku(2)})
		if err != nil || seen[0].Quantity != 0 || seen[1].Quantity != 1234 || seen[2].Quantity != units(9) {
			t.Errorf("%+v, %v", seen, err)
		}
		want := []keycrmtest.Movement{{Warehouse: shopHouse, SKU: sku(0), From: units(9)}, {Warehouse: shopHouse, SKU: sku(1), To: 1234}}
		if diff := cmp.Diff(want, crm.Movements()[before:]); diff != "" {
			t.Error(diff)
		}
	})
}

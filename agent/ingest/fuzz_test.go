package ingest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ostatok/agent/ingest"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
)

// seeds are all samples of documents, receipts and requests.
func seeds(f *testing.F, folder ...string) {
	files, err := filepath.Glob(filepath.Join(append([]string{"..", ".."}, append(folder, "*.json")...)...))
	if err != nil || len(files) < 3 {
		f.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(append([]byte("["), b...), ']'))
	}
}

// What is taken can be read back as it was taken, belongs to the shop, and zeroes
// nothing that it does not say.
func FuzzDocuments(f *testing.F) {
	seeds(f, "sync", "evotor", "testdata", "samples")
	f.Add([]byte(v2("d-1", "INVENTORY", "till-1", 1, "10:00:00", "bread 7 10")))
	f.Add([]byte(v1("d-1", "INVENTORY", "till-1", 1, "10:00:00", "bread", "7")))
	f.Add([]byte(receipt("d-1", "PAYBACK", "10:00:00", "bread", "-0.834")))
	f.Fuzz(func(t *testing.T, body []byte) {
		isPing := ingest.Ping(body)
		status, usable, err := ingest.Judge(store, body)
		if err != nil {
			return
		}
		if isPing && len(usable) > 0 {
			t.Fatal("a check of the address brings documents")
		}
		switch status {
		case http.StatusOK, http.StatusBadRequest, http.StatusConflict:
		default:
			t.Fatalf("status %d", status)
		}
		ids := make(map[string]bool)
		for _, u := range usable {
			d, err := ingest.ReadBack(u.ID, u.Raw)
			if err != nil {
				t.Fatalf("was taken and cannot be read back: %v", err)
			}
			if d.ID == "" || ids[d.ID] || d.Closed == 0 || d.Closed != u.Closed || d.Arrived == 0 {
				t.Fatalf("%+v of %+v", d, u)
			}
			ids[d.ID] = true
			if d.FullCount() && (d.Complete != stock.CompleteYes || len(d.Lines) == 0) {
				t.Fatalf("a count that zeroes the shop: %+v", d)
			}
			if strings.Contains(string(u.Raw), `"completeInventory"`) && !strings.Contains(string(u.Raw), `"complete_inventory"`) && d.FullCount() {
				t.Fatal("version 1 zeroes the shop")
			}
		}
	})
}

// Whatever a webhook brings is changes, an order, or an error, and ends.
func FuzzHooks(f *testing.F) {
	seeds(f, "sync", "keycrm", "testdata", "samples")
	f.Add([]byte(`[{"offer_id":1,"sku":"a","in_stock":3,"in_reserve":1.5},{"sku":"b"}]`))
	f.Add([]byte(`{"offer_id":"7","sku":null,"in_stock":"-2","in_reserve":""}`))
	f.Add([]byte(`{"event":"order.change_order_status","context":{"id":12,"status_id":4}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		changes, err := keycrm.DecodeChanges(body)
		for _, c := range changes {
			if err != nil || c.Offer == 0 && c.SKU == "" {
				t.Fatalf("a change of nothing: %+v, %v", c, err)
			}
		}
		if event, err := keycrm.DecodeOrderEvent(body); err == nil && event.Order == 0 {
			t.Fatalf("an order of nothing: %+v", event)
		}
	})
}

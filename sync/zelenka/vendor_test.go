package zelenka_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

// The tests of this file follow the vendor's text «API - Onhand - Остатки»
// (api_docs_onhand) from its beginning to its end, a test for what each sentence
// says. TestSeed… is the place to look when the vendor changes it.

func sample(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sampleRows reads the rows of a vendor's request, by point of sale.
func sampleRows(t *testing.T, name string) map[zelenka.Warehouse][]target.Row {
	t.Helper()
	var list []struct {
		ID        string
		Warehouse zelenka.Warehouse `json:"warehouse_id"`
		Quantity  stock.Quantity
	}
	if err := json.Unmarshal(sample(t, name), &list); err != nil {
		t.Fatal(err)
	}
	rows := make(map[zelenka.Warehouse][]target.Row)
	for _, r := range list {
		rows[r.Warehouse] = append(rows[r.Warehouse], target.Row{Key: r.ID, Quantity: r.Quantity})
	}
	return rows
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a body with the one that is kept.
func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(body, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := string(bytes.TrimSuffix(sample(t, filepath.Join("golden", name)), []byte("\n")))
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("%s (-kept +sent):\n%s", name, diff)
	}
}

// "Batch adding and updating": POST /onhand/batch-update with an array. The
// example's rows, one request for each of its points of sale.
func TestSeedBatchUpdate(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		var sent []string
		for _, w := range []zelenka.Warehouse{341, 3411} {
			_, err := b.client.Target(zelenka.TargetOptions{Warehouse: w}).Write(t.Context(), sampleRows(t, "samples/zelenka-onhand-batch.request.json")[w])
			golden(t, "batch-"+w.String()+".json", b.sim.LastBody())
			if absent, ok := errors.AsType[*zelenka.WarehouseError](err); (w == 3411) != ok || (ok && absent.Warehouse != w) {
				t.Errorf("point of sale %s: %v", w, err)
			}
		}
		for _, r := range b.sim.Requests() {
			sent = append(sent, r.Path)
		}
		if diff := cmp.Diff([]string{"/onhand/batch-update", "/onhand/batch-update"}, sent); diff != "" {
			t.Error(diff)
		}
		b.holds(row("ЦБ-00004897", 8), row("ЦБ-00004898", 12))
		if _, there := b.sim.Holds(341, "ЦБ-00004899"); there {
			t.Error("an item of another point of sale was written")
		}
	})
}

// "The information is taken from the body in JSON": strict JSON, whatever stands
// in an id.
func TestSeedBodyIsJSON(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		awkward := []target.Row{
			row(`quote " and \ slash`, 1), row("line\nbreak\ttab", 2), row("<b>&amp;</b>", 3), row("\u2028\u0000\x7f", 4), row("🧀 ёЁ", 5), row("007", 6), row("7", 7), row(" ", 8),
		}
		b.takes(awkward...)
		body := b.sim.LastBody()
		if !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		golden(t, "awkward.json", body)
		b.clean()
	})
}

// "The body may be of 16 megabytes": more rows than fit go in several requests
// of at most 15 million bytes.
func TestSeedSixteenMegabytes(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		long := strings.Repeat("Ж", 900) // 1.8 kB an id: 10 000 rows are 18 MB
		list := make([]target.Row, zelenka.BatchRows)
		for i := range list {
			list[i] = row(fmt.Sprintf("%s-%05d", long, i), int64(i%7))
		}
		b.takes(list...)
		requests := b.sim.Requests()
		if len(requests) < 2 {
			t.Errorf("%d requests for 18 MB", len(requests))
		}
		b.clean()
	})
}

// "Each element holds id, warehouse_id and quantity", and no more.
func TestSeedElements(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("ЦБ-00004897", 8))
		var body []map[string]any
		if err := json.Unmarshal(b.sim.LastBody(), &body); err != nil {
			t.Fatal(err)
		}
		want := []map[string]any{{"id": "ЦБ-00004897", "warehouse_id": 341.0, "quantity": 8.0}}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Error(diff)
		}
	})
}

// "quantity is cast to an integer": it is made whole here, downwards, so that
// nothing is left to the cast.
func TestSeedQuantityIsWhole(t *testing.T) {
	for _, test := range []struct {
		level stock.Quantity
		shown int64
	}{{8100, 8}, {8999, 8}, {999, 0}, {1000, 1}, {0, 0}, {-1, 0}, {-500, 0}, {-4934000, 0}, {1_000_000_000_000_000, 1_000_000_000_000}} {
		play(t, nil, func(t *testing.T, b *bench) {
			b.sim.Set(warehouse, "a", 77)
			b.takes(target.Row{Key: "a", Quantity: test.level})
			if got, _ := b.sim.Holds(warehouse, "a"); got != stock.Quantity(test.shown)*stock.Unit {
				t.Errorf("%s is shown as %s", test.level, got)
			}
			b.clean()
		})
	}
}

// "The answer holds success, how many rows were updated or added, and errors, for
// those that were not": the vendor's own answer, to rows that fit it.
func TestSeedAnswer(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		answer := sample(t, "samples/zelenka-onhand-batch.response.json")
		b.client = connect(t, loggedIn(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(answer)
		}), nil)
		fates, err := b.write(row("ЦБ-00004897", 8), row("ЦБ-00004898", 12), row("ЦБ-00004899", 0))
		if err != nil || len(fates) != 3 || fates["ЦБ-00004897"] != nil || fates["ЦБ-00004898"] != nil {
			t.Fatal(fates, err)
		}
		refusal, ok := errors.AsType[*zelenka.RowError](fates["ЦБ-00004899"])
		if !ok || refusal.Reason != "Warehouse not found" || refusal.Retryable() {
			t.Errorf("%v", fates["ЦБ-00004899"])
		}
	})
}

// "Once a day the stock of all items of a point of sale is to be sent".
func TestSeedOnceADay(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		for range 5 * 24 {
			_, err := f.Run(t.Context())
			if err != nil && !errors.Is(err, zelenka.ErrNotDue) {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		requests := b.sim.Requests()
		if len(requests) != 5 {
			t.Fatalf("%d full lists in five days", len(requests))
		}
		for i, r := range requests {
			if !r.Full || r.Rows != len(b.shop.rows) || r.At.Sub(requests[0].At).Round(time.Hour) != time.Duration(i)*24*time.Hour {
				t.Errorf("list %d: %+v", i, r)
			}
		}
		b.clean()
	})
}

// "Such a request needs the GET parameter isfull=1", although it is a POST; and
// an ordinary one must not have it.
func TestSeedIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		sim := zelenkatest.New(zelenkatest.Options{Username: username, Key: apikey, Warehouses: []int64{warehouse}})
		b := &bench{t: t, sim: sim}
		b.client = connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = append(sent, r.Method+" "+r.URL.RequestURI())
			sim.ServeHTTP(w, r)
		}), nil)
		b.takes(row("a", 1))
		b.mustRun(b.full(nil))
		want := []string{"POST /auth/login", "POST /onhand/batch-update", "POST /onhand/batch-update?isfull=1"}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
	})
}

// The example of a full list is not JSON: a comma is missing and dots stand for
// the rest. What is sent for its rows is, and the program would refuse it as it
// is printed.
func TestSeedFullExampleIsMalformed(t *testing.T) {
	printed := sample(t, "samples/zelenka-onhand-full.request.MALFORMED.txt")
	if json.Valid(printed) {
		t.Fatal("the vendor has mended the example: read it again")
	}
	play(t, nil, func(t *testing.T, b *bench) {
		for w, list := range sampleRows(t, "samples/zelenka-onhand-full.request.fixed.json") {
			f := b.full(func(o *zelenka.FullOptions) {
				o.Warehouse = w
				o.Source = &shop{rows: list}
			})
			b.mustRun(f)
			body := b.sim.LastBody()
			if !json.Valid(body) {
				t.Errorf("not JSON: %s", body)
			}
			golden(t, "full-"+w.String()+".json", body)
		}
		b.clean()
		if got, _ := b.sim.Holds(342, "ЦБ-00004897"); got != 90*stock.Unit {
			t.Errorf("one item at two points of sale: %v", got)
		}
	})
}

// "Adding and updating one item": POST /onhand/update with one object.
func TestSeedUpdate(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		taken, err := b.client.Update(t.Context(), 123, target.Row{Key: "7", Quantity: 8100})
		if err != nil || taken.Quantity != 8*stock.Unit {
			t.Fatal(taken, err)
		}
		golden(t, "update.json", b.sim.LastBody())
		if got, _ := b.sim.Holds(123, "7"); got != 8*stock.Unit {
			t.Error(got)
		}
		b.clean()
	})
}

// "id is mandatory": without one nothing is sent.
func TestSeedIDIsMandatory(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		_, err := b.client.Update(t.Context(), 123, target.Row{Quantity: 1000})
		if _, ok := errors.AsType[*zelenka.KeyError](err); !ok {
			t.Error(err)
		}
		fates, err := b.write(row("", 1), row("\xff\xfe", 2), row("good", 3))
		if err != nil || fates["good"] != nil || fates[""] == nil || fates["\xff\xfe"] == nil {
			t.Error(fates, err)
		}
		if n := len(b.sim.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		b.clean()
	})
}

// "When it was added the status is 201, when it was updated 200".
func TestSeedAddedOrUpdated(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		for _, want := range []zelenka.Taken{{Added: true, Quantity: 5000}, {Added: false, Quantity: 6000}} {
			got, err := b.client.Update(t.Context(), 123, target.Row{Key: "7", Quantity: want.Quantity})
			if err != nil || got != want {
				t.Errorf("%+v, want %+v: %v", got, want, err)
			}
		}
	})
}

// "The answer holds what was passed, and the quantity that was taken": the
// vendor's own answer, in which the id and the point of sale are others than in
// the request and the latter is a text.
func TestSeedUpdateAnswer(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		answer := sample(t, "samples/zelenka-onhand-update.response.json")
		b.client = connect(t, loggedIn(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(answer)
		}), nil)
		taken, err := b.client.Update(t.Context(), 123, target.Row{Key: "7", Quantity: 8100})
		if err != nil || taken != (zelenka.Taken{Added: true, Quantity: 8000}) {
			t.Error(taken, err)
		}
	})
}

// loggedIn answers logins itself and leaves the rest to h.
func loggedIn(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"tok-1","token_type":"bearer","expires_in":86400,"refresh_token":"ref-1"}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		h(w, r)
	})
}

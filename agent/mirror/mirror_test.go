package mirror_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

const testStore = "20170222-D58C-40E0-8051-B53ADFF38860"

func testOptions(dir string) mirror.Options {
	return mirror.Options{
		Dir: dir, Store: testStore, Log: zerolog.Nop(),
		Now: func() time.Time { return time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC) },
	}
}

func open(t testing.TB, o mirror.Options) *mirror.Mirror {
	t.Helper()
	m, notice, err := mirror.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if notice != nil {
		t.Fatalf("unexpected notice: %+v", notice)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func put(t testing.TB, m *mirror.Mirror, b mirror.Batch) mirror.Result {
	t.Helper()
	r, err := m.PutDocuments(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// uuid makes the id of document n.
func uuid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// sale is a SELL of one product that stated the stock before it.
func sale(n int, product string, closed int64, quantity, stated stock.Quantity) mirror.Document {
	return mirror.Document{
		Document: stock.Document{
			ID: uuid(n), Type: stock.Sell, Device: "till-1", Number: int64(n), Closed: closed, Arrived: closed + 1000,
			Lines: []stock.Line{{Product: product, Quantity: quantity, Stated: stated, HasStated: true}},
		},
		Raw: fmt.Appendf(nil, `{"id":"%s","type":"SELL","n":%d}`, uuid(n), n),
	}
}

func count(n int, closed int64, complete stock.Completeness, counted map[string]stock.Quantity) mirror.Document {
	d := mirror.Document{Document: stock.Document{
		ID: uuid(n), Type: stock.Inventory, Device: "till-1", Number: int64(n), Closed: closed, Arrived: closed,
		Complete: complete,
	}, Raw: []byte(`{"type":"INVENTORY"}`)}
	for _, product := range slices.Sorted(maps.Keys(counted)) {
		d.Lines = append(d.Lines, stock.Line{Product: product, Quantity: counted[product]})
	}
	return d
}

func row(t testing.TB, m *mirror.Mirror, product string) mirror.Row {
	t.Helper()
	r, err := m.Row(t.Context(), product)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func levels(t testing.TB, m *mirror.Mirror) map[string]stock.Level {
	t.Helper()
	out := make(map[string]stock.Level)
	for r, err := range m.Rows(t.Context(), mirror.Query{Deleted: true}) {
		if err != nil {
			t.Fatal(err)
		}
		out[r.ID] = r.Level
	}
	return out
}

// direct is the levels that follow from the documents by folding them in memory.
func direct(o mirror.Options, coverage mirror.Coverage, devices []mirror.Device, products []stock.Product, documents []stock.Document) map[string]stock.Level {
	documents = slices.Clone(documents)
	order := func(d *stock.Document) stock.Order {
		return stock.Order{Closed: d.Closed, Device: d.Device, Number: d.Number, Document: d.ID}
	}
	slices.SortFunc(documents, func(a, b stock.Document) int { return order(&a).Compare(order(&b)) })
	cards := make(map[string]stock.Product)
	first := make(map[string]int64)
	for _, d := range documents {
		movements, _ := d.Movements(o.Rules)
		for _, m := range movements {
			cards[m.Product] = stock.Product{ID: m.Product}
		}
		if _, ok := first[d.Device]; !ok && d.Device != "" {
			first[d.Device] = d.Closed
		}
	}
	for _, p := range products {
		cards[p.ID] = p
	}
	base := stock.Rules{Method: cmp.Or(o.Method, stock.Ledger), Terminals: len(first), From: coverage.From, Complete: coverage.Complete}
	for _, d := range devices {
		if d.Created != 0 {
			base.Started = append(base.Started, stock.Start{Device: d.ID, At: d.Created})
			delete(first, d.ID)
		}
	}
	if coverage.Complete {
		for device, at := range first {
			base.Started = append(base.Started, stock.Start{Device: device, At: at})
		}
	}
	rules := stock.Decide(base, &stock.Evidence{}, o.Pinned)
	for {
		var sum stock.Evidence
		out := make(map[string]stock.Level, len(cards))
		for id, card := range cards {
			var fold stock.Fold
			seen := false
			for i := range documents {
				d := &documents[i]
				movements, _ := d.Movements(o.Rules)
				listed := false
				for _, m := range movements {
					if m.Product == id {
						fold.Apply(&rules, &m)
						listed = true
					}
				}
				existed := card.Created != 0 && card.Created <= d.Closed || card.Created == 0 && seen
				if d.FullCount() && !listed && existed && !card.Service() {
					zero := d.Zero(id)
					fold.Apply(&rules, &zero)
				}
				seen = seen || listed
			}
			sum.Add(&fold)
			out[id] = fold.Level(&rules)
		}
		decided := stock.Decide(base, &sum, o.Pinned)
		if decided.Equal(&rules) {
			return out
		}
		rules = decided
	}
}

func TestDocumentsAreAppliedOnce(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	first := sale(1, "bread", 1000, 1000, 10_000)
	r := put(t, m, mirror.Batch{Documents: []mirror.Document{first, first}})
	if r.New != 1 || r.Repeated != 1 || len(r.Levels) != 1 || r.Levels[0].Product != "bread" {
		t.Fatalf("%+v", r)
	}
	after := r.Levels[0].After
	if after.State != stock.Known || after.Quantity != 9000 || after.Last.Document != uuid(1) || after.LastType != stock.Sell {
		t.Fatalf("level %+v", after)
	}
	changed := first
	changed.Lines = []stock.Line{{Product: "bread", Quantity: 5000, Stated: 10_000, HasStated: true}}
	r = put(t, m, mirror.Batch{Documents: []mirror.Document{first, changed, sale(2, "bread", 2000, 1000, 9000)}})
	if r.New != 1 || r.Repeated != 1 || r.Changed != 1 {
		t.Fatalf("%+v", r)
	}
	if len(r.Notices) != 1 || r.Notices[0].Kind != mirror.NoticeChanged || r.Notices[0].Document != uuid(1) {
		t.Fatalf("notices %+v", r.Notices)
	}
	if got := row(t, m, "bread"); got.Level.Quantity != 8000 || !got.Deleted {
		t.Fatalf("%+v", got)
	}
	for n := 1; n <= 2; n++ {
		raw, err := m.Raw(t.Context(), uuid(n))
		if want := fmt.Sprintf(`{"id":"%s","type":"SELL","n":%d}`, uuid(n), n); err != nil || string(raw) != want {
			t.Fatalf("raw %d: %s, %v", n, raw, err)
		}
	}
}

func TestCloudCompletesShop(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	seen := sale(1, "bread", 1000, 1000, 10_000)
	received := sale(2, "bread", 2000, 1000, 0)
	received.Source = mirror.Shop
	received.Raw = []byte(`{"from":"shop"}`)
	received.Lines[0].HasStated = false
	r := put(t, m, mirror.Batch{Documents: []mirror.Document{seen, received}})
	if r.New != 2 {
		t.Fatalf("%+v", r)
	}
	if q := row(t, m, "bread").Level.Quantity; q != 8000 {
		t.Fatalf("level %s", q)
	}
	complete := sale(2, "bread", 2000, 1000, 7000) // stated: stock was changed outside
	complete.Lines = append(complete.Lines, stock.Line{Product: "milk", Quantity: 1000, Stated: 3000, HasStated: true})
	complete.Raw = []byte(`{"from":"cloud"}`)
	for round, want := range []mirror.Result{{Completed: 1, New: 1, Repeated: 1}, {Repeated: 2}} {
		batch := mirror.Batch{Documents: []mirror.Document{complete, complete}}
		if round == 0 {
			batch.Documents = append(batch.Documents, sale(3, "tea", 3000, 1000, 5000))
		}
		r = put(t, m, batch)
		if r.New != want.New || r.Completed != want.Completed || r.Repeated != want.Repeated || r.Changed != 0 {
			t.Fatalf("round %d: %+v", round, r)
		}
	}
	if r := put(t, m, mirror.Batch{Documents: []mirror.Document{received}}); r.Repeated != 1 {
		t.Fatalf("the shop's copy after the cloud's: %+v", r)
	}
	if q := row(t, m, "bread").Level.Quantity; q != 6000 {
		t.Fatalf("level %s, want the cloud's copy to count", q)
	}
	for n, want := range map[int]string{1: `"n":1`, 2: "cloud", 3: `"n":3`} {
		raw, err := m.Raw(t.Context(), uuid(n))
		if err != nil || !bytes.Contains(raw, []byte(want)) {
			t.Fatalf("raw %d: %s, %v", n, raw, err)
		}
	}
	if c, err := m.Counts(t.Context()); err != nil || c.Documents != 3 || c.Movements != 4 || c.Stale != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestRefused(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	nameless, undated, foreign, huge := sale(1, "a", 1, 1, 1), sale(2, "a", 0, 1, 1), sale(3, "a", 1, 1, 1), sale(4, "a", 1, 1, 1)
	nameless.ID = ""
	foreign.Store = "another"
	for n := range 1 << 16 {
		huge.Lines = append(huge.Lines, stock.Line{Product: fmt.Sprint(n), Quantity: 1})
	}
	bad := mirror.Bad{Where: "page 7", ID: "x", Raw: []byte("{"), Reason: "not JSON"}
	batch := mirror.Batch{Documents: []mirror.Document{nameless, undated, foreign, huge, sale(5, "a", 1, 1000, 5000)}, Bad: []mirror.Bad{bad}}
	for range 2 {
		r := put(t, m, batch)
		if r.Refused != 4 || r.New+r.Repeated != 1 {
			t.Fatalf("%+v", r)
		}
	}
	got, err := m.Quarantine(t.Context(), 0)
	if err != nil || len(got) != 5 {
		t.Fatalf("%d in quarantine, %v", len(got), err)
	}
	bad.At = testOptions("").Now().UnixMilli()
	if fmt.Sprint(got[0]) != fmt.Sprint(bad) {
		t.Fatalf("%+v", got[0])
	}
	if q := row(t, m, "a").Level.Quantity; q != 4000 {
		t.Fatalf("level %s", q)
	}
}

func TestRepeatedBatchWritesNothing(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	batch := mirror.Batch{
		Windows:  []mirror.Window{{Kind: "first", Since: 1, Until: 2, Cursor: "c"}},
		Coverage: &mirror.Coverage{From: 5},
		Bad:      []mirror.Bad{{Where: "page", Raw: []byte("x"), Reason: "bad"}},
	}
	for n := range 300 {
		batch.Documents = append(batch.Documents, sale(n, fmt.Sprint("p", n%7), int64(1000+n), 1000, 5000))
	}
	put(t, m, batch)
	changes := func() (n int64) {
		if err := m.DB().Read().QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
			t.Fatal(err)
		}
		_, wal, err := m.DB().Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return wal
	}
	if err := m.DB().Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := changes()
	for range 3 {
		if r := put(t, m, batch); r.Repeated != 300 || len(r.Levels) != 0 {
			t.Fatalf("%+v", r)
		}
	}
	if after := changes(); after != before {
		t.Errorf("a batch of known documents wrote %d bytes", after-before)
	}
}

func TestMoreIsDrawnAndClosed(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	windows := []mirror.Window{{Kind: "first", Since: 1, Until: 9}}
	raw := make([]byte, 0, 64) // reused for every document
	r := put(t, m, mirror.Batch{
		More: func(yield func(mirror.Document) bool) {
			for n := range 200 {
				d := sale(n, "bread", int64(1000+n), 1000, stock.Quantity(1000*(1000-n)))
				raw = fmt.Appendf(raw[:0], "body %d", n)
				d.Raw = raw
				if !yield(d) {
					return
				}
			}
		},
		Close:   func(b *mirror.Batch) { b.Windows[0].Done = true; b.Bad = []mirror.Bad{{Where: "end"}} },
		Windows: windows, Defer: true,
	})
	if r.New != 200 || len(r.Levels) != 0 {
		t.Fatalf("%+v", r)
	}
	if w, err := m.Windows(t.Context()); err != nil || len(w) != 1 || !w[0].Done {
		t.Fatalf("%+v, %v", w, err)
	}
	for _, n := range []int{0, 63, 64, 199} {
		if got, err := m.Raw(t.Context(), uuid(n)); err != nil || string(got) != fmt.Sprintf("body %d", n) {
			t.Fatalf("raw %d: %q, %v", n, got, err)
		}
	}
	if c, err := m.Counts(t.Context()); err != nil || c.Stale != 1 || c.Quarantine != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	calls := 0
	changes, err := m.Fold(t.Context(), func(done, total int) { calls++ })
	if err != nil || len(changes) != 1 || calls == 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if q := row(t, m, "bread").Level.Quantity; q != 800_000 {
		t.Fatalf("level %s", q)
	}
}

func TestFullCountZeroesWhatExisted(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	products := []stock.Product{
		{ID: "listed", Type: "NORMAL", Created: 1}, {ID: "unlisted", Type: "NORMAL", Created: 1},
		{ID: "later", Type: "NORMAL", Created: 9000}, {ID: "service", Type: "SERVICE", Created: 1},
		{ID: "undated", Type: "NORMAL"}, {ID: "undated-new", Type: "NORMAL"},
	}
	if err := m.PutProducts(t.Context(), 1, 1, products[:5]); err != nil {
		t.Fatal(err)
	}
	put(t, m, mirror.Batch{Documents: []mirror.Document{
		sale(1, "undated", 1000, 1000, 5000),
		count(2, 5000, stock.CompleteYes, map[string]stock.Quantity{"listed": 7000}),
		sale(3, "undated-new", 6000, 1000, 5000),
	}})
	if err := m.PutProducts(t.Context(), 1, 1, products); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]stock.Level{
		"listed": {Quantity: 7000, State: stock.Known}, "unlisted": {State: stock.Known}, "undated": {State: stock.Known},
		"later": {State: stock.Unresolved}, "service": {State: stock.Unresolved}, "undated-new": {Quantity: 4000, State: stock.Known},
	} {
		if got := row(t, m, id).Level; got.Quantity != want.Quantity || got.State != want.State {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
	// A card that says now that the product was there, and one that is new to us.
	products[2].Created = 4000
	products = append(products, stock.Product{ID: "found", Type: "NORMAL", Created: 10})
	if err := m.PutProducts(t.Context(), 2, 2, products); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"later", "found"} {
		if got := row(t, m, id).Level; got.State != stock.Known || got.Quantity != 0 || got.Last.Document != uuid(2) {
			t.Errorf("%s: %+v, want zero by the count", id, got)
		}
	}
	steps, err := m.Explain(t.Context(), "unlisted")
	if err != nil || len(steps) != 1 || !steps[0].Movement.Unlisted || steps[0].Movement.Document != uuid(2) {
		t.Errorf("%+v, %v", steps, err)
	}
}

func TestCoverageDecidesStateWithoutDocuments(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	if err := m.PutProducts(t.Context(), 1, 1, []stock.Product{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		coverage mirror.Coverage
		want     stock.State
	}{{mirror.Coverage{From: 100, Newest: 9}, stock.Unresolved}, {mirror.Coverage{From: 50, Complete: true}, stock.Unknown}} {
		put(t, m, mirror.Batch{Coverage: &step.coverage})
		if got := row(t, m, "a").Level.State; got != step.want {
			t.Errorf("%+v: %s, want %s", step.coverage, got, step.want)
		}
		if c, err := m.Counts(t.Context()); err != nil || c.States[step.want] != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	if c, err := m.Coverage(t.Context()); err != nil || c != (mirror.Coverage{From: 50, Complete: true, Newest: 9}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestFoldSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}, Defer: true})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, testOptions(dir))
	if changes, err := m.Fold(t.Context(), nil); err != nil || len(changes) != 1 || changes[0].After.Quantity != 4000 {
		t.Fatalf("%+v, %v", changes, err)
	}
}

func TestOpenAnew(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	m := open(t, o)
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	guide := o
	guide.Method = stock.Guide
	m, notice, err := mirror.Open(t.Context(), guide)
	if err != nil || notice == nil || notice.Moved != "" {
		t.Fatalf("another method: %+v, %v", notice, err)
	}
	if _, err := m.Fold(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if rules, _, err := m.Rules(t.Context()); err != nil || rules.Method != stock.Guide || row(t, m, "a").Level.Quantity != 4000 {
		t.Fatalf("%+v, %v", rules, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*mirror.Options){
		"store": func(o *mirror.Options) { o.Store = "another" },
		"rules": func(o *mirror.Options) { o.Rules.SubIgnored = true },
	} {
		changed := guide
		change(&changed)
		m, notice, err := mirror.Open(t.Context(), changed)
		if err != nil || notice == nil || notice.Moved == "" {
			t.Fatalf("%s: %+v, %v", name, notice, err)
		}
		if c, err := m.Counts(t.Context()); err != nil || c.Documents != 0 {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		guide = changed
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "mirror.db.replaced-*")); len(aside) != 2 {
		t.Errorf("set aside: %v", aside)
	}
}

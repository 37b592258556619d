package virtpos_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

// shelf is a source with figures in whole units.
type shelf struct {
	figures   map[string]int
	unmapped  []string
	err       error
	refreshed int
	refresh   func() // what a refresh brings to light
}

func (s *shelf) Figures(context.Context) (rows []target.Row, unmapped []string, err error) {
	for key, n := range s.figures {
		rows = append(rows, target.Row{Key: key, Quantity: units(n)})
	}
	return rows, s.unmapped, s.err
}

func (s *shelf) Figure(_ context.Context, key string) (stock.Quantity, error) {
	n, ok := s.figures[key]
	if !ok {
		return 0, virtpos.ErrNoFigure
	}
	return units(n), s.err
}

func (s *shelf) Refresh(context.Context) error {
	s.refreshed++
	if s.refresh != nil {
		s.refresh()
	}
	return s.err
}

// disk is a store whose steps are whole, as a database's are.
type disk struct {
	bytes []byte // what a power cut leaves
	seam  func(step string)
	fail  error
}

type content struct {
	Run       virtpos.Run
	Rows      map[string]virtpos.RunRow
	Snapshots map[virtpos.Moment]virtpos.Snapshot
}

func (d *disk) content() (c content) {
	if d.bytes != nil {
		if err := json.Unmarshal(d.bytes, &c); err != nil {
			panic(err)
		}
	}
	return c
}

func (d *disk) commit(ctx context.Context, step string, c content) error {
	d.seam("before " + step)
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.fail != nil {
		return d.fail
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	d.bytes = text
	d.seam("after " + step)
	return nil
}

func (d *disk) Load(context.Context) (virtpos.Run, bool, error) {
	return d.content().Run, d.bytes != nil, d.fail
}

func (d *disk) Rows(context.Context) (rows []virtpos.RunRow, err error) {
	for _, row := range d.content().Rows {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b virtpos.RunRow) int { return cmp.Compare(a.Item, b.Item) })
	return rows, d.fail
}

func (d *disk) Snapshot(_ context.Context, moment virtpos.Moment) (virtpos.Snapshot, error) {
	return d.content().Snapshots[moment], d.fail
}

func (d *disk) Begin(ctx context.Context, run virtpos.Run, rows []virtpos.RunRow, start virtpos.Snapshot) error {
	c := content{run, make(map[string]virtpos.RunRow), map[virtpos.Moment]virtpos.Snapshot{start.Moment: start}}
	for _, row := range rows {
		c.Rows[row.Item] = row
	}
	return d.commit(ctx, "begin", c)
}

func (d *disk) Save(ctx context.Context, run virtpos.Run, rows []virtpos.RunRow, taken *virtpos.Snapshot) error {
	c := d.content()
	c.Run = run
	for _, row := range rows {
		c.Rows[row.Item] = row
	}
	if taken != nil {
		c.Snapshots[taken.Moment] = *taken
	}
	return d.commit(ctx, "save "+string(run.Phase), c)
}

// desk is an office with a source, a store and full runs of the warehouse.
type desk struct {
	*office
	shelf *shelf
	disk  *disk
	full  virtpos.FullOptions
}

// newDesk has the source figures and the warehouse's.
func newDesk(t testing.TB, s virtpostest.Settings, source, held map[string]int) *desk {
	t.Helper()
	o := open(t, s, nil)
	o.put(held)
	d := &desk{office: o, shelf: &shelf{figures: source}, disk: &disk{seam: func(string) {}}}
	d.full = virtpos.FullOptions{
		TargetOptions: virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}},
		Store:         d.disk, Source: d.shelf, Mass: true, SaveEvery: 2,
	}
	return d
}

func (d *desk) run(t testing.TB) (virtpos.Report, error) {
	t.Helper()
	full, err := d.client.FullRun(d.full)
	if err != nil {
		t.Fatal(err)
	}
	return full.Run(context.Background())
}

// finish runs until the run is done.
func (d *desk) finish(t testing.TB) virtpos.Report {
	t.Helper()
	report, err := d.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if report.Run.Phase != virtpos.Done {
		t.Fatalf("the run is %s", report.Run.Phase)
	}
	return report
}

// versions are what was sent with each zeroing.
func (d *desk) versions() (list []string) {
	for _, r := range d.Requests() {
		if r.Call == virtpostest.CallZero {
			list = append(list, r.Query.Get("version"))
		}
	}
	return list
}

// calls are the calls of a full run in their order, without the readings.
func (d *desk) calls() (list []string) {
	for _, r := range d.Requests() {
		if r.Call == virtpostest.CallVersion || r.Call == virtpostest.CallUpdate || r.Call == virtpostest.CallZero {
			list = append(list, r.Call[len("store/"):])
		}
	}
	return list
}

// powerCut is what a played power cut panics with.
type powerCut struct{ step string }

// crashAt runs and stops at the nth step: before or after a request or a change of
// the store.
func (d *desk) crashAt(t testing.TB, nth int) (step string, crashed bool) {
	n := 0
	seam := func(step string) {
		if n++; n == nth {
			panic(powerCut{step})
		}
	}
	d.seam, d.disk.seam = seam, seam
	defer func() {
		d.seam, d.disk.seam = func(string) {}, func(string) {}
		if cut, ok := recover().(powerCut); ok {
			step, crashed = cut.step, true
		}
	}()
	if _, err := d.run(t); err != nil {
		t.Errorf("before the power cut: %v", err)
	}
	return "", false
}

// readings are the ways in which versions may be counted and compared.
func readings() map[string]virtpostest.Settings {
	return map[string]virtpostest.Settings{
		"a question counts, below":  {},
		"a question counts, up to":  {UpTo: true},
		"every write counts, below": {CountWrites: true},
		"every write counts, up to": {CountWrites: true, UpTo: true},
	}
}

// Under every reading of the version a run ends with the source's figures; what the
// source does not know is zero, at once or in the run after.
func TestFullRunUnderEveryReading(t *testing.T) {
	for name, settings := range readings() {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, settings, map[string]int{"101": 3, "102": 0, "103": 7, "111": -2}, map[string]int{"101": 1, "102": 4, "103": 7, "104": 9})
			d.Write(wh, "105", units(6)) // the last row that was written before the run
			first := d.finish(t)
			for item, n := range map[string]int{"101": 3, "102": 0, "103": 7, "111": -2, "104": 0} {
				d.holds(t, item, n)
			}
			if settings.UpTo && !settings.CountWrites {
				// The zeroing takes what was just written: that is mended, and it is
				// never used again.
				if len(first.Mended) != 3 || !first.Run.Unsafe {
					t.Errorf("mended %v, unsafe %v", first.Mended, first.Run.Unsafe)
				}
				d.put(map[string]int{"106": 5})
			} else if first.Run.Unsafe || len(first.Mended) != 0 {
				t.Errorf("mended %v, unsafe %v", first.Mended, first.Run.Unsafe)
			}
			zeroed := d.Calls(virtpostest.CallZero)
			for range 2 {
				d.finish(t)
			}
			d.holds(t, "105", 0)
			d.holds(t, "106", 0)
			if first.Run.Unsafe && d.Calls(virtpostest.CallZero) != zeroed {
				t.Error("an unsafe zeroing was used again")
			}
			for item, n := range map[string]int{"101": 3, "102": 0, "103": 7, "111": -2} {
				d.holds(t, item, n)
			}
		})
	}
}

// A power cut at any step, under every reading, with anything sold meanwhile: the
// run goes on with the version that it began with, and ends right.
func TestPowerCutAtAnyStep(t *testing.T) {
	for name, settings := range readings() {
		t.Run(name, func(t *testing.T) {
			for nth := 1; ; nth++ {
				d := newDesk(t, settings, map[string]int{"101": 3, "102": 0, "103": 7, "104": 2, "106": 1}, map[string]int{"101": 1, "102": 4, "103": 7, "105": 9})
				step, crashed := d.crashAt(t, nth)
				kept := d.disk.content().Run
				d.shelf.figures["103"]-- // sold, and known to the source
				report := d.finish(t)
				if crashed && !kept.Phase.Ended() && kept.Phase != "" && (report.Run.Version != kept.Version || !report.Resumed) {
					t.Errorf("at %q: the run began with version %d and went on with %d", step, kept.Version, report.Run.Version)
				}
				calls := d.calls()
				if first := slices.Index(calls, "updateOnhand"); kept.Phase != virtpos.Done && slices.Contains(calls[first:], "getOnhandVersion") {
					t.Errorf("at %q: the version was asked for again: %v", step, calls)
				}
				d.finish(t) // what was left
				if slices.Contains(d.versions(), "") {
					t.Errorf("at %q: a zeroing without a version", step)
				}
				for item, n := range map[string]int{"101": 3, "102": 0, "104": 2, "105": 0, "106": 1} {
					d.holds(t, item, n)
				}
				// 103 was confirmed before or after the sale; the delivery mends that.
				if q, _ := d.Holds(wh, "103"); q != units(7) && q != units(6) {
					t.Errorf("at %q: %v", step, q)
				}
				if t.Failed() {
					t.Fatalf("at step %d, %q", nth, step)
				}
				if !crashed {
					break
				}
			}
		})
	}
}

// A figure of the store that cannot be kept ends the run before it is relied on.
func TestAStoreThatFailsStopsTheRun(t *testing.T) {
	full := errors.New("the disk is full")
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3}, map[string]int{"101": 1, "105": 9})
	d.Meanwhile(virtpostest.CallVersion, 0, func() { d.disk.fail = full })
	if _, err := d.run(t); !errors.Is(err, full) {
		t.Error(err)
	}
	if got := d.calls(); !slices.Equal(got, []string{"getOnhandVersion"}) {
		t.Errorf("went on with a version that was not kept: %v", got)
	}
	d.disk.fail = nil
	d.Meanwhile(virtpostest.CallUpdate, 0, func() { d.disk.fail = full })
	if _, err := d.run(t); !errors.Is(err, full) || d.Calls(virtpostest.CallZero) != 0 {
		t.Error(err)
	}
	d.disk.fail = nil
	d.finish(t)
	d.holds(t, "101", 3)
	d.holds(t, "105", 0)
}

// A run that is told to end, or whose power is cut, keeps what is confirmed, in
// steps of SaveEvery.
func TestWhatIsConfirmedIsKept(t *testing.T) {
	start := func() (*desk, func() int) {
		source := make(map[string]int)
		for i, id := range items(7) {
			source[id] = i + 1
		}
		d := newDesk(t, virtpostest.Settings{}, source, map[string]int{"112": 9})
		return d, func() int {
			rows, _ := d.disk.Rows(t.Context())
			return len(slices.DeleteFunc(rows, func(r virtpos.RunRow) bool { return r.State != virtpos.Confirmed }))
		}
	}
	d, confirmed := start()
	ctx, cancel := context.WithCancel(context.Background())
	d.Meanwhile(virtpostest.CallUpdate, 3, cancel)
	full, err := d.client.FullRun(d.full)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Run(ctx); !errors.Is(err, context.Canceled) || confirmed() != 3 {
		t.Errorf("%d rows are kept, %v", confirmed(), err)
	}
	if report := d.finish(t); report.Sent != 4 {
		t.Errorf("%d rows were written again", report.Sent)
	}

	d, confirmed = start()
	updates := 0
	d.seam = func(step string) {
		if step == "before /api/store/updateOnhand" {
			if updates++; updates == 6 {
				panic(powerCut{step})
			}
		}
	}
	func() {
		defer func() { recover() }()
		d.run(t)
	}()
	d.seam = func(string) {}
	if confirmed() != 4 {
		t.Errorf("%d rows are kept of 5", confirmed())
	}
	d.finish(t)
	d.holds(t, "107", 7)
}

// One item that is sold out in the moment of the zeroing is no sign that the
// zeroing takes good stock; its figure is the source's all the same.
func TestSoldOutInTheMomentOfTheZeroing(t *testing.T) {
	for _, known := range []int{3, 0} {
		d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 4}, map[string]int{"101": 1, "105": 9})
		d.Meanwhile(virtpostest.CallZero, 0, func() {
			d.Sell(wh, "101", units(3))
			d.shelf.figures["101"] = known
		})
		report := d.finish(t)
		if report.Run.Unsafe || !slices.Equal(report.Mended, []string{"101"}) {
			t.Errorf("%+v", report)
		}
		d.holds(t, "101", known)
		d.holds(t, "102", 4)
	}
}

func TestFullRunByExternalCodes(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"ext-101": 3, "ext-102": 0}, map[string]int{"101": 1, "102": 4, "105": 9})
	d.full.TargetOptions = virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: whExt, External: true}, External: true}
	report := d.finish(t)
	d.holds(t, "101", 3)
	d.holds(t, "102", 0)
	d.holds(t, "105", 0)
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 9000}}, report.Zeroed); diff != "" {
		t.Error(diff)
	}
	for _, call := range []string{virtpostest.CallVersion, virtpostest.CallUpdate, virtpostest.CallZero} {
		if r := d.last(t, call); r.Query.Get("ext_warehouseid") != whExt || r.Query.Has("warehouseid") {
			t.Errorf("%s: %v", call, r.Query)
		}
	}
}

// Without Mass nothing is zeroed at once; what the source does not know is zeroed
// by name in the next run, with what was overwritten.
func TestFullRunWithoutMass(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3}, map[string]int{"101": 1, "105": 9, "106": 2})
	d.full.Mass = false
	first := d.finish(t)
	want := []virtpos.Figure{{Item: "105", Quantity: 9000}, {Item: "106", Quantity: 2000}}
	if diff := gocmp.Diff(want, first.Left); diff != "" {
		t.Error(diff)
	}
	d.holds(t, "105", 9)
	d.Sell(wh, "105", units(1))
	d.Receive(wh, "106", units(5))
	second := d.finish(t)
	d.holds(t, "105", 0)
	d.holds(t, "106", 7) // grown: someone uses it
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "106", Quantity: 7000}}, second.HeldBack); diff != "" {
		t.Error(diff)
	}
	if d.Calls(virtpostest.CallZero) != 0 {
		t.Error("zeroed at once")
	}
	rows, _ := d.disk.Rows(t.Context())
	if before := units(8); !slices.ContainsFunc(rows, func(r virtpos.RunRow) bool { return r.Item == "105" && *r.Before == before }) {
		t.Errorf("%+v", rows)
	}
	d.shelf.figures["106"] = 4 // the source has learned of it
	d.finish(t)
	d.holds(t, "106", 4)
}

// A product that was left over and that the source learns of while it is zeroed.
func TestLeftOverIsLearnedOfDuringTheRun(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3}, map[string]int{"101": 1, "105": 9})
	d.full.Mass = false
	d.finish(t)
	d.Meanwhile(virtpostest.CallUpdate, 1, func() { d.shelf.figures["105"] = 8 })
	d.finish(t)
	d.holds(t, "105", 8)
}

// What has grown between two runs is not zeroed by the second, mass or not; the
// third takes it for left over unless it has grown again.
func TestGrownBetweenRuns(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{CountWrites: true}, map[string]int{"101": 3}, map[string]int{"101": 1, "106": 1})
	d.Write(wh, "105", units(9)) // survives the first zeroing
	if report := d.finish(t); !slices.Equal(report.Left, []virtpos.Figure{{Item: "105", Quantity: 9000}}) {
		t.Fatalf("%+v", report)
	}
	d.Receive(wh, "105", units(5))
	d.Fail(virtpostest.CallUpdate, virtpostest.Broken, 0, 1)
	if _, err := d.run(t); err == nil { // the hold outlives the call
		t.Fatal("a failed update")
	}
	if report := d.finish(t); d.Calls(virtpostest.CallZero) != 1 || !report.Run.Held {
		t.Errorf("%+v", report)
	}
	d.holds(t, "105", 14)
	d.finish(t)
	d.holds(t, "105", 0)
}

// A figure that cannot be written back is told, and the next run writes it.
func TestMendingThatIsRefused(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{UpTo: true}, map[string]int{"101": 3, "102": 4}, map[string]int{"101": 1, "105": 9})
	d.Fail(virtpostest.CallUpdate, virtpostest.Refused, 3, 1)
	report, err := d.run(t)
	if stopped, ok := errors.AsType[*virtpos.UnconfirmedError](err); !ok || stopped.Rows[0].Item != "102" || report.Run.Phase != virtpos.Stopped || !report.Run.Unsafe {
		t.Errorf("%+v, %v", report, err)
	}
	d.holds(t, "101", 3)
	d.holds(t, "102", 0)
	if report := d.finish(t); !report.Run.Unsafe || d.Calls(virtpostest.CallZero) != 1 {
		t.Errorf("%+v", report)
	}
	d.holds(t, "102", 4)
}

// Where nothing is left over, nothing is zeroed.
func TestNoZeroingForNothing(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 0}, map[string]int{"101": 1, "102": 4, "105": 0})
	if report := d.finish(t); len(report.Left) != 0 {
		t.Error(report.Left)
	}
	if d.Calls(virtpostest.CallZero) != 0 {
		t.Error("zeroed")
	}
}

// Products that the source learns of during the run join it, with its version.
func TestNewProductsJoinTheRun(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3}, map[string]int{"101": 1, "102": 5, "105": 9})
	d.Meanwhile(virtpostest.CallUpdate, 0, func() { d.shelf.figures["102"] = 6 })
	d.finish(t)
	d.holds(t, "102", 6)
	d.holds(t, "105", 0)
	if d.Calls(virtpostest.CallVersion) != 1 {
		t.Error("the version was asked for again")
	}
}

func TestAnOldRunStartsOver(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 5}, map[string]int{"101": 1, "105": 9})
	d.Fail(virtpostest.CallUpdate, virtpostest.Broken, 1, 1)
	first, err := d.run(t)
	if rest.KindOf(err) != rest.Temporary {
		t.Fatal(err)
	}
	d.now = d.now.Add(25 * time.Hour)
	second := d.finish(t)
	if second.Resumed || second.Run.Version == first.Run.Version || second.Sent != 2 {
		t.Errorf("%+v", second)
	}
	// A zeroing that nobody knows of is not sent a day later: it is looked at.
	d.put(map[string]int{"105": 9})
	d.Fail(virtpostest.CallZero, virtpostest.Broken, 0, 1)
	if _, err := d.run(t); rest.KindOf(err) != rest.Temporary {
		t.Fatal(err)
	}
	d.now = d.now.Add(25 * time.Hour)
	third := d.finish(t)
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 9000}}, third.Left); diff != "" || d.Calls(virtpostest.CallZero) != 2 {
		t.Error(diff, d.calls())
	}
}

func TestFullRunRefusesAnUnknownLevel(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 5}, map[string]int{"101": 1, "105": 9})
	d.Meanwhile(virtpostest.CallVersion, 0, func() { delete(d.shelf.figures, "102") })
	report, err := d.run(t)
	if _, ok := errors.AsType[*virtpos.UnconfirmedError](err); !ok || len(report.Refused) != 1 || d.Calls(virtpostest.CallZero) != 0 {
		t.Errorf("%v, %+v", err, report)
	}
}

// An item in lots cannot be written, so the run does not zero.
func TestFullRunStopsAtLots(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{Lots: true}, map[string]int{"101": 3, "102": 5}, map[string]int{"105": 9})
	d.Put(wh, virtpostest.Balance{Item: "101", Quantity: 1000, Lot: "A"})
	d.Put(wh, virtpostest.Balance{Item: "101", Quantity: 1000, Lot: "B"})
	_, err := d.run(t)
	if stopped, ok := errors.AsType[*virtpos.UnconfirmedError](err); !ok || stopped.Rows[0].Item != "101" {
		t.Error(err)
	}
	d.holds(t, "101", 2)
	d.holds(t, "102", 5)
	d.holds(t, "105", 9)
}

// A figure that cannot be read, of whatever item, is a reason to do nothing.
func TestFullRunNeedsEveryFigure(t *testing.T) {
	asked := 0
	c, err := virtpos.New(virtpos.Options{URL: "https://mycompany.virtpos.test", Key: apikey, MaxWait: time.Millisecond,
		Transport: tripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/api/store/") {
				asked++
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(
				`{"success":1,"version":5,"warehouses":[{"id":3,"items":[{"id":101,"quantity":4},{"id":105,"quantity":"?"}]}]}`))}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	store := &disk{seam: func(string) {}}
	full, err := c.FullRun(virtpos.FullOptions{TargetOptions: virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}},
		Store: store, Source: &shelf{figures: map[string]int{"101": 3}}, Mass: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Run(context.Background()); !errors.Is(err, stock.ErrQuantity) || asked != 0 || store.bytes != nil {
		t.Errorf("%d calls, %v", asked, err)
	}
}

func TestFullRunNeedsItsParts(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	if _, err := o.client.FullRun(virtpos.FullOptions{}); err == nil {
		t.Error("made without a store")
	}
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3}, nil)
	d.full.Warehouse = virtpos.Ref{ID: "77"}
	_, err := d.run(t)
	if rest.KindOf(err) != rest.Forbidden || len(d.calls()) != 0 {
		t.Errorf("a warehouse that does not exist: %v", err)
	}
	d.full.Warehouse = virtpos.Ref{ID: wh}
	d.full.Source = &twice{d.shelf}
	if _, err := d.run(t); err == nil || len(d.calls()) != 0 {
		t.Errorf("an item twice: %v", err)
	}
}

type twice struct{ *shelf }

func (s *twice) Figures(ctx context.Context) ([]target.Row, []string, error) {
	rows, _, err := s.shelf.Figures(ctx)
	return append(rows, rows...), nil, err
}

// sorted compares rows in any order.
var sorted = cmpopts.SortSlices(func(a, b virtpos.RunRow) bool { return a.Item < b.Item })

// What is kept is enough to explain the run afterwards.
func TestWhatARunKeeps(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 0}, map[string]int{"101": 1, "102": 4})
	report := d.finish(t)
	rows, _ := d.disk.Rows(t.Context())
	one, four := units(1), units(4)
	want := []virtpos.RunRow{
		{Item: "101", Key: "101", State: virtpos.Confirmed, Quantity: 3000, Before: &one},
		{Item: "102", Key: "102", State: virtpos.Confirmed, Quantity: 0, Before: &four},
	}
	if diff := gocmp.Diff(want, rows, sorted); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff(virtpos.Run{Phase: virtpos.Done, Version: 2, Started: noon.UnixMilli()}, report.Run); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff(report.Run, d.disk.content().Run); diff != "" {
		t.Error(diff)
	}
}

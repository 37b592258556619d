package agent_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/match"
	"ostatok/sync/virtpos/virtpostest"
)

// till makes a VirtPOS that knows the shop's products by their codes, and
// configures it as the target "till".
func (b *box) till() *virtpostest.Server {
	office := virtpostest.New(virtpostest.Settings{Key: "till-key"})
	office.AddWarehouse("3", "", "Магазин")
	for _, p := range b.shop.Products() {
		office.AddItem(virtpostest.Item{ID: "1" + p.Code, External: p.Code, Name: p.Name})
	}
	server := httptest.NewServer(office)
	b.t.Cleanup(func() { office.Close(); server.Close() })
	b.config.Targets = []config.Target{{
		Name: "till", Kind: config.VirtPOS, URL: server.URL, Key: config.NewSecret("till-key"), Warehouse: "3",
		Match: "code", External: true, Quantity: "physical", Write: config.Approve, Format: "xml", FullZero: "single",
	}}
	return office
}

// planned is the open plan for the till: the products of its rows, and the
// reasons of those that are not in it.
func (b *box) planned(a *agent.Agent) (rows []string, unmatched map[string]string) {
	b.t.Helper()
	plans, err := a.Plans(b.t.Context(), "till", false)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(plans, func(p journal.Plan) bool { return p.State == journal.PlanOpen })
	if i < 0 {
		b.t.Fatalf("no plan is open: %v", plans)
	}
	unmatched = make(map[string]string)
	for _, u := range plans[i].Unmatched {
		unmatched[u.Product] = u.Reason
	}
	for _, r := range plans[i].Rows {
		rows = append(rows, r.Product)
	}
	return rows, unmatched
}

// Where no product has a key there is nothing to plan, and a sync must not look as
// if all were well.
func TestATargetThatKnowsNothingOfOurs(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.till()
	b.config.Targets[0].Match = "mapping" // and there is none
	a := b.open()
	defer func() { _ = a.Close() }()
	r, err := a.Sync(t.Context(), false, nil)
	if err != nil || !r.Complete {
		t.Fatalf("%+v, %v", r, err)
	}
	i := slices.IndexFunc(r.Problems, func(p local.Problem) bool { return p.Kind == "nothing_matched" })
	if i < 0 || !strings.HasPrefix(r.Problems[i].Message, "till: none of ") || !strings.Contains(r.Problems[i].Do, "mapping check --target till") {
		t.Errorf("%+v", r.Problems)
	}
}

// A mapping counts from the next plan on, also after a restart: the product has
// the key, and the one whose code that is waits for somebody's word.
func TestMappingTakesAKey(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.till()
	goods := slices.DeleteFunc(b.shop.Products(), func(p stock.Product) bool { return p.Service() })
	mapped, owner := goods[0], goods[1]
	a := b.open()
	defer func() { _ = a.Close() }()
	sync := func() {
		t.Helper()
		if _, err := a.Sync(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	sync()
	if rows, unmatched := b.planned(a); !slices.Contains(rows, owner.ID) || len(unmatched) != 0 {
		t.Fatalf("rows %v, unmatched %v", rows, unmatched)
	}

	entries := []match.Entry{{Line: 2, Product: mapped.ID, Key: owner.Code}}
	for _, o := range []local.MappingOptions{{DryRun: true}, {}} {
		result, err := a.SetMapping(t.Context(), "till", entries, o)
		if diff := cmp.Diff(local.MappingResult{Added: 1, Left: []string{}}, result); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		kept, err := a.Mapping(t.Context(), "till")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(kept, func(e match.Entry) bool { return e.Product == mapped.ID })
		if got := kept[i].Key != ""; got == o.DryRun || len(kept) != len(goods) {
			t.Fatalf("after %+v the mapping is %+v", o, kept)
		}
	}

	for _, restart := range []bool{false, true} {
		if restart {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			a = b.open()
		}
		sync()
		rows, unmatched := b.planned(a)
		if slices.Contains(rows, owner.ID) || !strings.Contains(unmatched[owner.ID], "is mapped") || len(unmatched) != 1 {
			t.Errorf("restarted %t: rows %v, unmatched %v", restart, rows, unmatched)
		}
		report, err := a.CheckMapping(t.Context(), "till")
		if err != nil || !report.Asked || len(report.Duplicate) != 1 || report.Duplicate[0].Product != owner.ID || len(report.Unused) != 1 {
			t.Errorf("restarted %t: %+v, %v", restart, report, err)
		}
	}
}

// What is refused changes nothing.
func TestMappingWithMistakes(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.till()
	b.sync()
	a := b.open()
	defer func() { _ = a.Close() }()
	p := b.shop.Products()[0]
	if _, err := a.SetMapping(t.Context(), "till", []match.Entry{{Line: 2, Product: p.ID, Key: "k"}}, local.MappingOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		target  string
		entries []match.Entry
		code    local.Code
		text    string
	}{
		"nobody":      {"till", []match.Entry{{Line: 2, Product: p.ID, Key: "l"}, {Line: 3, Code: "none", Key: "m"}}, local.Refused, "line 3: no product"},
		"two keys":    {"till", []match.Entry{{Line: 2, Product: p.ID, Key: "l"}, {Line: 3, Code: p.Code, Key: "m"}}, local.Refused, "line 3: it maps"},
		"the cloud":   {"evotor", nil, local.Refused, "nothing to map"},
		"no target":   {"site", nil, local.NotFound, "the configuration has till"},
		"two of them": {"till", []match.Entry{{Line: 2, Product: b.shop.Products()[1].ID, Key: "k"}}, local.Refused, "in the mapping in force"},
	} {
		_, err := a.SetMapping(t.Context(), c.target, c.entries, local.MappingOptions{})
		if local.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		kept, err := a.Mapping(t.Context(), "till")
		if i := slices.IndexFunc(kept, func(e match.Entry) bool { return e.Product == p.ID }); err != nil || kept[i].Key != "k" {
			t.Errorf("%s: the mapping is %+v, %v", name, kept, err)
		}
	}
}

// A target that cannot be asked is told of, and what can be said without it is
// said.
func TestCheckMappingOfASilentTarget(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	office := b.till()
	b.sync()
	a := b.open()
	defer func() { _ = a.Close() }()
	office.Fail("item", virtpostest.Refused, 0, -1)
	report, err := a.CheckMapping(t.Context(), "till")
	if err != nil || report.Asked || !report.Failed || report.Matched == 0 || len(report.Unmatched) != 0 ||
		!strings.Contains(report.Reason, "till could not be asked") || strings.Contains(report.Reason, "till-key") {
		t.Errorf("%+v, %v", report, err)
	}
}

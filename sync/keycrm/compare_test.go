package keycrm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
)

func TestCompareIsASecondOpinion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 60, keycrmtest.Options{}, nil)
		crm.AddOffer("twice")
		crm.AddOffer("twice")
		for s, q := range map[string]stock.Quantity{sku(0): units(5), sku(1): 1900, sku(2): units(-2), "twice": units(1)} {
			crm.Set(shopHouse, s, q)
			crm.Set(mainHouse, s, units(70))
		}
		crm.Reserve(shopHouse, sku(0), units(2))
		levels := map[string]stock.Quantity{
			sku(0): units(4), sku(1): 1950, sku(2): units(-2), sku(3): 0, sku(4): units(1), "twice": units(2), "none": units(8),
		}
		got, err := c.Compare(t.Context(), shopHouse, stock.Unit, levels)
		if err != nil {
			t.Fatal(err)
		}
		want := keycrm.Comparison{At: time.Now().UnixMilli(), Equal: 3, Extra: 55, Differences: []keycrm.Difference{
			{SKU: sku(0), Kind: keycrm.Differs, Ours: units(4), Theirs: units(5), Held: units(2), Offers: []int64{1}},
			{SKU: sku(4), Kind: keycrm.Differs, Ours: units(1), Offers: []int64{5}},
			{SKU: "none", Kind: keycrm.Missing, Ours: units(8)},
			{SKU: "twice", Kind: keycrm.Ambiguous, Ours: units(2), Theirs: units(2), Offers: []int64{61, 62}},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if exact, err := c.Compare(t.Context(), shopHouse, 1, levels); err != nil || exact.Equal != 2 {
			t.Errorf("%+v, %v", exact, err)
		}
		if sum, err := c.Compare(t.Context(), 0, 1, map[string]stock.Quantity{sku(0): units(75)}); err != nil || sum.Equal != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		if crm.Written() != 0 {
			t.Error("a second opinion wrote something")
		}
	})
}

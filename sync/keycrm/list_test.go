package keycrm_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/target"
)

func listed(t *testing.T, w target.Target) (keys []string, err error) {
	t.Helper()
	for k, err := range w.(target.Lister).List(t.Context()) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, k.Key)
	}
	return keys, nil
}

func TestListOfOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 120, keycrmtest.Options{}, nil)
		crm.AddOffer(sku(3)) // shared
		crm.AddOffer("")
		disturb(crm, 1, func() { crm.RemoveOffer(7) })
		keys, err := listed(t, warehouse(t, c, keycrm.TargetOptions{}))
		if err != nil || len(keys) != 120 || slices.Contains(keys, sku(6)) {
			t.Errorf("%d SKUs, %v", len(keys), err)
		}
		slices.Sort(keys)
		if len(slices.Compact(keys)) != 119 {
			t.Error("the shared SKU does not come twice")
		}
		ids, err := listed(t, warehouse(t, c, keycrm.TargetOptions{ByOffer: true}))
		if err != nil || len(ids) != 121 || ids[0] != "1" {
			t.Errorf("offers %v, %v", ids, err)
		}
	})
}

// A sweep that never holds together says nothing.
func TestListThatNeverHoldsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 130, keycrmtest.Options{}, nil)
		crm.Before(func(*http.Request) { crm.AddOffer("one more") })
		if keys, err := listed(t, warehouse(t, c, keycrm.TargetOptions{})); !errors.Is(err, keycrm.ErrUnsteady) || len(keys) != 0 {
			t.Errorf("%d SKUs, %v", len(keys), err)
		}
	})
}

package keycrm_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
)

// Why a SKU of several offers has no figure is said where the product is shown.
func TestSharedSKUSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{}, nil)
		crm.AddOffer(sku(1))
		seen, err := warehouse(t, c, keycrm.TargetOptions{}).Read(t.Context(), []string{sku(1), sku(2)})
		if err != nil || len(seen) != 2 {
			t.Fatal(seen, err)
		}
		if o := seen[0]; o.Found || !strings.HasPrefix(o.Reason, "2 offers share this SKU: 2, 4;") {
			t.Errorf("%+v", o)
		}
		if o := seen[1]; !o.Found || o.Reason != "" {
			t.Errorf("%+v", o)
		}
	})
}

package keycrm_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/push/pushtest"
)

// What the engine relies on, in each of the readings that the vendor's documents
// leave open.
func TestConformance(t *testing.T) {
	for name, test := range map[string]struct {
		account keycrmtest.Options
		target  keycrm.TargetOptions
	}{
		"by SKU, unknown ones passed over":                       {keycrmtest.Options{}, keycrm.TargetOptions{}},
		"documented envelope, warehouses without figures listed": {keycrmtest.Options{Documented: true, ListEmpty: true}, keycrm.TargetOptions{}},
		"whole numbers, nothing below zero":                      {keycrmtest.Options{RefuseDecimals: true, RefuseNegative: true, RefuseUnknown: true}, keycrm.TargetOptions{Precision: stock.Unit}},
		"below zero, small batches":                              {keycrmtest.Options{}, keycrm.TargetOptions{Negative: true, Batch: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			pushtest.RunTarget(t, func(t *testing.T) pushtest.Subject { return subject(t, test.account, test.target) })
		})
	}
}

// subject is an account over HTTP on a clock that does not make the test wait.
func subject(t *testing.T, account keycrmtest.Options, o keycrm.TargetOptions) pushtest.Subject {
	t.Helper()
	clock := newClock()
	account.Keys, account.Now, account.Visible = []string{key}, clock.Now, 2*time.Second
	crm := keycrmtest.New(account)
	crm.AddWarehouse(mainHouse, "Основной")
	crm.AddWarehouse(shopHouse, "Магазин")
	goods := skus(12)
	for _, s := range goods {
		crm.AddOffer(s)
		crm.Set(mainHouse, s, units(100)) // another warehouse, which nobody may touch
	}
	server := httptest.NewServer(crm)
	t.Cleanup(server.Close)
	c, err := keycrm.New(keycrm.Options{URL: server.URL + "/v1", Key: key, Now: clock.Now, Sleep: clock.Sleep})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o.Warehouse = "2"
	target, err := c.Target(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range goods {
			if q, _, _ := crm.Holds(mainHouse, s); q != units(100) {
				t.Errorf("%s in the other warehouse is %v", s, q)
			}
		}
		for _, r := range crm.Requests() {
			if r.Status == 429 {
				t.Fatalf("the rate limit was exceeded at %v", r.At)
			}
		}
	})
	return pushtest.Subject{
		Kind: "keycrm", Target: target, Keys: goods,
		Holds: func(key string) (stock.Quantity, bool) {
			q, _, ok := crm.Holds(shopHouse, key)
			return q, ok
		},
		Set:    func(key string, q stock.Quantity) { crm.Set(shopHouse, key, q) },
		Writes: crm.Written,
		Refuse: func(key string) { crm.Refuse(key, true) },
		Down: func(down bool) {
			if down {
				crm.Fail("", keycrmtest.Unavailable, 0, -1)
			} else {
				crm.ClearFaults()
			}
		},
	}
}

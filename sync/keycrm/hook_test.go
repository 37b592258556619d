package keycrm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/target"
)

// inbox receives an account's webhooks.
type inbox struct {
	crm    *keycrmtest.CRM
	bodies chan []byte
}

func (b *inbox) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	b.bodies <- body
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, err
}

// next waits for a webhook.
func (b *inbox) next(t *testing.T) []byte {
	t.Helper()
	select {
	case body := <-b.bodies:
		return body
	case <-time.After(time.Minute):
		t.Fatal("no webhook came")
		return nil
	}
}

// listen sets up a webhook of the shop's warehouse, or of orders, and delivers
// until the test ends. The account must have been made with the inbox.
func listen(t *testing.T, crm *keycrmtest.CRM, orders bool) *inbox {
	t.Helper()
	b := &inbox{crm: crm, bodies: make(chan []byte, 100)}
	crm.SetTransport(b)
	if orders {
		crm.AddOrderHook("http://agent.test/hooks/keycrm/orders")
	} else {
		crm.AddStockHook("http://agent.test/hooks/keycrm/stocks", shopHouse)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); crm.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

// nothing is known of any reserve but that it is none.
func noReserve(string) (stock.Quantity, bool) { return 0, true }

func TestStockHookSaysWhatToRead(t *testing.T) {
	for name, single := range map[string]bool{"array": false, "object": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, crm := account(t, 3, keycrmtest.Options{SingleHook: single}, nil)
				hooks := listen(t, crm, false)
				crm.Set(mainHouse, sku(2), units(50)) // not the warehouse of the webhook
				crm.Set(shopHouse, sku(2), units(5))
				changes, err := keycrm.DecodeChanges(hooks.next(t))
				if diff := cmp.Diff([]keycrm.Change{{Offer: 3, SKU: sku(2), Figure: keycrm.Figure{Quantity: units(5)}}}, changes); diff != "" || err != nil {
					t.Fatal(diff, err)
				}
				skus, offers := c.ToRead(append(changes, changes...), noReserve)
				if !slices.Equal(skus, []string{sku(2)}) || len(offers) != 0 {
					t.Errorf("%v %v", skus, offers)
				}
			})
		})
	}
}

// Our own figure comes back to us and is not read again; once, and only when it
// says nothing new about the reserve.
func TestEchoIsRecognised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{Visible: 2 * time.Second}, nil)
		hooks := listen(t, crm, false)
		w := warehouse(t, c, keycrm.TargetOptions{})
		write := func(q stock.Quantity) []keycrm.Change {
			t.Helper()
			if _, err := w.Write(t.Context(), []target.Row{{Key: sku(0), Quantity: q}}); err != nil {
				t.Fatal(err)
			}
			changes, err := keycrm.DecodeChanges(hooks.next(t))
			if err != nil {
				t.Fatal(err)
			}
			return changes
		}
		reads := func(changes []keycrm.Change, known func(string) (stock.Quantity, bool)) bool {
			skus, _ := c.ToRead(changes, known)
			return len(skus) == 1
		}
		echo := write(units(4))
		if reads(echo, noReserve) {
			t.Error("an echo is to be read")
		}
		if !reads(echo, noReserve) {
			t.Error("the same once more is somebody else's")
		}
		if !reads(write(units(5)), func(string) (stock.Quantity, bool) { return 0, false }) {
			t.Error("where the reserve is not known it is to be read")
		}
		echo = write(units(6))
		crm.Reserve(shopHouse, sku(0), units(1))
		reserved, _ := keycrm.DecodeChanges(hooks.next(t))
		if !reads(reserved, noReserve) {
			t.Error("a new reserve beside our own figure must not be taken for an echo")
		}
		if reads(echo, noReserve) {
			t.Error("the echo itself came late and is still one")
		}
		echo = write(units(7))
		if echo[0].Quantity++; !reads(echo, func(string) (stock.Quantity, bool) { return units(1), true }) {
			t.Error("another figure is not ours")
		}
		echo = write(units(8))
		time.Sleep(20 * time.Minute)
		if !reads(echo, func(string) (stock.Quantity, bool) { return units(1), true }) {
			t.Error("after so long it is no echo")
		}
	})
}

// A refused figure has no echo; one whose answer was lost may have.
func TestEchoOfFailedWrites(t *testing.T) {
	for fault, want := range map[string]int{"refused": 1, "lost": 0} {
		synctest.Test(t, func(t *testing.T) {
			c, crm := account(t, 1, keycrmtest.Options{}, nil)
			crm.Refuse(sku(0), fault == "refused")
			if fault == "lost" {
				crm.Fail("PUT", keycrmtest.Lost, 0, 1)
			}
			if _, err := warehouse(t, c, keycrm.TargetOptions{}).Write(t.Context(), []target.Row{{Key: sku(0), Quantity: units(1)}}); err == nil {
				t.Fatal("no error")
			}
			skus, _ := c.ToRead([]keycrm.Change{{SKU: sku(0), Figure: keycrm.Figure{Quantity: units(1)}}}, noReserve)
			if len(skus) != want {
				t.Errorf("%s: %v", fault, skus)
			}
		})
	}
}

// What is remembered of our own figures stays bounded.
func TestOwnFiguresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := account(t, 0, keycrmtest.Options{Rate: -1}, func(o *keycrm.Options) { o.Rate = 6000 })
		w := warehouse(t, c, keycrm.TargetOptions{Batch: 10_000})
		change := func(i int) []keycrm.Change {
			return []keycrm.Change{{SKU: sku(i), Figure: keycrm.Figure{Quantity: units(1)}}}
		}
		for part := range 3 {
			var rows []target.Row
			for i := range 10_000 {
				rows = append(rows, target.Row{Key: sku(part*10_000 + i), Quantity: units(1)})
			}
			if _, err := w.Write(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
		if skus, _ := c.ToRead(change(29_999), noReserve); len(skus) != 0 {
			t.Error("the latest is forgotten")
		}
		if skus, _ := c.ToRead(change(0), noReserve); len(skus) != 1 {
			t.Error("the oldest is still known: nothing bounds the memory")
		}
	})
}

func TestHooksThatCannotBeRead(t *testing.T) {
	for body, want := range map[string]string{
		``:                       "cannot read",
		`{`:                      "cannot read",
		`"x"`:                    "cannot read",
		`[{"in_stock":1}]`:       "row 0 names no offer",
		`{"event":"x"}`:          "names no offer",
		`[{"sku":"a"},{"sku":}]`: "cannot read",
	} {
		if _, err := keycrm.DecodeChanges([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, body := range []string{``, `[]`, `{}`, `{"context":{}}`, `{"context":{"id":0}}`, `{"context":{"id":"x"}}`, `{"context":[]}`} {
		if _, err := keycrm.DecodeOrderEvent([]byte(body)); err == nil {
			t.Errorf("%s is no order event", body)
		}
	}
	if changes, err := keycrm.DecodeChanges([]byte(`[]`)); err != nil || len(changes) != 0 {
		t.Error(changes, err)
	}
	// Strange figures do not matter: the offer is read anyway.
	changes, err := keycrm.DecodeChanges([]byte(`[{"offer_id":5,"sku":"a,b","in_stock":"many"},{"sku":7,"in_stock":"1.5","in_reserve":null}]`))
	if err != nil || changes[0].Err == nil || changes[1].SKU != "7" || changes[1].Quantity != 1500 || changes[1].Err != nil {
		t.Fatalf("%+v, %v", changes, err)
	}
	c, err := keycrm.New(keycrm.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	skus, offers := c.ToRead(changes, noReserve)
	if fmt.Sprint(skus, offers) != "[7] [5]" {
		t.Error(skus, offers)
	}
}

func TestSamplesOfHooks(t *testing.T) {
	changes, err := keycrm.DecodeChanges(sample(t, "webhook-stock.json"))
	want := []keycrm.Change{{Offer: 130827, SKU: "a001-56", Figure: keycrm.Figure{Quantity: 16_000, Reserve: 3_000}}}
	if diff := cmp.Diff(want, changes); diff != "" || err != nil {
		t.Error(diff, err)
	}
	event, err := keycrm.DecodeOrderEvent(sample(t, "webhook-order-status.shape.json"))
	if want := (keycrm.OrderEvent{Name: "order.change_order_status", Order: 4505, Status: 1, StatusGroup: 1}); event != want || err != nil {
		t.Errorf("%+v, %v", event, err)
	}
}

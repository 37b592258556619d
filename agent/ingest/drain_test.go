package ingest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
)

func serve(t *testing.T, g *rig) (url string) {
	t.Helper()
	server := httptest.NewServer(g.handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCloudConfirms(t *testing.T) {
	g := newRig(t, nil)
	g.cloud(v2("d-0", "SELL", "till-1", 1, "09:00:00", "bread 1 11"))
	sale := v2("d-1", "SELL", "till-1", 2, "10:00:00", "bread 2") // states nothing
	g.take(sale)
	g.drain()
	g.stands("bread", 8000)
	if !g.inbox.Awaited("bread") || g.inbox.Awaited("milk") {
		t.Error("the cloud does not have bread's last sale, and nothing of milk is awaited")
	}
	g.restart()
	if !g.inbox.Awaited("bread") {
		t.Error("forgotten at a restart")
	}
	// The cloud's copy says more.
	if r := g.cloud(v2("d-1", "SELL", "till-1", 2, "10:00:00", "bread 2 7; milk 1 5")); r.Completed != 1 {
		t.Fatalf("%+v", r)
	}
	if d := g.drain(); d.Confirmed != 1 || d.Waiting != 0 {
		t.Fatalf("%+v", d)
	}
	g.waits(0)
	g.stands("bread", 5000)
	g.stands("milk", 4000)
	if g.inbox.Awaited("bread") {
		t.Error("still awaited")
	}
	// Sent again after that, it is known and not written down.
	if s := g.take(sale); s.Accepted != 0 || s.Known != 1 {
		t.Errorf("%+v", s)
	}
	g.waits(0)
	g.stands("bread", 5000)
}

// Between the acknowledgement and the mirror, and after the mirror was lost.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	g := newRig(t, nil)
	history := v2("d-0", "SELL", "till-1", 1, "09:00:00", "bread 1 11")
	g.cloud(history)
	g.take(v2("d-1", "SELL", "till-1", 2, "10:00:00", "bread 2 10"))
	g.restart()
	g.stands("bread", 10_000) // not yet
	if d := g.drain(); d.New != 1 {
		t.Fatalf("%+v", d)
	}
	g.stands("bread", 8000)
	g.loseMirror()
	g.cloud(history)
	if d := g.drain(); d.New != 1 || d.Waiting != 1 {
		t.Fatalf("%+v", d)
	}
	g.stands("bread", 8000)
}

// What an older release cannot read of a newer one's inbox, or a salvaged journal
// has lost the body of, holds nothing up and is shown.
func TestUnreadable(t *testing.T) {
	g := newRig(t, nil)
	ctx := context.Background()
	_, err := g.journal.Receive(ctx, []journal.Received{
		{ID: "d-1", Closed: 1, Raw: []byte(`{"type":"SELL"`)}, {ID: "d-2", Closed: 1, Raw: []byte(v2("d-3", "SELL", "till-1", 1, "10:00:00", "bread 1"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.take(v2("d-4", "SELL", "till-1", 2, "10:00:00", "bread 2 10"))
	g.restart()
	if d := g.drain(); d.SetAside != 2 || d.New != 1 {
		t.Errorf("%+v", d)
	}
	g.waits(1)
	g.stands("bread", 8000)
	if bad, err := g.mirror.Quarantine(ctx, 0); err != nil || len(bad) != 2 || bad[0].Reason == "" {
		t.Errorf("%+v, %v", bad, err)
	}
}

// A count in the shop zeroes what it does not list only where it says so itself.
func TestCountsFromTheShop(t *testing.T) {
	history := v2("d-0", "SELL", "till-1", 1, "09:00:00", "bread 1 11; milk 1 6")
	partial := v2("d-1", "INVENTORY", "till-1", 2, "10:00:00", "bread 7 10")
	for name, c := range map[string]struct {
		body string
		milk int64
	}{
		"unsaid":            {partial, 5000},
		"version 1":         {v1("d-1", "INVENTORY", "till-1", 2, "10:00:00", "bread", "7"), 5000},
		"of some":           {strings.Replace(partial, `"body":{`, `"body":{"complete_inventory":false,`, 1), 5000},
		"complete, in full": {strings.Replace(partial, `"body":{`, `"body":{"complete_inventory":true,`, 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			g.cloud(history)
			g.take(c.body)
			g.drain()
			g.stands("bread", 7000)
			row, err := g.mirror.Row(context.Background(), "milk")
			if err != nil || int64(row.Level.Quantity) != c.milk {
				t.Errorf("milk stands at %v, %v, want %d", row.Level.Quantity, err, c.milk)
			}
			// The cloud's word is the last.
			g.cloud(strings.Replace(partial, `"body":{`, `"body":{"complete_inventory":true,`, 1))
			g.drain()
			g.stands("milk", 0)
			g.waits(0)
		})
	}
}

// One terminal has no internet and sends over the shop's network, the others do
// without it. What they load from the cloud is without the first one's sale, and
// must not be taken for a change that somebody made outside.
func TestCloudDoesNotHaveWhatTheShopSends(t *testing.T) {
	arrived := func(body, clock string) string {
		return strings.Replace(body, `"version"`, `"created_at":"`+at(clock)+`","version"`, 1)
	}
	g := newRig(t, nil)
	g.cloud(
		arrived(v2("d-0", "SELL", "till-1", 1, "08:00:00", "bread 1 11"), "08:00:02"),
		arrived(v2("d-1", "SELL", "till-2", 1, "08:30:00", "bread 1 10"), "08:30:02"))
	g.take(v2("d-2", "SELL", "till-1", 2, "10:00:00", "bread 2 9"))
	g.drain()
	g.cloud(
		arrived(v2("d-3", "SELL", "till-2", 2, "10:05:00", "bread 1 9"), "10:05:02"),
		arrived(v2("d-4", "SELL", "till-3", 1, "10:10:00", "bread 1 8"), "10:10:02"))
	g.stands("bread", 5000)
	g.cloud(arrived(v2("d-5", "SELL", "till-2", 3, "11:00:00", "bread 1 7"), "11:00:02")) // has loaded 7
	g.stands("bread", 4000)
	g.cloud(arrived(v2("d-2", "SELL", "till-1", 2, "10:00:00", "bread 2 9"), "11:30:00"))
	g.drain()
	g.stands("bread", 4000)
	g.waits(0)
}

func TestTwins(t *testing.T) {
	ctx := context.Background()
	history := v2("d-0", "SELL", "till-1", 1, "09:00:00", "bread 1 11")
	cloudCopy := v2("cloud-id", "SELL", "till-1", 2, "10:00:00", "bread 2 10")
	for name, pushed := range map[string]string{
		"receipt":   receipt("other-id", "SELL", "10:00:00", "bread", "2"),
		"version 1": v1("other-id", "SELL", "till-1", 2, "10:00:01", "bread", "2"),
		"IMEI":      v1("other-id", "SELL", "867400020000001", 2, "10:00:00", "bread", "2"),
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			g.cloud(history)
			g.take(pushed)
			g.drain()
			g.stands("bread", 8000)
			g.cloud(cloudCopy)
			if d := g.drain(); d.Twins != 1 || d.Waiting != 0 {
				t.Errorf("%+v", d)
			}
			g.stands("bread", 8000)
			g.waits(0)
			// The other way round, and again: it never counts.
			for range 2 {
				g.take(pushed)
				if d := g.drain(); d.Twins != 1 || d.New != 0 {
					t.Errorf("%+v", d)
				}
				g.stands("bread", 8000)
				g.waits(0)
			}
			if n := len(g.events("received_twin")); n != 1 {
				t.Errorf("%d events", n)
			}
			have, err := g.mirror.Have(ctx, []string{"cloud-id", "other-id"})
			if err != nil || len(have) != 1 || have["cloud-id"] != mirror.Cloud {
				t.Errorf("%v, %v", have, err)
			}
		})
	}
	t.Run("two shapes in one request", func(t *testing.T) {
		g := newRig(t, nil)
		g.cloud(history)
		g.take("[" + cloudCopy + "," + receipt("other-id", "SELL", "10:00:00", "bread", "2") + "," +
			v2("d-3", "SELL", "till-1", 3, "10:00:00", "bread 1 8") + "]")
		if d := g.drain(); d.New != 2 || d.Twins != 1 {
			t.Errorf("%+v", d)
		}
		g.stands("bread", 7000)
	})
	for name, other := range map[string]string{
		"another quantity": receipt("other-id", "SELL", "10:00:00", "bread", "3"),
		"another type":     receipt("other-id", "PAYBACK", "10:00:00", "bread", "-2"),
		"another second":   receipt("other-id", "SELL", "10:00:02", "bread", "2"),
		"another number":   v2("other-id", "SELL", "till-1", 3, "10:00:00", "bread 2 8"),
		"another terminal": v2("other-id", "SELL", "till-2", 7, "10:00:00", "bread 2"),
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			g.cloud(history, cloudCopy)
			g.take(other)
			if d := g.drain(); d.Twins != 0 || d.New != 1 {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestHooks(t *testing.T) {
	g := newRig(t, nil)
	body := `[{"offer_id":1,"sku":"a","in_stock":3}]`
	path := "/hooks/keycrm/" + g.secret + "/stocks"
	known := g.send(http.MethodPost, path, body, "Authorization", "")
	unknown := g.send(http.MethodPost, "/hooks/keycrm/another-secret-of-it/stocks", body, "Authorization", "")
	if known.Status != http.StatusOK || unknown.Status != http.StatusUnauthorized || len(g.hooks) != 1 || g.hooks[0] != "site stocks "+body {
		t.Fatalf("%+v, %+v, %q", known, unknown, g.hooks)
	}
	g.hookErr = context.DeadlineExceeded
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"orders":        {"/hooks/keycrm/" + g.secret + "/orders", `{"event":"order.change_order_status"}`, 200},
		"a check":       {path, "", 200},
		"not JSON":      {path, "{", 400},
		"not JSON, too": {"/hooks/keycrm/another-secret-of-it/stocks", "{", 401},
		"another kind":  {"/hooks/keycrm/" + g.secret + "/offers", "{}", 404},
		"no secret":     {"/hooks/keycrm//stocks", "{}", 404},
		"too large":     {path, strings.Repeat(" ", 256<<10+1), 413},
	} {
		if s := g.send(http.MethodPost, c.path, c.body); s.Status != c.status && !(c.status == 404 && s.Status/100 == 3) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if len(g.hooks) != 2 {
		t.Errorf("%q", g.hooks)
	}
}

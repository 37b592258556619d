package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/virtpos/virtpostest"
)

// The same product shows the same figure everywhere, each system in its own
// precision.
func TestFourSystemsInStep(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		r := m.sync()
		for product, want := range map[string][2]string{"milk": {"1", "7 7 7 7"}, "cheese": {"2", "2.35 2.35 2 2.35"}, "tea": {"3", "0 0 0 0"}} {
			if got := m.everywhere(product, want[0]); got != want[1] {
				t.Errorf("%s: %s, want %s", product, got, want[1])
			}
		}
		var names []string
		for _, d := range r.Delivery {
			names = append(names, d.Target)
		}
		if want := []string{"evotor", "office", "market", "site"}; !slices.Equal(names, want) {
			t.Errorf("deliveries to %v", names)
		}
		m.desk.write(document{kind: "SELL", at: ago(1), lines: []string{line("milk", "2", "7")}})
		m.sync()
		if got := m.everywhere("milk", "1"); got != "5 5 5 5" {
			t.Errorf("after a sale: %s", got)
		}
	})
}

// Without somebody's word nothing is written anywhere.
func TestEachTargetWaitsForItsApproval(t *testing.T) {
	approve := func(c *config.Config) {
		c.Evotor.Write = config.Approve
		for i := range c.Targets {
			c.Targets[i].Write = config.Approve
		}
	}
	play(t, approve, func(t *testing.T, m *market) {
		m.sync()
		if got := m.everywhere("milk", "1"); got != "0 0 - 0" {
			t.Errorf("written without approval: %s", got)
		}
		plans, err := m.Plans(t.Context(), "office", false)
		if err != nil || len(plans) != 1 {
			t.Fatal(len(plans), err)
		}
		if err := m.Approve(t.Context(), plans[0].ID, false); err != nil {
			t.Fatal(err)
		}
		m.sync()
		if got := m.everywhere("milk", "1"); got != "0 7 - 0" {
			t.Errorf("after the approval of one: %s", got)
		}
	})
}

// A target that cannot be reached is a problem of its own.
func TestDeadTargetDelaysNobody(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.virtpos.Down(true)
		r, err := m.Sync(t.Context(), false, nil)
		if err != nil || r.Complete {
			t.Errorf("complete without VirtPOS: %v", err)
		}
		if !slices.ContainsFunc(r.Problems, func(p local.Problem) bool { return strings.Contains(p.Message, "office") }) {
			t.Errorf("nobody is told: %+v", r.Problems)
		}
		if got := m.everywhere("milk", "1"); got != "7 0 7 7" {
			t.Errorf("%s", got)
		}
		m.virtpos.Down(false)
		time.Sleep(time.Hour)
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 7 7 7" {
			t.Errorf("after the outage: %s", got)
		}
	})
}

// What is promised to a buyer is not offered to another.
func TestReserves(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.crm.Set(2, "1", 7000)
		m.order("1", 3000)
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 7 4 7" {
			t.Errorf("%s", got)
		}
		row := m.row("milk")
		if row.Reserved == nil || *row.Reserved != 3000 || *row.Available != 4000 || *row.Quantity != 7000 {
			t.Errorf("%+v", row.Item)
		}

		m.run(func(ctx context.Context) error { return m.KeepReserves(ctx, "site") })
		time.Sleep(time.Minute)
		before := len(m.crm.Requests())
		order := m.order("1", 9000)
		name, ok := m.HookTarget("hook-secret-0123")
		if !ok || name != "site" {
			t.Fatalf("the secret belongs to %q", name)
		}
		if err := m.Hook(t.Context(), name, agent.HookOrders, []byte(`{"event":"order.change_order_status","context":{"id":`+strconv.FormatInt(order, 10)+`}}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := len(m.crm.Requests()) - before; n != 2 {
			t.Errorf("%d requests for one order", n)
		}
		if row := m.row("milk"); *row.Reserved != 12000 || *row.Available != -5000 {
			t.Errorf("people see %s reserved and %s available", row.Reserved, row.Available)
		}
		m.stop()
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 7 0 7" {
			t.Errorf("%s", got)
		}
	})
}

func TestHooks(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.sync()
		for _, secret := range []string{"", "hook-secret-012", "hook-secret-01234"} {
			if name, ok := m.HookTarget(secret); ok {
				t.Errorf("%q opens %s", secret, name)
			}
		}
		for _, bad := range []struct {
			target, kind, body string
			code               local.Code
		}{
			{"market", agent.HookStocks, `[]`, local.NotFound},
			{"nobody", agent.HookStocks, `[]`, local.NotFound},
			{"site", "prices", `[]`, local.NotFound},
			{"site", agent.HookStocks, `[{}]`, local.Refused},
			{"site", agent.HookOrders, `{"context":{}}`, local.Refused},
		} {
			err := m.Hook(t.Context(), bad.target, bad.kind, []byte(bad.body))
			if e, ok := err.(*local.Error); !ok || e.Code != bad.code {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		m.run(func(ctx context.Context) error { return m.KeepReserves(ctx, "site") })
		time.Sleep(time.Minute)
		before := len(m.crm.Requests())
		// An echo of our own write, and a SKU that is not the shop's.
		for _, body := range []string{`[{"sku":"1","in_stock":7,"in_reserve":0}]`, `{"sku":"99","in_stock":1,"in_reserve":1}`} {
			if err := m.Hook(t.Context(), "site", agent.HookStocks, []byte(body)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Second)
		if n := len(m.crm.Requests()) - before; n != 0 {
			t.Errorf("%d requests for nothing", n)
		}
		m.crm.Reserve(2, "1", 1000)
		if err := m.Hook(t.Context(), "site", agent.HookStocks, []byte(`[{"sku":"1","in_stock":7,"in_reserve":1}]`)); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if row := m.row("milk"); len(m.crm.Requests())-before != 1 || *row.Reserved != 1000 {
			t.Errorf("%d requests, %s reserved", len(m.crm.Requests())-before, row.Reserved)
		}
	})
}

// Until the reserves are known nothing is told to those who sell what is left.
func TestUnknownReservesHoldBackWhatIsAvailable(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.crm.Fail("GET", keycrmtest.Refused, 0, -1)
		r, err := m.Sync(t.Context(), false, nil)
		if err != nil || r.Complete {
			t.Errorf("complete without KeyCRM: %v", err)
		}
		if got := m.everywhere("milk", "1"); got != "7 7 - 0" {
			t.Errorf("%s", got)
		}
		s, err := m.Status(t.Context())
		if err != nil || !slices.ContainsFunc(s.Problems, func(p local.Problem) bool { return p.Kind == "reserves_unknown" }) {
			t.Errorf("the status does not say so: %+v, %v", s.Problems, err)
		}
		m.crm.ClearFaults()
		time.Sleep(time.Hour)
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 7 7 7" {
			t.Errorf("%s", got)
		}
	})
}

// Of old reserves a figure is lowered by, and never raised.
func TestOldReserves(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.sync()
		m.crm.Fail("GET", keycrmtest.Unavailable, 0, -1)
		time.Sleep(2 * time.Hour)
		m.desk.write(
			document{kind: "SELL", at: m.now().Add(-time.Minute), lines: []string{line("milk", "2", "7")}},
			document{kind: "ACCEPT", at: m.now().Add(-time.Minute), lines: []string{line("tea", "9", "0")}},
		)
		if _, err := m.Sync(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
		if got := m.stall("1") + " " + m.stall("3"); got != "5 0" {
			t.Errorf("milk and tea at the market: %s, want 5 0", got)
		}
	})
}

// A CRM that is master of its own figures is compared and never written.
func TestSecondOpinion(t *testing.T) {
	pull := func(c *config.Config) {
		c.Targets[2].Direction, c.Targets[2].Write = config.Pull, config.Off
	}
	play(t, pull, func(t *testing.T, m *market) {
		m.crm.Set(2, "1", 4000)
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 7 7 4" {
			t.Errorf("%s", got)
		}
		plans, err := m.Plans(t.Context(), "site", false)
		if err != nil || len(plans) != 1 || !slices.ContainsFunc(plans[0].Rows, func(r journal.PlanRow) bool {
			return r.Product == "milk" && r.From != nil && *r.From == 4000 && r.To == 7000
		}) {
			t.Errorf("the difference is not shown: %+v, %v", plans, err)
		}
		s, err := m.Status(t.Context())
		if err != nil || len(s.Targets) != 4 || !s.Targets[3].ShownOnly || s.Targets[2].ShownOnly {
			t.Errorf("%+v, %v", s.Targets, err)
		}
		if m.crm.Written() != 0 {
			t.Error("it was written")
		}
	})
}

// Targets of one account share its limits and its token.
func TestOneClientAnAccount(t *testing.T) {
	two := func(c *config.Config) {
		second := c.Targets[1]
		second.Name, second.Warehouse = "market 2", "342"
		c.Targets = append(c.Targets, second)
	}
	play(t, two, func(t *testing.T, m *market) {
		if _, err := m.Sync(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
		if logins, _ := m.zelenka.Logins(); logins != 1 {
			t.Errorf("%d logins", logins)
		}
	})
}

func TestDoctorLooksAtTheTargets(t *testing.T) {
	check := func(m *market) map[string]local.Check {
		d := agent.Doctor{Config: m.config, Options: m.options}
		found := make(map[string]local.Check)
		for _, c := range d.CheckTargets(m.t.Context()) {
			found[c.Name] = c
		}
		return found
	}
	play(t, nil, func(t *testing.T, m *market) {
		m.crm.Set(2, "1", 1000)
		for name, c := range check(m) {
			if c.Status != local.OK {
				t.Errorf("%s: %+v", name, c)
			}
		}
		m.virtpos.Fail("", virtpostest.HTML, 0, -1)
		m.config.Targets[0].Warehouse = "9"
		m.config.Targets[1].Key = config.NewSecret("wrong-key")
		m.config.Targets[2].Key = config.NewSecret("wrong-key")
		for name, c := range check(m) {
			if c.Status != local.Failed || c.Do == "" || strings.Contains(c.Message, "wrong-key") {
				t.Errorf("%s: %+v", name, c)
			}
		}
		m.virtpos.ClearFaults()
		if c := check(m)["target office"]; c.Status != local.Failed || !strings.Contains(c.Message, `no warehouse with the number "9"`) {
			t.Errorf("%+v", c)
		}
	})
}

// While one target does not answer, the running agent goes on with the others.
func TestRunningAgentIsNotHeldUp(t *testing.T) {
	d := newDesk(t, "milk")
	d.write(document{kind: "INVENTORY", at: ago(2), body: whole, lines: []string{counted("milk", "7", "0")}})
	release := make(chan struct{})
	asked := make(chan struct{}, 100)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	defer silent.Close()
	defer close(release)
	i := d.install(t, stock.Ledger, func(c *config.Config) {
		c.Evotor.Write, c.Evotor.Poll = config.Auto, 50*time.Millisecond
		c.Targets = []config.Target{{Name: "office", Kind: config.VirtPOS, URL: silent.URL, Key: config.NewSecret("virtpos-key"),
			Warehouse: "3", Match: "code", Quantity: "physical", Write: config.Auto}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	<-asked // the loop of the silent target is in its call, and stays there
	holds := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); d.quantity("milk") != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the cloud holds %s, want %s", d.quantity("milk"), want)
			}
		}
	}
	holds("7")
	d.write(document{kind: "SELL", at: ago(1), lines: []string{line("milk", "2", "7")}})
	holds("5")
}

// The catalogue is learned once and not again for each sale; a code that is
// entered anew at a terminal counts from the next reading of it.
func TestRenamedProductIsMatchedAnew(t *testing.T) {
	play(t, nil, func(t *testing.T, m *market) {
		m.sync()
		m.desk.write(document{kind: "SELL", at: ago(1), lines: []string{line("milk", "2", "7")}})
		m.sync()
		if got := m.everywhere("milk", "1"); got != "5 5 5 5" {
			t.Errorf("before: %s", got)
		}
		m.virtpos.AddItem(virtpostest.Item{ID: "109", External: "9", Name: "item 9"})
		m.virtpos.Put("3", virtpostest.Balance{Item: "109"})
		m.crm.AddOffer("9")
		m.crm.Set(2, "9", 0)
		m.order("9", 1000)
		m.desk.mu.Lock()
		m.desk.find(shop1, "milk").code = "9"
		m.desk.mu.Unlock()
		time.Sleep(time.Hour) // reserves are read anew now and then
		m.sync()
		time.Sleep(time.Hour)
		m.sync()
		if got := m.everywhere("milk", "9"); got != "5 5 4 5" {
			t.Errorf("under the new code: %s, want 5 5 4 5", got)
		}
	})
}

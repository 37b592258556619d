package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/virtpos/virtpostest"
	"ostatok/sync/zelenka/zelenkatest"
)

// tell notes what happens, for whoever has to find out what went wrong.
func (c *trouble) tell(format string, args ...any) {
	c.told = append(c.told, c.now().In(moscow).Format("2 15:04:05 ")+fmt.Sprintf(format, args...))
}

// step lets some time pass and something happen.
func (c *trouble) step() {
	d := time.Duration(c.r.ExpFloat64() * float64(13*time.Minute))
	if c.r.IntN(4) == 0 { // in the middle of something
		d = time.Duration(c.r.IntN(20_000)) * time.Millisecond
	}
	time.Sleep(min(d, 2*time.Hour))
	c.recover()
	switch n := c.r.IntN(100); {
	case n < 45:
		c.fault()
	case n < 52:
		c.outage()
	case n < 62:
		c.slowDown()
	case n < 78:
		c.others()
	case n < 86:
		c.order()
	case n < 90:
		c.zelenka.Withdraw(c.r.IntN(2) == 0)
		c.tell("Zelenka withdraws its tokens")
	case n < 96:
		c.tell("the agent is killed")
		c.kill()
		c.start()
	default:
		c.tell("the agent is restarted")
		c.stop()
		if c.r.IntN(2) == 0 {
			time.Sleep(time.Duration(c.r.IntN(90)) * time.Minute)
		}
		c.start()
	}
	if !c.auto {
		c.approve(false)
	}
}

// pick draws one of a list.
func pick[T any](c *trouble, list ...T) T { return list[c.r.IntN(len(list))] }

// fault makes the next answers of a system bad.
func (c *trouble) fault() {
	skip, times := c.r.IntN(3), 1+c.r.IntN(4)
	switch c.r.IntN(4) {
	case 0:
		f := pick(c, evotortest.Limited, evotortest.Broken, evotortest.Unavailable, evotortest.Cut, evotortest.Slow,
			evotortest.HTML, evotortest.EmptyObject, evotortest.BadJSON, evotortest.Refused, evotortest.NotInstalled)
		path := pick(c, "", "/products", "/documents")
		if c.r.IntN(6) == 0 { // a list that lies is believed when it says the same twice
			f, times = pick(c, evotortest.EmptyList, evotortest.HalfList), 1
		}
		c.cloud.Fail(path, f, skip, times)
		c.tell("cloud: %s, %d × %s after %d", path, times, f, skip)
	case 1:
		f := pick(c, virtpostest.Broken, virtpostest.BrokenAfter, virtpostest.Lost, virtpostest.Hang, virtpostest.Refused, virtpostest.Busy,
			virtpostest.Silent, virtpostest.HTML, virtpostest.Disguised, virtpostest.Cut, virtpostest.CutClean, virtpostest.Short,
			virtpostest.Empty, virtpostest.Moved, virtpostest.Limited)
		call := pick(c, virtpostest.CallStore, virtpostest.CallUpdate, virtpostest.CallUpdate, virtpostest.CallVersion, virtpostest.CallZero, virtpostest.CallItem)
		c.virtpos.Fail(call, f, skip, times)
		c.tell("VirtPOS: %s, %d × %s after %d", call, times, f, skip)
	case 2:
		f := pick(c, zelenkatest.Broken, zelenkatest.Half, zelenkatest.Unavailable, zelenkatest.Limited, zelenkatest.HTML, zelenkatest.HTMLAsJSON,
			zelenkatest.Warned, zelenkatest.Empty, zelenkatest.Cut, zelenkatest.Short, zelenkatest.Lost, zelenkatest.Dropped, zelenkatest.Silent,
			zelenkatest.Refused, zelenkatest.Under, zelenkatest.Over, zelenkatest.Null, zelenkatest.Absent)
		c.zelenka.Fail("", f, skip, times)
		c.tell("Zelenka: %d × %s after %d", times, f, skip)
	case 3:
		f := pick(c, keycrmtest.Limited, keycrmtest.Broken, keycrmtest.Unavailable, keycrmtest.HTML, keycrmtest.Empty, keycrmtest.Cut,
			keycrmtest.Lost, keycrmtest.Silent, keycrmtest.Refused)
		method := pick(c, http.MethodGet, http.MethodPut)
		c.crm.Fail(method, f, skip, times)
		c.tell("KeyCRM: %s, %d × %s after %d", method, times, f, skip)
	}
}

// outage cuts one of the systems off, or all, for up to some hours.
func (c *trouble) outage() {
	how := pick(c, refusing, unavailable, silent)
	until := c.now().Add(time.Duration(c.r.ExpFloat64() * float64(time.Hour)))
	which := c.r.IntN(6)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.systems {
		if which == i || which > 4 {
			s.outage, s.until = how, until
			c.tell("%s cannot be reached until %s (%d)", s.name, until.In(moscow).Format("15:04"), how)
		}
	}
}

// recover ends what has lasted long enough.
func (c *trouble) recover() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.systems {
		if s.outage != up && !c.now().Before(s.until) {
			s.outage = up
			c.tell("%s can be reached again", s.name)
		}
	}
}

// slowDown makes a system slow, or fast again, so that sales come in between.
func (c *trouble) slowDown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := pick(c, c.systems...)
	s.slow = !s.slow
	c.tell("%s is slow: %t", s.name, s.slow)
}

// others write to a system, now or in the middle of our calls.
func (c *trouble) others() {
	g := pick(c, c.goods...)
	q := stock.Quantity(c.r.IntN(30)) * stock.Unit
	switch c.r.IntN(5) {
	case 0:
		if c.system("market").strange[g.id] {
			return
		}
		c.tell("somebody tells Zelenka that there are %s of %s", q, g.code)
		g.misled = true
		c.foreign(func() { c.zelenka.Set(341, g.code, int64(q/stock.Unit)) })
	case 1:
		c.tell("somebody tells KeyCRM that there are %s of %s", q, g.code)
		c.foreign(func() { c.crm.Set(2, g.code, q) })
	case 2:
		c.tell("somebody will tell KeyCRM that there are %s of %s in the middle of a call", q, g.code)
		var once atomic.Bool
		c.crm.Before(func(*http.Request) {
			if !once.Swap(true) && !c.resting() {
				c.foreign(func() { c.crm.Set(2, g.code, q) })
			}
		})
	default:
		if c.system("office").strange[g.id] {
			return
		}
		what := []func(){
			func() { c.virtpos.Set("3", "v"+g.code, q) },
			func() { c.virtpos.Write("3", "v"+g.code, q) },
			func() { c.virtpos.Sell("3", "v"+g.code, stock.Unit) },
			func() { c.virtpos.Receive("3", "v"+g.code, stock.Unit) },
			func() { c.virtpos.Ask() },
		}[c.r.IntN(5)]
		if c.r.IntN(2) == 0 {
			c.tell("somebody changes %s in VirtPOS", g.code)
			c.foreign(what)
			return
		}
		call := pick(c, virtpostest.CallStore, virtpostest.CallUpdate, virtpostest.CallZero)
		c.tell("somebody will change %s in VirtPOS during %s", g.code, call)
		c.virtpos.Meanwhile(call, c.r.IntN(4), func() {
			if !c.resting() {
				c.foreign(what)
			}
		})
	}
}

// order has somebody buy in KeyCRM, or an order go on.
func (c *trouble) order() {
	g := pick(c, c.goods...)
	if len(c.orders) > 0 && c.r.IntN(2) == 0 {
		id, to := pick(c, c.orders...), pick(c, keycrmtest.StatusReserved, keycrmtest.StatusFulfilled, keycrmtest.StatusCancelled)
		c.tell("order %d becomes %d", id, to)
		c.foreign(func() { c.crm.SetStatus(id, to) })
		return
	}
	q := stock.Quantity(1+c.r.IntN(6)) * stock.Unit
	id := c.crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: 2, SKU: g.code, Quantity: q})
	c.orders = append(c.orders, id)
	c.tell("order %d of %s %s", id, q, g.code)
	c.foreign(func() { c.crm.SetStatus(id, keycrmtest.StatusReserved) })
}

// approve is the person who says yes to plans; to those that a guard holds back
// only when they have been looked at.
func (c *trouble) approve(looked bool) {
	p := c.running()
	plans, err := p.Plans(c.t.Context(), "", false)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, plan := range plans {
		if plan.State != journal.PlanOpen || len(plan.Guards) > 0 && !looked {
			continue
		}
		// Another plan may have taken its place, or nothing in it can be approved.
		if err := p.Approve(context.WithoutCancel(c.t.Context()), plan.ID, false); err != nil {
			c.tell("not approved: %v", err)
		}
	}
}

// end lets all trouble end, closes the shop, and gives the agent a day: until
// every figure has been looked at again and the full runs have been made.
func (c *trouble) end() {
	c.mu.Lock()
	for _, s := range c.systems {
		s.outage, s.slow = up, false
	}
	c.closed = true
	c.mu.Unlock()
	c.cloud.ClearFaults()
	c.virtpos.ClearFaults()
	c.zelenka.ClearFaults()
	c.crm.ClearFaults()
	c.crm.Before(nil)
	c.tell("all trouble is over")
	c.stop()
	c.config.Evotor.Poll = 2 * time.Hour // nothing is sold any more
	c.start()
	for range 14 {
		time.Sleep(2 * time.Hour)
		c.approve(true)
	}
}

func (c *trouble) resting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// sum tells what came of it all.
func (c *trouble) sum() {
	events, err := c.running().AllEvents(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, e := range events {
		counts[e.Kind]++
		if e.Kind == "full_run_stopped" || e.Kind == "full_run_done" {
			c.tell("%s: %s", time.UnixMilli(e.At).In(moscow).Format("2 15:04:05"), e.Message)
		}
	}
	for _, s := range c.systems {
		c.tell("%s: %d figures written", s.name, len(c.agentWrites(s)))
	}
	old, _ := c.virtpos.Holds("3", "old")
	c.tell("KeyCRM: %d requests; VirtPOS: %d zeroings, %s of what is no longer sold; events: %v",
		len(c.crm.Requests()), c.virtpos.Calls(virtpostest.CallZero), old, counts)
	c.t.Log(strings.Join(c.told[len(c.told)-5:], "\n"))
}

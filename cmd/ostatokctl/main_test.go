package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/message"
	"ostatok/agent/stock"
)

func TestWatchSortsByTrouble(t *testing.T) {
	d := newDesk(t)
	a, b, c := d.shop("shop-a", 3, nil), d.shop("shop-b", 1, nil), d.shop("shop-c", 7, nil)
	a.say(a.topics.Status, true, a.status(3))
	behind := b.status(1)
	hours := int64(2 * 3600)
	behind.Sync.Lag = &hours
	behind.Targets[1].LastError, behind.Targets[1].Rejected = "the key is refused\x1b[2J", 3
	b.say(b.topics.Status, true, behind)
	count := c.status(7)
	count.Levels.Unknown = 5
	c.say(c.topics.Status, true, count)

	out, says, code := d.run("watch", "--once")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 4 {
		t.Fatalf("exit %d, %s\n%s", code, says, out)
	}
	for i, want := range [][]string{
		{"STORE", "STATE", "SEEN", "LAG", "TROUBLE"},
		{"shop-b", "ready", " 2h ", "evotor ok, site error", "2h behind the cloud; site: the key is refused [2J; site: 3 rejected"},
		{"shop-c", "ready", "1200", "5 to count"},
		{"shop-a", "ready", "40s", "evotor ok, site ok", "1.0.0"},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d lacks %q: %s", i, w, lines[i])
			}
		}
	}
	if !strings.Contains(says, "3 shops, 3 ready, 1 in trouble") {
		t.Errorf("says %q", says)
	}

	out, _, _ = d.run("watch", "--once", "--format", "json")
	var shops []exported
	if err := json.Unmarshal([]byte(out), &shops); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(shops) != 3 || shops[0].Store != "shop-b" || shops[0].Trouble != "warning" || shops[2].Trouble != "ok" || shops[2].Status.Levels.Known != 1200 {
		t.Errorf("got %s", out)
	}
}

func TestWatchTellsOfALostShopAndItsReturn(t *testing.T) {
	d := newDesk(t)
	shop := d.shop("shop-a", 3, nil)
	shop.say(shop.topics.Status, true, shop.status(3))
	out, stop := d.start("watch")
	out.await(t, "shop-a ready ok")
	other := d.shop("observer", 1, nil)
	// Somebody pulls the plug: the broker speaks the will.
	will := message.State{State: message.Lost, Session: 3, Version: "1.0.0", At: time.Now().UTC()}
	other.say(shop.topics.State, true, will)
	out.await(t, "shop-a lost severe connection lost, last heard ")
	shop.say(shop.topics.State, true, message.State{State: message.Ready, Session: 4, Version: "1.0.1", At: time.Now().UTC()})
	shop.say(shop.topics.Status, true, shop.status(4))
	before := strings.Count(out.String(), "shop-a lost")
	other.say(shop.topics.State, true, will) // late
	other.say(other.topics.State, true, message.State{State: message.Disconnected, Session: 1})
	out.await(t, "observer disconnected warning stopped on purpose")
	if n := strings.Count(out.String(), "shop-a lost"); n != before {
		t.Errorf("the will of an old session counts:\n%s", out)
	}
	if !strings.HasSuffix(lastLine(out.String(), "shop-a"), "shop-a ready ok") {
		t.Errorf("the shop did not come back:\n%s", out)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func lastLine(text, with string) string {
	last := ""
	for line := range strings.Lines(text) {
		if strings.Contains(line, " "+with+" ") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

func TestShow(t *testing.T) {
	d := newDesk(t)
	shop := d.shop("shop-a", 3, nil)
	status := shop.status(3)
	status.Plans = []message.Plan{{ID: "p1", Target: "evotor", State: "open", Rows: 12, Guards: []string{"fall_share"}}}
	shop.say(shop.topics.Status, true, status)
	out, says, code := d.run("show", "shop-a")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, says)
	}
	for _, want := range []string{"ready, session 3", "1200 known, 10 assumed", "notice: evotor: plan p1 waits for approval", "open for evotor, 12 rows: fall_share", "900 MB of disk free"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if _, says, code = d.run("show", "shop-x", "--settle", "100ms"); code != exitNotFound || !strings.Contains(says, "watch --once") {
		t.Errorf("exit %d: %s", code, says)
	}
}

func TestSendToOneShop(t *testing.T) {
	d := newDesk(t)
	asked := make(chan command.Claims, 1)
	d.shop("shop-a", 1, func(c command.Claims) message.Result {
		asked <- c
		return message.Result{Status: message.Done, Result: json.RawMessage(`{"pong":true}`)}
	})
	out, says, code := d.run("send", "shop-a", "explain", "product=10234", "deep:=true", "name=a=b")
	if code != 0 || !strings.Contains(says, "1 of 1 done") || strings.Count(out, "shop-a  done") != 1 || !strings.Contains(out, `"pong": true`) {
		t.Errorf("exit %d\n%s\n%s", code, out, says)
	}
	c := <-asked
	if c.Cmd != "explain" || string(c.Args) != `{"deep":true,"name":"a=b","product":"10234"}` || c.Issuer != "anna" || c.ExpiresAt.Sub(c.IssuedAt) != time.Hour {
		t.Errorf("the shop got %+v with %s", c, c.Args)
	}
}

func TestSendToAll(t *testing.T) {
	d := newDesk(t)
	d.shop("shop-a", 1, nil)
	d.shop("shop-b", 1, nil)
	if _, says, code := d.run("send", "--all", "sync"); code != 0 || !strings.Contains(says, "2 of 2 done") {
		t.Errorf("exit %d: %s", code, says)
	}
	d.shop("shop-c", 1, func(command.Claims) message.Result {
		return message.Result{Status: message.Failed, Error: &message.Error{Code: "cloud", Message: "the cloud\x07 is gone"}}
	})
	d.shop("shop-d", 1, nil).client.Disconnect(100)
	out, says, code := d.run("send", "--all", "sync", "--wait", "2s", "--expires", "1m")
	if code != exitIncomplete || !strings.Contains(says, "2 of 4 done, 1 not, 1 without a final answer") || !strings.Contains(out, "shop-c  failed  the cloud  is gone (cloud)") {
		t.Errorf("exit %d\n%s\n%s", code, out, says)
	}
	out, _, code = d.run("send", "--all", "ping", "--wait", "2s", "--format", "json")
	outcomes := make(map[string]message.Outcome)
	for line := range strings.Lines(out) {
		var r answer
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == "" {
			t.Fatalf("%v in %s", err, line)
		}
		outcomes[r.Store] = r.Status
	}
	if code != exitIncomplete || len(outcomes) != 4 || outcomes["shop-a"] != message.Done || outcomes["shop-c"] != message.Failed || outcomes["shop-d"] != unanswered {
		t.Errorf("exit %d, %v", code, outcomes)
	}
}

func TestACommandReachesAShopThatWasOffline(t *testing.T) {
	d := newDesk(t)
	shop := d.shop("shop-a", 1, nil)
	shop.say(shop.topics.State, true, message.State{State: message.Disconnected, Session: 1})
	shop.client.Disconnect(100)
	list := filepath.Join(d.home, "list")
	if err := os.WriteFile(list, []byte("# the north\nshop-a\n\nshop-a # twice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, stop := d.start("send", "--file", list, "ping", "--wait", "5m", "--settle", "100ms")
	came := make(chan command.Claims, 1)
	// The shop comes back with its session on the broker.
	d.shop("shop-a", 2, func(c command.Claims) message.Result {
		came <- c
		return message.Result{Status: message.Done}
	})
	out.await(t, "shop-a  done")
	if c := <-came; c.Cmd != "ping" {
		t.Errorf("got %+v", c)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestStock(t *testing.T) {
	d := newDesk(t)
	milk, bread := stock.Quantity(2500), stock.Quantity(-1000)
	var shop *played
	ready := make(chan struct{})
	shop = d.shop("shop-a", 1, func(c command.Claims) message.Result {
		<-ready
		for _, m := range []message.Stock{
			{Full: true, Part: 7, Changes: []message.Change{{Product: "of another rebirth"}}},
			{Full: true, Part: 1, Changes: []message.Change{{Product: "p2", Code: "10", Quantity: &bread, State: stock.Known}}},
			{Changes: []message.Change{{Product: "p2", Code: "10", Quantity: &milk, State: stock.Known}}},
			{Full: true, Part: 2, Last: true, Changes: []message.Change{{Product: "p1", Code: "9", State: stock.Unknown}, {Product: "p0", State: message.Removed}}},
		} {
			payload, _ := json.Marshal(m) // plain fields
			shop.client.Publish(shop.topics.Stock, 1, false, payload).WaitTimeout(30 * time.Second)
		}
		return message.Result{Status: message.Done}
	})
	close(ready)
	out, says, code := d.run("stock", "shop-a", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if code != 0 || err != nil || len(rows) != 3 || strings.Join(rows[1], "|") != "p1|9|||unknown" || strings.Join(rows[2], "|") != "p2|10|2.5||known" {
		t.Errorf("exit %d, %v\n%s\n%s", code, err, out, says)
	}
	if _, says, code := d.run("stock", "shop-x", "--wait", "200ms"); code != exitIncomplete || !strings.Contains(says, "no part came") {
		t.Errorf("exit %d: %s", code, says)
	}
}

func TestStockThatIsRefused(t *testing.T) {
	d := newDesk(t)
	d.shop("shop-a", 1, func(command.Claims) message.Result {
		return message.Result{Status: message.Rejected, Error: &message.Error{Code: "right", Message: "no right"}}
	})
	if _, says, code := d.run("stock", "shop-a"); code != exitIncomplete || !strings.Contains(says, "the shop refuses: no right (right)") {
		t.Errorf("exit %d: %s", code, says)
	}
}

func TestEvents(t *testing.T) {
	d := newDesk(t)
	shop := d.shop("shop-a", 1, nil)
	if out, says, code := d.run("events", "--session", "desk", "--settle", "50ms"); code != 0 || out != "" {
		t.Fatalf("exit %d: %s%s", code, out, says)
	}
	at := time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)
	shop.say(shop.topics.Event, false, message.Event{ID: "e1", Seq: 1, At: at, Kind: "drift", Severity: "info", Message: "one"})
	shop.say(shop.topics.Event, false, message.Event{ID: "e2", Seq: 2, At: at, Kind: "rows_refused", Severity: "warning", Message: "two"})
	shop.say(shop.topics.Event, false, message.Event{ID: "e2", Seq: 2, At: at, Kind: "rows_refused", Severity: "warning", Message: "two"})
	out, says, code := d.run("events", "--session", "desk", "--severity", "warning")
	if want := "2026-11-20T08:30:00Z  shop-a  warning  rows_refused  two\n"; code != 0 || out != want {
		t.Errorf("exit %d: %q, want %q; %s", code, out, want, says)
	}
	if out, _, code := d.run("events", "--session", "desk"); code != 0 || out != "" {
		t.Errorf("exit %d: %q comes again", code, out)
	}
	follow, stop := d.start("events", "--follow", "--format", "json", "shop-a")
	for i := 0; !strings.Contains(follow.String(), `"store":"shop-a"`); i++ { // until it has subscribed
		if i > 1000 {
			t.Fatal("no event came")
		}
		shop.say(shop.topics.Event, false, message.Event{ID: "e3", At: at, Kind: "k", Severity: "info"})
		time.Sleep(10 * time.Millisecond)
	}
	if n := strings.Count(follow.String(), `"id":"e3"`); n != 1 {
		t.Errorf("one event printed %d times", n)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestExport(t *testing.T) {
	d := newDesk(t)
	shop := d.shop("shop-a", 1, nil)
	shop.say(shop.topics.Status, true, shop.status(1))
	d.shop("shop-b", 4, nil)
	file := filepath.Join(d.home, "fleet.csv")
	if _, says, code := d.run("export", file); code != 0 {
		t.Fatalf("exit %d: %s", code, says)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "shop-b" || rows[1][6] != "has not told yet how it is" || rows[2][0] != "shop-a" || rows[2][10] != "1200" || rows[2][15] != "2000" {
		t.Errorf("%v\n%s", err, text)
	}
	if said, says, code := d.run("export", "-"); code != 0 || said != string(text) {
		t.Errorf("exit %d: %s %s", code, said, says)
	}
}

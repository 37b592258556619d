package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/cmd/ostatok-sandbox/broker"
)

// A node of the broker's cluster dies while the agent is on it and an operator is
// at work: the agent goes to the next one, and nothing that was ordered, done or
// told is lost.
func TestOperatorLosesANodeOfTheCluster(t *testing.T) {
	cluster, err := broker.StartCluster(3, broker.Options{Dir: t.TempDir()})
	if errors.Is(err, broker.ErrNarrow) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	urls := cluster.URLs()
	d := tradingDesk(t)
	o := officeAt(t, urls[2], d.now)
	dir := t.TempDir()
	stop := operate(t, o, d, urls, dir) // on the first node

	var ids []string
	refused := 0
	work := func() {
		for range 3 {
			ids = append(ids, o.send(command.Ping, ``), o.send(command.Approve, `{"id":"nothing"}`))
			o.client.Publish(message.TopicsOf("acme", shop1).Command, 1, false, "no command at all") // becomes an event
			refused++
		}
	}
	work()
	o.await("a word on the first command", func() bool { return o.results[ids[0]].ID != "" })
	session := o.told().Session
	if err := cluster.Brokers[0].Close(); err != nil {
		t.Fatal(err)
	}
	d.write(document{kind: "SELL", at: d.now(), lines: []string{line("bread", "2", "7")}})
	work()
	ids = append(ids, o.send(command.Sync, ``))
	o.await("the agent on another node", func() bool { return o.status.Session > session })
	work()
	for _, id := range ids {
		o.await("the result of "+id, func() bool { return o.ended(id) })
	}
	o.await("the level after the sale", func() bool { return o.levels["bread"].Quantity.String() == "5" })
	o.await("each refusal's event", func() bool {
		n := 0
		for _, e := range o.events {
			if e.Kind == "command_refused" {
				n++
			}
		}
		return n >= refused // one whose acknowledgement was lost comes again
	})
	stop()
	for i, id := range ids {
		if r := o.result(id); (r.Cmd == command.Approve) != (r.Status == message.Failed) {
			t.Errorf("command %d: %+v", i, r)
		}
	}
	for _, want := range untold(t, o, dir) {
		t.Errorf("never told: %s", want)
	}
}

// untold are the events of a journal that an office has not heard of. Those that
// still wait in the feed are none of them.
func untold(t *testing.T, o *office, dir string) (missing []string) {
	t.Helper()
	j, _, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	all, err := j.Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := j.UnsentEvents(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	sent := all[:len(all)-len(waiting)]
	if len(sent) == 0 {
		t.Error("no event was sent")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range sent {
		if _, heard := o.events[e.ID]; !heard {
			missing = append(missing, strings.TrimSpace(fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Message)))
		}
	}
	return missing
}

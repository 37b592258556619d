package journal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ostatok/agent/journal"
)

func order(id string, expires int64) journal.Command {
	return journal.Command{Key: "k", ID: id, Issuer: "anna", Cmd: "sync", Args: json.RawMessage(`{}`), Right: "manage", Lane: 1,
		IssuedAt: expires - 3_600_000, ExpiresAt: expires, State: journal.CommandReceived}
}

func take(t rapid.TB, j *journal.Journal, c *journal.Command) journal.Receipt {
	t.Helper()
	receipt, err := j.TakeCommand(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func publish(t rapid.TB, j *journal.Journal) (told []journal.CommandState) {
	t.Helper()
	list, err := j.UnpublishedCommands(context.Background(), 100)
	must(t, err)
	must(t, j.PublishedCommands(context.Background(), list))
	for _, c := range list {
		told = append(told, c.State)
	}
	return told
}

func TestCommandLife(t *testing.T) {
	j := fresh(t)
	c := order("c-1", noon.UnixMilli())
	if r := take(t, j, &c); r != journal.Taken || c.Seq == 0 {
		t.Fatalf("receipt %d, seq %d", r, c.Seq)
	}
	again := order("c-1", noon.UnixMilli())
	if r := take(t, j, &again); r != journal.Seen {
		t.Errorf("again: receipt %d", r)
	}
	if seen, err := j.SeenCommand(t.Context(), "k", "c-1"); err != nil || !seen {
		t.Errorf("seen %v, %v", seen, err)
	}
	if next, found, err := j.NextCommand(t.Context(), 1); err != nil || !found || next.ID != "c-1" || string(next.Args) != "{}" || next.ExpiresAt != noon.UnixMilli() {
		t.Errorf("next %+v, %v, %v", next, found, err)
	}
	if _, found, err := j.NextCommand(t.Context(), 0); err != nil || found {
		t.Errorf("another lane: %v, %v", found, err)
	}
	if ok, err := j.StartCommand(t.Context(), c.Seq); err != nil || !ok {
		t.Fatalf("start: %v, %v", ok, err)
	}
	if ok, err := j.StartCommand(t.Context(), c.Seq); err != nil || ok {
		t.Errorf("a second start: %v, %v", ok, err)
	}
	if told := publish(t, j); !slices.Equal(told, []journal.CommandState{journal.CommandStarted}) {
		t.Errorf("told %v", told)
	}
	c.State, c.Result = journal.CommandDone, json.RawMessage(`{"n":1}`)
	must(t, j.FinishCommand(t.Context(), c))
	c.State = journal.CommandFailed
	must(t, j.FinishCommand(t.Context(), c)) // has ended already
	list, err := j.UnpublishedCommands(t.Context(), 10)
	if err != nil || len(list) != 1 || list[0].State != journal.CommandDone || string(list[0].Result) != `{"n":1}` {
		t.Errorf("unpublished %+v, %v", list, err)
	}
	publish(t, j)
	if n, err := j.CountUnpublished(t.Context()); err != nil || n != 0 {
		t.Errorf("%d unpublished, %v", n, err)
	}
}

// A state that goes on while it is being published is told of again.
func TestStateAfterPublishing(t *testing.T) {
	j := fresh(t)
	c := order("c", noon.UnixMilli())
	take(t, j, &c)
	list, err := j.UnpublishedCommands(t.Context(), 10)
	must(t, err)
	_, err = j.StartCommand(t.Context(), c.Seq)
	must(t, err)
	must(t, j.PublishedCommands(t.Context(), list))
	if told := publish(t, j); !slices.Equal(told, []journal.CommandState{journal.CommandStarted}) {
		t.Errorf("told %v", told)
	}
}

func TestOpenCommandsAreBounded(t *testing.T) {
	j := fresh(t)
	for i := range journal.OpenCommands {
		c := order(fmt.Sprint(i), noon.UnixMilli())
		take(t, j, &c)
	}
	c := order("more", noon.UnixMilli())
	if r := take(t, j, &c); r != journal.Busy {
		t.Errorf("receipt %d", r)
	}
	c.State = journal.CommandRejected
	if r := take(t, j, &c); r != journal.Taken {
		t.Errorf("its refusal: receipt %d", r)
	}
}

// Whatever the clock says when old commands are dropped, and however often the
// journal is opened, no command is taken twice.
func TestNoCommandTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := temp(t)
		must(t, err)
		j := reopen(t, dir)
		defer func() { must(t, j.Close()) }()
		taken := map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				id := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "id"))
				expires, had := taken[id]
				if !had { // a token says the same each time
					expires = noon.UnixMilli() + int64(rapid.IntRange(-72, 72).Draw(t, "hours"))*3_600_000
				}
				c := order(id, expires)
				if take(t, j, &c) == journal.Taken {
					if had {
						t.Fatalf("command %s was taken twice", id)
					}
					taken[id] = expires
				}
			case 2:
				if c, found, err := j.NextCommand(context.Background(), 1); err == nil && found {
					_, err := j.StartCommand(context.Background(), c.Seq)
					must(t, err)
					c.State = journal.CommandDone
					must(t, j.FinishCommand(context.Background(), c))
				}
			case 3:
				publish(t, j)
			case 4:
				hours := rapid.IntRange(-1000, 1000).Draw(t, "clock")
				must(t, j.ForgetOldCommands(context.Background(), noon.Add(time.Duration(hours)*time.Hour).UnixMilli()))
			case 5:
				must(t, j.Close())
				j = reopen(t, dir)
			}
		}
	})
}

func TestOldCommandsAreForgotten(t *testing.T) {
	j := fresh(t)
	for i, hours := range []int{0, 30, 60} {
		c := order(fmt.Sprint(i), noon.Add(time.Duration(hours)*time.Hour).UnixMilli())
		c.State = journal.CommandRejected
		take(t, j, &c)
	}
	publish(t, j)
	must(t, j.ForgetOldCommands(t.Context(), noon.Add(56*time.Hour).UnixMilli()))
	got := map[string]journal.Receipt{}
	for i, hours := range []int{0, 30, 60} {
		c := order(fmt.Sprint(i), noon.Add(time.Duration(hours)*time.Hour).UnixMilli())
		got[c.ID] = take(t, j, &c)
	}
	fresh := order("new", noon.Add(31*time.Hour).UnixMilli())
	got[fresh.ID] = take(t, j, &fresh)
	if want := map[string]journal.Receipt{"0": journal.Old, "1": journal.Old, "2": journal.Seen, "new": journal.Taken}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A journal that may have lost commands takes none that is older than it.
func TestDoubtedJournal(t *testing.T) {
	j := fresh(t)
	at := noon.UnixMilli()
	must(t, j.CommandsSince(t.Context(), at, true))
	must(t, j.CommandsSince(t.Context(), at+1000, true)) // stays
	before, after := order("before", at+3_600_000-1), order("after", at+3_600_000)
	if a, b := take(t, j, &before), take(t, j, &after); a != journal.Old || b != journal.Taken {
		t.Errorf("receipts %d, %d", a, b)
	}
	must(t, j.DoubtCommands(t.Context()))
	must(t, j.CommandsSince(t.Context(), at+5000, true))
	late := order("late", at+3_600_000+4000)
	if r := take(t, j, &late); r != journal.Old {
		t.Errorf("receipt %d", r)
	}
	must(t, j.CommandsSince(t.Context(), at, false)) // not sure: stays
	must(t, j.CommandsSince(t.Context(), at, true))  // the clock was ahead
	if r := take(t, j, &late); r != journal.Taken {
		t.Errorf("receipt %d", r)
	}
}

package journal_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"ostatok/agent/journal"
)

// temp is a folder for one run of a property.
func temp(t *rapid.T) (string, error) {
	dir, err := os.MkdirTemp("", "journal")
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir, err
}

func reopen(t rapid.TB, dir string) *journal.Journal {
	t.Helper()
	j, _, err := journal.Open(context.Background(), journal.Options{Dir: dir, Now: func() time.Time { return noon }, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSessions(t *testing.T) {
	dir := t.TempDir()
	j := reopen(t, dir)
	for want := range int64(3) {
		if got, err := j.NextSession(t.Context()); err != nil || got != want+1 {
			t.Errorf("session %d, %v", got, err)
		}
	}
	must(t, j.RaiseSession(t.Context(), 100))
	must(t, j.RaiseSession(t.Context(), 50))
	must(t, j.Close())
	j = reopen(t, dir)
	defer func() { must(t, j.Close()) }()
	if got, err := j.NextSession(t.Context()); err != nil || got != 101 {
		t.Errorf("session %d, %v", got, err)
	}
}

func TestEventCursor(t *testing.T) {
	j := fresh(t)
	must(t, j.FeedEvents(t.Context()))
	for _, id := range []string{"a", "b", "c"} {
		must(t, j.AddEvent(t.Context(), journal.Event{ID: id, Kind: "k", Severity: journal.Info}))
	}
	list, err := j.UnsentEvents(t.Context(), 2)
	if err != nil || len(list) != 2 || list[1].ID != "b" {
		t.Fatalf("%+v, %v", list, err)
	}
	must(t, j.EventsSent(t.Context(), list[1].Seq))
	must(t, j.FeedEvents(t.Context())) // changes nothing
	if list, err = j.UnsentEvents(t.Context(), 2); err != nil || len(list) != 1 || list[0].ID != "c" {
		t.Errorf("%+v, %v", list, err)
	}
	if b, err := j.EventBacklog(t.Context()); err != nil || b.Waiting != 1 {
		t.Errorf("%+v, %v", b, err)
	}
}

// Large events are bounded by their bytes: information goes before warnings, the
// oldest first, and what was sent before what was not.
func TestEventBytes(t *testing.T) {
	for name, fed := range map[string]bool{"to an operator": true, "to nobody": false} {
		t.Run(name, func(t *testing.T) {
			j := fresh(t)
			if fed {
				must(t, j.FeedEvents(t.Context()))
			}
			large, err := json.Marshal(strings.Repeat("x", journal.KeepEventBytes/10))
			must(t, err)
			for _, e := range []journal.Event{
				{ID: "error", Severity: journal.Error}, {ID: "warning", Severity: journal.Warning},
			} {
				e.Kind, e.Data = "k", large
				must(t, j.AddEvent(t.Context(), e))
			}
			for _, id := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
				must(t, j.AddEvent(t.Context(), journal.Event{ID: id, Kind: "k", Severity: journal.Info, Data: large}))
			}
			must(t, j.Maintain(t.Context()))
			list, err := j.Events(t.Context(), 0, 100)
			must(t, err)
			var ids []string
			for _, e := range list {
				ids = append(ids, e.ID)
			}
			want := []string{"error", "warning", "3", "4", "5", "6", "7", "8", "9"}
			var dropped int64 = 3
			if !fed {
				want, dropped = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, 0
			}
			if !slices.Equal(ids, want) {
				t.Errorf("kept %v, want %v", ids, want)
			}
			if b, err := j.EventBacklog(t.Context()); err != nil || b.DroppedInfo != dropped || b.DroppedWarning+b.DroppedError != 0 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

func TestLevelsSent(t *testing.T) {
	j := fresh(t)
	must(t, j.SetLevelsSent(t.Context(), map[string]string{"a": "1", "b": "2"}))
	must(t, j.SetLevelsSent(t.Context(), map[string]string{"a": "3", "b": "", "c": ""}))
	if got, err := j.LevelsSent(t.Context()); err != nil || !maps.Equal(got, map[string]string{"a": "3"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRebirth(t *testing.T) {
	j := fresh(t)
	owed := func() int64 {
		n, err := j.Rebirth(t.Context())
		must(t, err)
		return n
	}
	if n := owed(); n != 0 {
		t.Errorf("owed %d", n)
	}
	must(t, j.AskRebirth(t.Context()))
	first := owed()
	must(t, j.AskRebirth(t.Context())) // while the first is under way
	must(t, j.Reborn(t.Context(), first))
	if n := owed(); n == 0 || n == first {
		t.Errorf("owed %d after %d", n, first)
	}
	must(t, j.Reborn(t.Context(), owed()))
	if n := owed(); n != 0 {
		t.Errorf("owed %d", n)
	}
}

func TestOverrides(t *testing.T) {
	j := fresh(t)
	poll := journal.Override{Key: "evotor.poll", Value: json.RawMessage(`"30s"`), Until: 5, By: "anna", Command: 7}
	keep := journal.Override{Key: "log.level", Value: json.RawMessage(`"debug"`), Until: 9, By: "anna", Command: 7}
	must(t, j.SetOverrides(t.Context(), []journal.Override{keep}, nil))
	must(t, j.ConfirmOverrides(t.Context()))
	must(t, j.SetOverrides(t.Context(), []journal.Override{poll}, nil))
	for start := range journal.Tries {
		if dropped, err := j.TryOverrides(t.Context()); err != nil || dropped != nil {
			t.Fatalf("start %d: dropped %v, %v", start, dropped, err)
		}
	}
	if dropped, err := j.TryOverrides(t.Context()); err != nil || !slices.Equal(dropped, []string{"evotor.poll"}) {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	list, err := j.Overrides(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != "log.level" || !list[0].Confirmed || string(list[0].Value) != `"debug"` || list[0].Until != 9 {
		t.Errorf("%+v, %v", list, err)
	}
	must(t, j.SetOverrides(t.Context(), nil, []string{"log.level", "nothing"}))
	if list, err := j.Overrides(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

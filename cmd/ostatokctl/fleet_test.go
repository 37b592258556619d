package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"ostatok/agent/message"
)

// A late will changes nothing, in whatever order the broker tells it.
func TestALateWillChangesNothing(t *testing.T) {
	topics := message.TopicsOf(tenant, "shop-a")
	publish := func(topic string, v any) publication {
		payload, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return publication{topic, payload, true}
	}
	will := func(n int64) publication {
		return publish(topics.State, message.State{State: message.Lost, Session: n})
	}
	ready := func(n int64) publication {
		return publish(topics.State, message.State{State: message.Ready, Session: n})
	}
	status := func(n int64) publication { return publish(topics.Status, message.Status{Session: n}) }
	for name, test := range map[string]struct {
		told []publication
		want message.Phase
	}{
		"its own will":                     {[]publication{ready(1), will(1)}, message.Lost},
		"back":                             {[]publication{ready(1), will(1), ready(2)}, message.Ready},
		"late will":                        {[]publication{ready(1), ready(2), will(1)}, message.Ready},
		"late will kept, then a status":    {[]publication{will(1), status(2)}, message.Ready},
		"a status, then late will kept":    {[]publication{status(2), ready(2), will(1)}, message.Ready},
		"a status of the lost session":     {[]publication{status(1), will(1)}, message.Lost},
		"stopped on purpose":               {[]publication{ready(3), publish(topics.State, message.State{State: message.Disconnected, Session: 3})}, message.Disconnected},
		"a journal that began again":       {[]publication{ready(9), ready(1)}, message.Ready},
		"only a status":                    {[]publication{status(1)}, "unknown"},
		"what everyone is told is no shop": {[]publication{status(1), publish("ostatok/v1/acme/all/state", 1)}, "unknown"},
	} {
		f := newFleet(time.Now)
		for _, p := range test.told {
			f.take(p)
		}
		if j, ok := f.find("shop-a"); !ok || j.phase() != test.want || len(f.stores()) != 1 {
			t.Errorf("%s: %v, %v, want %v", name, ok, j.phase(), test.want)
		}
	}
}

func TestAShopThatWasRemovedFromTheBrokerIsGone(t *testing.T) {
	f := newFleet(time.Now)
	topics := message.TopicsOf(tenant, "shop-a")
	f.take(publication{topics.State, []byte(`{"state":"ready","session":1}`), true})
	f.take(publication{topics.State, nil, false})
	if len(f.stores()) != 0 {
		t.Errorf("still there: %v", f.stores())
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	lag := func(n int64) *int64 { return &n }
	good := func() shop {
		return shop{
			Store: "s", State: &message.State{State: message.Ready, Session: 1}, heard: ago(time.Minute),
			Status: &message.Status{Session: 1, At: ago(time.Minute), Sync: message.Sync{Complete: true, Lag: lag(30)}, Disk: message.Disk{Free: 1 << 30}},
		}
	}
	for name, test := range map[string]struct {
		change func(*shop)
		worst  severity
		kinds  []string
	}{
		"good":             {func(*shop) {}, fine, nil},
		"lost":             {func(s *shop) { s.State.State = message.Lost }, severe, []string{"lost"}},
		"stopped":          {func(s *shop) { s.State.State = message.Disconnected }, warning, []string{"stopped"}},
		"silent":           {func(s *shop) { s.heard = ago(12 * time.Minute) }, warning, []string{"silent"}},
		"old when we came": {func(s *shop) { s.heard, s.Status.At = time.Time{}, ago(time.Hour) }, warning, []string{"silent"}},
		"old by a wrong clock": {func(s *shop) {
			s.heard, s.Status.At, s.Status.Clock = time.Time{}, ago(9999*time.Hour), "before the build"
		},
			warning, []string{"clock"}},
		"no status":   {func(s *shop) { s.Status = nil }, warning, []string{"no status"}},
		"no state":    {func(s *shop) { s.State = nil }, severe, []string{"unknown"}},
		"unreadable":  {func(s *shop) { s.unreadable = "status" }, severe, []string{"unreadable"}},
		"behind":      {func(s *shop) { s.Status.Sync.Lag = lag(1000) }, warning, []string{"behind"}},
		"never":       {func(s *shop) { s.Status.Sync.Lag = nil }, warning, []string{"sync"}},
		"first sync":  {func(s *shop) { s.Status.Sync.Complete = false }, notice, []string{"sync"}},
		"problem":     {func(s *shop) { s.Status.Problems = []message.Problem{{Kind: "token"}} }, warning, []string{"token"}},
		"little disk": {func(s *shop) { s.Status.Disk.Free = 1 << 20 }, warning, []string{"disk"}},
		"target in error": {func(s *shop) {
			s.Status.Targets = []message.Target{{Name: "site", LastError: "x", Rejected: 1, Blocked: 2}}
		},
			warning, []string{"site error", "site rejected", "site blocked"}},
		"a target that is off": {func(s *shop) { s.Status.Targets = []message.Target{{Name: "site", Policy: "off", LastError: "x"}} }, fine, nil},
		"a plan waits":         {func(s *shop) { s.Status.Plans = []message.Plan{{Target: "site", State: "open"}} }, notice, []string{"site plan"}},
		"to count":             {func(s *shop) { s.Status.Levels.Unknown = 1 }, notice, []string{"count"}},
		"set aside":            {func(s *shop) { s.Status.Quarantine = 1 }, notice, []string{"quarantine"}},
		"dropped":              {func(s *shop) { s.Status.Feed.Dropped.Warning = 1 }, notice, []string{"dropped"}},
	} {
		s := good()
		test.change(&s)
		j := judge(s, now)
		var kinds []string
		for _, f := range j.findings {
			kinds = append(kinds, f.kind)
		}
		if j.worst() != test.worst || !slices.Equal(kinds, test.kinds) {
			t.Errorf("%s: %v %v, want %v %v", name, j.worst(), kinds, test.worst, test.kinds)
		}
	}
}

func TestClean(t *testing.T) {
	if got := clean("Молоко\x1b[31m\n\t\u202e 3,2 %"); got != "Молоко [31m    3,2 %" {
		t.Errorf("got %q", got)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/message"
)

// told are the shops that were ordered to update, in order.
type told struct {
	mu     sync.Mutex
	stores []string
}

func (l *told) add(store string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stores = append(l.stores, store)
}

func (l *told) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.stores)
}

// Ways in which a shop takes an update.
const (
	takes     = "takes it"
	goesBack  = "goes back"
	refuses   = "refuses"
	saysNever = "says nothing"
)

// updatable is a shop that runs 1.0.0 and takes an update in its way.
func (d *desk) updatable(store, way string, log *told) {
	var p *played
	known := make(chan struct{})
	tell := func(session int64, version, release string) {
		s := p.status(session)
		s.Version, s.Release = version, release
		text, _ := json.Marshal(s) // plain fields
		p.client.Publish(p.topics.Status, 1, true, text).WaitTimeout(30 * time.Second)
	}
	birth := func(session int64, version string) {
		text, _ := json.Marshal(message.State{State: message.Ready, Session: session, Version: version, At: time.Now().UTC()})
		p.client.Publish(p.topics.State, 1, true, text).WaitTimeout(30 * time.Second)
	}
	p = d.shop(store, 1, func(c command.Claims) message.Result {
		<-known
		if c.Cmd != command.Update || string(c.Args) != `{"now":true,"version":"1.4.0"}` {
			d.t.Errorf("%s got %s %s", store, c.Cmd, c.Args)
		}
		log.add(store)
		switch way {
		case refuses:
			return message.Result{Status: message.Failed, Error: &message.Error{Code: "no_space", Message: "the disk is full"}}
		case saysNever:
			return message.Result{Status: message.Received}
		}
		birth(2, "1.4.0")
		tell(2, "1.4.0", "trial 1.4.0")
		if way == goesBack {
			birth(3, "1.0.0")
			tell(3, "1.0.0", "rolled-back 1.4.0: it crashed")
		} else {
			tell(2, "1.4.0", "")
		}
		return message.Result{Status: message.Done, Result: json.RawMessage(`{"version":"1.4.0","state":"trial"}`)}
	})
	p.say(p.topics.Status, true, func() message.Status { s := p.status(1); s.Version = "1.0.0"; return s }())
	close(known)
}

// places are the shops in the order in which a rollout of 1.4.0 takes them.
func places(shops []string) []string {
	r := rollout{version: "1.4.0"}
	slices.SortFunc(shops, func(x, y string) int {
		if r.lot(x) < r.lot(y) {
			return -1
		}
		return 1
	})
	return shops
}

func TestRollout(t *testing.T) {
	for _, test := range []struct {
		name  string
		ways  []string // by place
		args  []string
		code  int
		told  int
		wants []string
	}{
		{"all take it", []string{takes, takes, takes, takes}, nil, 0, 4,
			[]string{"stage 1: 1 of 1 shops keep 1.4.0", "stage 2: 1 of 1", "stage 3: 2 of 2", "all 4 shops run 1.4.0"}},
		{"the first goes back", []string{goesBack, takes, takes}, nil, exitIncomplete, 1,
			[]string{"rolled back  it crashed", "stopped: 1 of the 1 shops", "2 shops were not told"}},
		{"the first refuses", []string{refuses, takes, takes}, nil, exitIncomplete, 1,
			[]string{"refused  the disk is full (no_space)", "stopped"}},
		{"the first falls silent", []string{saysNever, takes}, []string{"--silence", "700ms"}, exitIncomplete, 1,
			[]string{"silent  nothing was heard", "stopped"}},
		{"few enough are bad", []string{takes, takes, goesBack, takes}, []string{"--stages", "1,4", "--most", "50"}, exitIncomplete, 4,
			[]string{"stage 2: 2 of 3 shops keep", "3 shops run 1.4.0, 1 do not"}},
		{"a shop has it already", []string{takes}, []string{"--stages", "100%"}, 0, 1, []string{"all 1 shops run"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, log := newDesk(t), &told{}
			shops := make([]string, len(test.ways))
			for i := range shops {
				shops[i] = fmt.Sprintf("shop-%d", i)
			}
			shops = places(shops)
			for i, way := range test.ways {
				d.updatable(shops[i], way, log)
			}
			args := append([]string{"release", "rollout", "1.4.0", "--now", "--stages", "1,50%,100%", "--wait", "30s"}, test.args...)
			out, says, code := d.run(args...)
			if code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			for _, want := range test.wants {
				if !strings.Contains(out+says, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if got := log.list(); len(got) != test.told || got[0] != shops[0] {
				t.Errorf("%v were told, of %v", got, shops)
			}
			if t.Failed() {
				t.Logf("%s\n%s", out, says)
			}
			// Who has it is not told again.
			if test.code == 0 {
				if _, says, code := d.run(args...); code != 0 || len(log.list()) != test.told {
					t.Errorf("a second time: exit %d, %d were told\n%s", code, len(log.list()), says)
				}
			}
		})
	}
}

func TestRolloutLeavesOutWhoIsOffline(t *testing.T) {
	d, log := newDesk(t), &told{}
	d.updatable("shop-a", takes, log)
	b := d.shop("shop-b", 1, nil)
	b.say(b.topics.State, true, message.State{State: message.Disconnected, Session: 1})
	_, says, code := d.run("release", "rollout", "1.4.0", "--now")
	if code != exitIncomplete || !strings.Contains(says, "1 offline and left out") || !strings.Contains(says, "1 shops run 1.4.0, 1 do not") {
		t.Errorf("exit %d: %s", code, says)
	}
}

func TestRolloutUsage(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{
		{"1.4"}, {"1.4.0", "--stages", "0"}, {"1.4.0", "--stages", "many"}, {"1.4.0", "--stages", "101%"}, {"1.4.0", "--most", "200"}, {},
	} {
		if _, _, code := d.run(append([]string{"release", "rollout"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if _, says, code := d.run("release", "rollout", "1.4.0", "--settle", "50ms"); code != exitNotFound {
		t.Errorf("exit %d: %s", code, says)
	}
}

func TestStages(t *testing.T) {
	stages, err := parseStages("1, 10%,100%")
	if err != nil {
		t.Fatal(err)
	}
	for all, want := range map[int][]int{1: {1, 1, 1}, 5: {1, 1, 5}, 200: {1, 20, 200}, 205: {1, 21, 205}} {
		for i, s := range stages {
			if got := s.size(all); got != want[i] {
				t.Errorf("stage %d of %d shops has %d, want %d", i+1, all, got, want[i])
			}
		}
	}
}

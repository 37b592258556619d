package agent_test

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/config"
	"ostatok/agent/ingest"
	"ostatok/sync/keycrm/keycrmtest"
)

var writeClocks = flag.Bool("clocks", false, "write the table of clocks in docs/TESTING.md anew")

// clockFault is what a clock does for six hours, from noon on. Before, it was
// right for an hour, unless the box was off.
type clockFault struct {
	name   string
	cold   bool // the box starts with it, and nothing was ever read from the cloud
	off    bool // the box starts with it, after it has worked
	away   bool // the cloud cannot be reached meanwhile
	behind func(hour float64) time.Duration

	judged string // part of what the status says of the clock in the end; "": it is trusted
	by     string // what the best known time is by then: "the cloud", or what it is counted from
}

const year = 365 * 24 * time.Hour

func steady(d time.Duration) func(float64) time.Duration {
	return func(float64) time.Duration { return d }
}

func clockFaults() []clockFault {
	since1970, until2100 := today.Sub(time.Unix(0, 0)), -time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Sub(today)
	return []clockFault{
		{name: "right", behind: steady(0), by: "the cloud"},
		{name: "starts in 1970", cold: true, behind: steady(since1970), judged: "before this program was built", by: "the cloud"},
		{name: "starts in 1970, the cloud away", cold: true, away: true, behind: steady(since1970), judged: "before this program was built", by: "the build"},
		{name: "starts in 2100", cold: true, behind: steady(until2100), judged: "decades after", by: "the cloud"},
		{name: "starts in 2100, the cloud away", cold: true, away: true, behind: steady(until2100), judged: "decades after", by: "the build"},
		{name: "starts a year ahead", cold: true, behind: steady(-year), judged: "365 days ahead of", by: "the cloud"},
		// Nothing speaks against it: this is the one that is believed.
		{name: "starts a year ahead, the cloud away", cold: true, away: true, behind: steady(-year), by: "the clock"},
		{name: "starts again in 1970, the cloud away", off: true, away: true, behind: steady(since1970), judged: "before this program was built", by: "what was seen"},
		{name: "starts again a year ahead, the cloud away", off: true, away: true, behind: steady(-year), by: "the clock"},
		{name: "jumps to 1970", behind: steady(since1970), judged: "before this program was built", by: "the cloud"},
		{name: "jumps to 1970, the cloud away", away: true, behind: steady(since1970), judged: "before this program was built", by: "the cloud"},
		{name: "jumps a year ahead", behind: steady(-year), judged: "365 days ahead of", by: "the cloud"},
		{name: "jumps a year ahead, the cloud away", away: true, behind: steady(-year), judged: "365 days ahead of", by: "the cloud"},
		{name: "jumps a day back", behind: steady(24 * time.Hour), judged: "24h0m0s behind", by: "the cloud"},
		{name: "jumps a day back, the cloud away", away: true, behind: steady(24 * time.Hour), judged: "24h0m0s behind", by: "the cloud"},
		{name: "jumps to 2100", behind: steady(until2100), judged: "decades after", by: "the cloud"},
		{name: "goes slow by 3 min an hour", behind: func(h float64) time.Duration { return time.Duration(h * float64(3*time.Minute)) },
			judged: "18m0s behind", by: "the cloud"},
		{name: "to and fro by a year each hour", behind: func(h float64) time.Duration { return year * time.Duration(int(h)%2*2-1) },
			judged: "365 days ahead of", by: "the cloud"},
	}
}

// TestClocks plays each fault, with sales at a terminal, one of them received in
// the shop alone, and a backend that is down. Then the clock is set right, the
// cloud and the backend are there again, and all has to go on within minutes, and
// the night's full run to be made once.
func TestClocks(t *testing.T) {
	var b strings.Builder
	b.WriteString("| the clock | is judged | best known time by | full runs meanwhile | polls an hour, meanwhile and after | all four right after | full runs next night |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	all := true
	for i, f := range clockFaults() {
		if testing.Short() && i%4 != 0 {
			all = false
			continue
		}
		row := ""
		t.Run(f.name, func(t *testing.T) {
			play(t, fiveMinutely, func(t *testing.T, m *market) { row = f.play(t, m) })
		})
		all = all && row != "" // -run may leave some out
		b.WriteString(row)
	}
	if t.Failed() || !all {
		return
	}
	const name, begin, end = "../docs/TESTING.md", "<!-- by TestClocks -->\n", "<!-- end of clocks -->\n"
	docs, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(docs), begin)
	_, after, also := strings.Cut(rest, end)
	switch want := before + begin + b.String() + end + after; {
	case !ok || !also:
		t.Errorf("%s has no place for the table", name)
	case want == string(docs):
	case *writeClocks:
		if err := os.WriteFile(filepath.FromSlash(name), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table is not as in %s (run with -clocks to write it):\n%s", name, b.String())
	}
}

// fiveMinutely polls less often than a shop does: hours have to pass.
func fiveMinutely(c *config.Config) {
	nightly(1)(c)
	c.Evotor.Poll = 5 * time.Minute
	c.Mirror.Keep = 100 * 24 * time.Hour // a year ahead all would be older than that
}

func (f clockFault) play(t *testing.T, m *market) string {
	level := ""
	m.options.Logs.SetLevel = func(l string) { level = l }
	noon := today
	if f.cold {
		m.setClock(f.behind(0))
		m.away(f.away)
		m.close()
		m.open()
		m.run(m.keepInStep)
	} else {
		m.close()
		m.open()
		m.backfill()
		m.run(m.keepInStep)
		m.until(1)
		noon = noon.Add(time.Hour)
		if err := m.TidyUp(t.Context()); err != nil {
			t.Error(err)
		}
		if got := m.everywhere("milk", "1"); got != "7 7 7 7" {
			t.Fatalf("before the fault: %s", got)
		}
		m.away(f.away)
		if f.off {
			m.stop()
			m.close()
		}
		m.setClock(f.behind(0))
		if f.off {
			m.open()
			m.run(m.keepInStep)
		}
	}

	// The fault.
	m.crm.Fail("", keycrmtest.Unavailable, 0, -1)
	if err := m.LogLevel("debug", "2h"); err != nil {
		t.Error(err)
	}
	first := m.received("A", noon.Add(10*time.Minute), "milk", "1", "7")
	second := m.received("B", noon.Add(20*time.Minute), "milk", "1", "6")
	fulls, polls := m.fulls(), m.polls()
	for h := 0.0; h < 6; h += 0.25 {
		m.setClock(f.behind(h))
		m.untilTime(noon.Add(time.Duration(h * float64(time.Hour))))
		if h == 2 {
			if err := m.TidyUp(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if h == 1 {
			m.desk.write(first) // it reaches the cloud late
		}
	}
	m.setClock(f.behind(6))
	m.untilTime(noon.Add(6 * time.Hour))
	meanwhile := "-"
	if !f.away {
		meanwhile = pace(t, m.polls()-polls, 6)
	}
	if !f.cold || !f.away { // without a first synchronisation nothing is known of milk
		m.stands("milk", "5 known")
	}
	if level != "info" {
		t.Errorf("the level of the log is still %s", level)
	}
	s, err := m.Status(t.Context())
	judged := "trusted"
	if err != nil || (f.judged == "") != (s.Clock == "") || !strings.Contains(s.Clock, f.judged) {
		t.Errorf("the status says %q, %v", s.Clock, err)
	} else if f.judged != "" {
		judged = "…" + f.judged + "…"
	}
	f.commands(t, m)
	if during := m.fulls() - fulls; during != 0 {
		t.Errorf("%d full runs at noon", during)
	}

	// All is right again.
	m.desk.write(second)
	m.away(false)
	m.setClock(0)
	m.crm.ClearFaults()
	right := m.desk.now()
	for m.everywhere("milk", "1") != "5 5 5 5" && m.desk.now().Sub(right) < 2*time.Hour {
		time.Sleep(time.Minute)
	}
	took := m.desk.now().Sub(right)
	// A backend that was down for hours is asked every half an hour, the cloud
	// every quarter of an hour.
	within := time.Hour
	if took > within {
		t.Errorf("after %v: %s", took, m.everywhere("milk", "1"))
	}
	m.desk.write(document{id: "C", kind: "SELL", at: m.desk.now().Add(-time.Minute), lines: []string{line("milk", "1", "5")}})
	polls = m.polls()
	m.untilTime(m.desk.now().Add(3 * time.Hour))
	after := pace(t, m.polls()-polls, 3)
	if got := m.everywhere("milk", "1"); got != "4 4 4 4" {
		t.Errorf("in the end milk is %s", got)
	}
	if s, err := m.Status(t.Context()); err != nil || s.Clock != "" || s.Started.Sub(m.desk.now()).Abs() > 12*time.Hour {
		t.Errorf("in the end the clock is %q, the agent was started at %v, %v", s.Clock, s.Started, err)
	}
	m.until(night - minute)
	fulls = m.fulls()
	m.until(night + 20*minute)
	m.until(night + 1.5)
	if n := m.fulls() - fulls; n != 1 {
		t.Errorf("%d full runs in the night", n)
	}
	m.orderly(t)

	// A night later the box starts again, with the right clock: what it has noted
	// of the time must not be held against it.
	m.stop()
	m.close()
	m.open()
	m.sync()
	if s, err := m.Status(t.Context()); err != nil || s.Clock != "" {
		t.Errorf("after another start the clock is %q, %v", s.Clock, err)
	}
	return fmt.Sprintf("| %s | %s | %s | 0 | %s, %s | within %v | 1 |\n", f.name, judged, f.by, meanwhile, after, "1 h")
}

// pace is the number of polls an hour, in words: the jitter's share is not.
func pace(t *testing.T, polls int, hours int) string {
	t.Helper()
	// One in five minutes with a tenth of jitter, and one for each delivery.
	if each := polls / hours; each < 10 || each > 20 {
		t.Errorf("%d polls in %d hours", polls, hours)
	}
	return "12"
}

// commands: one that was signed an hour ago, by the right time, is taken, and one
// that is over is refused where the time is known.
func (f clockFault) commands(t *testing.T, m *market) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := []command.Key{{ID: command.KeyID(public), Public: public, Right: command.Manage}}
	verify := func(issued, expires time.Duration) error {
		t.Helper()
		token, err := command.Sign(private, command.Claims{ID: "1", Cmd: command.Ping, Audience: []string{shop1},
			IssuedAt: m.desk.now().Add(issued), ExpiresAt: m.desk.now().Add(expires)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = command.Verify([]byte(token), shop1, keys, m.KnownTime())
		return err
	}
	if err := verify(-time.Hour, time.Hour); (err != nil) != (f.by == "the clock") {
		t.Errorf("a command of an hour ago: %v", err)
	}
	if err := verify(-3*time.Hour, -time.Hour); (err == nil) != (f.by == "the build") {
		t.Errorf("a command that is over: %v", err)
	}
	off := m.KnownTime().Time().Sub(m.desk.now()).Abs()
	if (off < 10*time.Minute) != (f.by == "the cloud" || f.by == "what was seen") {
		t.Errorf("the best known time is off by %v", off)
	}
}

// orderly checks that what people are told has an order of its own.
func (m *market) orderly(t *testing.T) {
	t.Helper()
	all, err := m.AllEvents(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	for i := range all[1:] {
		if all[i+1].Seq <= all[i].Seq {
			t.Errorf("event %d comes after %d", all[i+1].Seq, all[i].Seq)
		}
	}
}

// received hands in a sale over the shop's own network, as the page's neighbour
// does, and returns it.
func (m *market) received(id string, at time.Time, product, quantity, before string) document {
	m.t.Helper()
	d := document{id: id, kind: "SELL", number: 100, device: till1, store: shop1, at: at, lines: []string{line(product, quantity, before)}}
	raw := ingest.Document{ID: id, Closed: at.UnixMilli(), Raw: []byte(d.json())}
	if err := m.Hand(m.t.Context(), raw); err != nil {
		m.t.Error(err)
	}
	return d
}

// away cuts the line to the cloud, or mends it.
func (m *market) away(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cloudAway = yes
}

func (m *market) untilTime(at time.Time) { time.Sleep(at.Sub(m.desk.now())) }

// polls counts the listings of documents that the cloud was asked for.
func (m *market) polls() (n int) {
	m.desk.mu.Lock()
	defer m.desk.mu.Unlock()
	for _, r := range m.desk.asked {
		if r.method == http.MethodGet && strings.HasSuffix(r.path, "/documents") {
			n++
		}
	}
	return n
}

// keepInStep is the running agent, as a part.
func (m *market) keepInStep(ctx context.Context) error { m.KeepInStep(ctx); return nil }

package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/command"
	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/message"
	"ostatok/agent/stock"
	"ostatok/platform/release"
	"ostatok/platform/update"
	"ostatok/platform/update/trial"
	"ostatok/sync/evotor/evotortest"
)

// fleetBox is a box whose versions are played: the agent is always this one, and
// says that it is what the launcher would start.
type fleetBox struct {
	t       *testing.T
	o       *office
	config  *config.Config
	now     func() time.Time
	root    string
	www     string
	key     ed25519.PrivateKey
	cert    string
	rootKey ed25519.PrivateKey
}

func newFleetBox(t *testing.T) *fleetBox {
	d := tradingDesk(t)
	b := &fleetBox{t: t, o: newOffice(t, d.now), now: d.now, root: filepath.Join(t.TempDir(), "program"), www: t.TempDir()}
	b.rootKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	b.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	var err error
	b.cert, err = release.Certify(b.rootKey, release.Certificate{Key: release.FormatKey(b.key.Public().(ed25519.PublicKey)), Serial: 1})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(b.www)))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	c := config.Default()
	c.Store, c.DataDir, c.File = shop1, filepath.Join(t.TempDir(), "data"), "/nowhere"
	c.Evotor.URL, c.Evotor.Token, c.Local.Listen = d.url, config.NewSecret("a-token"), ""
	c.MQTT.URLs, c.MQTT.Tenant = []string{b.o.url}, "acme"
	c.MQTT.Operators = []string{command.Key{Public: b.o.private.Public().(ed25519.PublicKey), Right: command.Manage}.String()}
	c.Update = config.Update{URL: server.URL, ReleaseKeys: []string{release.FormatKey(b.rootKey.Public().(ed25519.PublicKey))}, Trial: 300 * time.Millisecond}
	b.config = c
	first := filepath.Join(t.TempDir(), "ostatok")
	if err := os.WriteFile(first, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := update.Seed(trial.Disk{}, b.root, first, "1.0.0", agent.SchemaLevel); err != nil {
		t.Fatal(err)
	}
	return b
}

// publish makes a release whose program knows only how to check itself.
func (b *fleetBox) publish(version string) {
	b.t.Helper()
	name := filepath.Join(b.t.TempDir(), "release")
	f, err := os.Create(name)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	m := release.Manifest{Product: "ostatok", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH, Channel: "stable", Schema: agent.SchemaLevel,
		URL: release.FilePath("ostatok", version, runtime.GOOS, runtime.GOARCH)}
	program := fmt.Sprintf("#!/bin/sh\ntest -s \"$3/journal.db\" -a -s \"$3/mirror.db\" && echo '{\"version\":%q,\"schema_level\":%d}'\n", version, agent.SchemaLevel)
	if _, err := release.Pack(f, b.key, b.cert, m, strings.NewReader(program)); err != nil {
		b.t.Fatal(err)
	}
	rules := release.Rules{Roots: []ed25519.PublicKey{b.rootKey.Public().(ed25519.PublicKey)}, Product: "ostatok", OS: runtime.GOOS, Arch: runtime.GOARCH}
	if _, err := release.Publish(b.www, name, rules); err != nil {
		b.t.Fatal(err)
	}
}

// start runs the agent as the version that the launcher would start now, and
// returns how to wait for its end.
func (b *fleetBox) start() (wait func() agent.Ending) {
	b.t.Helper()
	choice, err := trial.Next(trial.Disk{}, b.root, nil, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	var ending agent.Ending
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ending, err = agent.Serve(ctx, b.config, agent.Options{
			Build: agent.Build{Version: choice.Version, Time: today.AddDate(0, -1, 0)}, Now: b.now, Location: time.UTC, Log: zerolog.Nop(),
			Launch: agent.Launch{Program: b.root},
		})
	}()
	b.t.Cleanup(func() { cancel(); <-ended })
	b.o.await("version "+choice.Version, func() bool {
		return b.o.status.Version == choice.Version && b.o.status.Sync.Complete && b.o.states[len(b.o.states)-1].State == message.Ready
	})
	return func() agent.Ending {
		<-ended
		if err != nil {
			b.t.Fatal(err)
		}
		return ending
	}
}

// An operator's update from the command to the version that stays, and back.
func TestOperatorUpdates(t *testing.T) {
	b := newFleetBox(t)
	o := b.o
	wait := b.start()

	if r := o.order(command.Update, `{"version":"1.1.0"}`); r.Status != message.Failed {
		t.Errorf("a release that is not there: %+v", r)
	}
	if r := o.order(command.Update, `{"file":"x"}`); r.Error == nil || r.Error.Code != "arguments" {
		t.Errorf("%+v", r)
	}
	if r := o.order(command.Rollback, ``); r.Error == nil || r.Error.Code != "no_previous" {
		t.Errorf("%+v", r)
	}
	b.publish("1.1.0")
	// It waits: shops of a chain do not switch all at once.
	r := o.order(command.Update, `{"version":"1.1.0"}`)
	if r.Status != message.Done || !strings.Contains(string(r.Result), `"staged"`) {
		t.Fatalf("%+v %s", r, r.Result)
	}
	o.await("a staged release", func() bool { return strings.HasPrefix(o.status.Release, "staged 1.1.0: ") })

	id := o.send(command.Update, `{"version":"1.1.0","now":true}`)
	if ending := wait(); ending != agent.Restart {
		t.Fatalf("ended with %v", ending)
	}
	wait = b.start()
	o.await("what came of the update", func() bool { return o.ended(id) })
	if r := o.result(id); r.Status != message.Done || string(r.Result) != `{"version":"1.1.0","state":"trial"}` {
		t.Errorf("%+v %s", r, r.Result)
	}
	o.await("the version stays", func() bool { return o.status.Version == "1.1.0" && o.status.Release == "" })
	if r := o.order(command.Update, `{"version":"1.1.0"}`); r.Status != message.Done || !strings.Contains(string(r.Result), `"runs"`) {
		t.Errorf("%+v %s", r, r.Result)
	}

	id = o.send(command.Rollback, ``)
	if ending := wait(); ending != agent.Restart {
		t.Fatalf("ended with %v", ending)
	}
	b.start()
	o.await("what came of going back", func() bool { return o.ended(id) })
	o.await("the first version", func() bool {
		return o.status.Version == "1.0.0" && o.status.Release == "rolled-back 1.1.0: office asked for it"
	})
	if r := o.order(command.Update, `{"version":"1.1.0","now":true}`); r.Error == nil || r.Error.Code != update.CodeBad {
		t.Errorf("%+v", r)
	}
	if got := o.level("bread").Quantity.String(); got != "7" {
		t.Errorf("bread is %s", got)
	}
}

// While going back would put the data back, nothing is taken in and nothing is
// sent out; then it is.
func TestStepOnTrialIsQuiet(t *testing.T) {
	b := newFleetBox(t)
	wait := b.start()
	if r := b.o.order(command.Restart, ``); r.Status != message.Done && r.Status != message.Started {
		t.Fatalf("%+v", r)
	}
	wait()
	session := b.o.state().Session
	// The same version as a step would have begun its trial.
	b.config.Update.Trial = 4 * time.Second
	if err := trial.Change(trial.Disk{}, b.root, func(r *trial.Record) error {
		r.Trial, r.Previous, r.Copy = true, "0.9.0", "copies/0.9.0"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	b.start() // returns when it is connected and ready
	if took := time.Since(before); took < b.config.Update.Trial {
		t.Errorf("it was there after %v, within its trial", took)
	}
	if now := b.o.state().Session; now <= session {
		t.Errorf("session %d after %d", now, session)
	}
	r, err := trial.Read(b.root)
	if err != nil || r.Trial || r.Copy != "" {
		t.Errorf("%v: the record is %+v", err, r)
	}
}

// A version that failed has left newer data behind: the copy of before is put
// back before anything is opened, and the data of the failed one is kept.
func TestDataIsPutBack(t *testing.T) {
	b := newFleetBox(t)
	wait := b.start()
	b.o.order(command.Restart, ``)
	wait()
	held := filepath.Join(b.root, "copies", "1.0.0")
	if err := os.MkdirAll(held, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"journal.db", "mirror.db"} {
		text, err := os.ReadFile(filepath.Join(b.config.DataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(held, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.config.DataDir, name), []byte("of another level"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := trial.Change(trial.Disk{}, b.root, func(r *trial.Record) error {
		r.Failed, r.Reason, r.Copy = "1.1.0", "it crashed", "copies/1.0.0"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.o.await("the failure is told", func() bool { return b.o.status.Release == "rolled-back 1.1.0: it crashed" })
	if got := b.o.level("bread").Quantity.String(); got != "7" {
		t.Errorf("bread is %s", got)
	}
	if _, err := os.Stat(held); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
	kept, err := filepath.Glob(filepath.Join(b.config.DataDir, "journal.db.replaced-*"))
	if err != nil || len(kept) == 0 {
		t.Errorf("%v: the data of the failed version is not kept", err)
	}
}

// Without the launcher, and for an agent that does not run, the package updates.
func TestUpdateNeedsTheLauncher(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	a := b.open()
	defer b.close(a)
	for _, err := range []error{
		func() error { _, err := a.Update(t.Context(), local.UpdateOrder{Version: "1.1.0"}, nil); return err }(),
		func() error { _, err := a.Updates(t.Context()); return err }(),
		a.RollBack(t.Context()),
	} {
		if local.CodeOf(err) != local.Refused || !strings.Contains(err.Error(), "launcher") {
			t.Errorf("refused as %v", err)
		}
	}
}

func TestSelfCheck(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.sync()
	dir := t.TempDir()
	for _, name := range []string{"journal.db", "mirror.db"} {
		text, err := os.ReadFile(filepath.Join(b.config.DataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := agent.SelfCheck(t.Context(), b.config, b.options, dir); err != nil || r.Version != "test" || r.Schema != agent.SchemaLevel {
		t.Errorf("%+v, %v", r, err)
	}
	other := *b.config
	other.Store = "20170222-D58C-40E0-8051-B53ADFF38861"
	if _, err := agent.SelfCheck(t.Context(), &other, b.options, dir); err == nil || !strings.Contains(err.Error(), "cannot read the mirror") {
		t.Errorf("a mirror that would be thrown away passes: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), bytes.Repeat([]byte("rubbish "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.SelfCheck(t.Context(), b.config, b.options, dir); err == nil {
		t.Error("a journal that cannot be read passes")
	}
}

// The hours of trade are those in which the shop's documents were closed.
func TestTradingHours(t *testing.T) {
	d := newDesk(t, "bread")
	for day := 1; day <= 14; day++ {
		for _, hour := range []int{9, 10, 18} {
			d.write(document{kind: "SELL", at: time.Date(2026, 11, 21-day, hour, 5, 0, 0, time.UTC), lines: []string{line("bread", "1", "100")}})
		}
	}
	i := d.install(t, stock.Ledger)
	i.sync()
	for clock, want := range map[string]bool{
		"08:30": false, "08:50": true, "09:30": true, "10:59": true, "11:30": false, "18:00": true, "03:30": false,
	} {
		at, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 21, at.Hour(), at.Minute(), 0, 0, time.UTC)
		trading, err := i.Agent.TradingAt(t.Context(), now)
		if err != nil || trading != want {
			t.Errorf("at %s: %t, %v", clock, trading, err)
		}
	}
}

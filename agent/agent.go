// Package agent puts the agent together: what it opens, what runs, and in which
// order it starts and stops. It is the only package that knows all the others.
package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"ostatok/agent/config"
	"ostatok/agent/ingest"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/remote"
	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
	"ostatok/platform/lock"
	"ostatok/platform/network"
	"ostatok/platform/service"
	"ostatok/sync/evotor"
	"ostatok/sync/pull"
	"ostatok/sync/push"
)

// Agent is one shop's agent with its files open. It is the local.Shop of the
// process that owns the files.
type Agent struct {
	config   *config.Config
	build    Build
	now      func() time.Time // the best known time; durations within the process are by time.Now
	location *time.Location
	log      zerolog.Logger
	started  time.Time   // of the process
	running  atomic.Bool // inside Run
	opening  string      // see local.Status

	network *network.Network
	lock    *lock.Lock
	journal *journal.Journal
	mirror  *mirror.Mirror
	cloud   *evotor.Client
	puller  *pull.Puller
	engine  *push.Engine
	clock   *clockWatch

	backends *backends                // the configured targets
	mapping  sync.Mutex               // held while the mapping of one changes, from the journal to its matcher
	fullRuns map[string]*fullSchedule // of those that have one, by name
	restores sync.Mutex               // held while a backup is unpacked

	inbox    *ingest.Inbox // documents received in the shop
	received chan struct{} // something came in, or the cloud was read

	manager *service.Notifier
	updates *updates       // nil when the launcher did not start us
	remote  *remote.Remote // nil without a broker
	web     *web           // nil without an address to listen at
	base    *config.Config // without what operators have laid over it
	logs    Logs
	endings chan Ending

	mu      sync.Mutex
	pulse   pulse
	applied string      // the values of the configuration in force, or to come
	logBack *time.Timer // ends a log level that an operator has set

	notices  []string                 // what the opening met, for people
	changed  map[string]chan struct{} // by target: levels changed or a plan was approved, look at it
	progress progressFan              // who watches a sync
}

// The heap is small and the garbage of a first sync is large: without a limit
// the runtime would let it grow to twice what lives before collecting, and boxes
// of 256 MB swap to their card. What SQLite allocates and the program's own
// pages are outside of the limit: together they stay within 48 MB.
const (
	heapLimit = 24 << 20
	gcPercent = 50
)

// Open takes the data directory for this process and opens everything in it. It
// does not touch the network. A directory that another process holds is a
// *BusyError.
func Open(ctx context.Context, c *config.Config, o Options) (_ *Agent, err error) {
	debug.SetMemoryLimit(heapLimit)
	debug.SetGCPercent(gcPercent)
	a := &Agent{
		config: c, base: c, build: o.Build, now: o.Now, log: o.Log, logs: o.Logs, network: wayOut(c, o),
		started: time.Now(), opening: uuid.NewString(), endings: make(chan Ending, 1), manager: service.NewNotifier(o.Launch.Environ),
	}
	if a.location, err = location(c, o); err != nil {
		o.Log.Warn().Err(err).Msg("no time zone; set timezone in the configuration")
		a.location, err = time.UTC, nil
	}
	o.Transport = transport(c, o)
	a.now = a.bestTime(o.Now)
	defer func() {
		if err != nil {
			a.updates.crash(err)
			err = errors.Join(err, a.Close())
		}
	}()
	if a.lock, err = takeDir(c); err != nil {
		return nil, err
	}
	if err := a.openUpdates(ctx, o.Launch, o.Transport); err != nil {
		return nil, err
	}
	restored, err := finishRestore(c.DataDir, o.Now())
	if err != nil {
		return nil, err
	}
	if err := a.openJournal(ctx); err != nil {
		return nil, err
	}
	if restored { // it may have forgotten commands that were done since
		if err := errors.Join(a.journal.DoubtCommands(ctx), endRestore(c.DataDir)); err != nil {
			return nil, err
		}
	}
	if err := a.tellUpdate(ctx); err != nil {
		return nil, err
	}
	if a.config, err = overlay(ctx, c, a.journal); err != nil {
		return nil, err
	}
	a.applied = settingsText(a.config)
	if a.logs.SetLevel != nil {
		a.logs.SetLevel(a.config.Log.Level)
	}
	if err := a.openMirror(ctx); err != nil {
		return nil, err
	}
	if err := a.openInbox(ctx); err != nil {
		return nil, err
	}
	if a.clock, err = openClock(ctx, a.journal, o.Now, o.Build.Time); err != nil {
		return nil, err
	}
	if err := a.openCloud(ctx, o.Transport); err != nil {
		return nil, err
	}
	a.openPull()
	if err := a.openPush(ctx, o.Transport); err != nil {
		return nil, err
	}
	if err := a.openRemote(); err != nil {
		return nil, err
	}
	if a.web, err = a.openWeb(); err != nil {
		return nil, err
	}
	return a, nil
}

// openJournal comes first: what happens to the other files is told there.
func (a *Agent) openJournal(ctx context.Context) error {
	j, notice, err := journal.Open(ctx, journal.Options{Dir: a.config.DataDir, Now: a.now, Log: a.log})
	if err != nil {
		return err
	}
	a.journal = j
	if notice != nil { // the journal has told itself of it
		a.notice(notice.String())
	}
	return nil
}

func (a *Agent) openMirror(ctx context.Context) error {
	m, notice, err := mirror.Open(ctx, mirrorOptions(a.config, a.config.DataDir, a.now, a.log))
	if err != nil {
		return err
	}
	a.mirror = m
	if notice == nil {
		return nil
	}
	a.notice(notice.Message)
	a.event(ctx, "mirror_mended", journal.Warning, notice.Message, map[string]string{"moved": notice.Moved})
	// Its levels may have to be computed anew, and nobody must see the old ones.
	_, err = m.Fold(ctx, nil)
	return err
}

func mirrorOptions(c *config.Config, dir string, now func() time.Time, log zerolog.Logger) mirror.Options {
	return mirror.Options{
		Dir: dir, Store: c.Store, Rules: c.Stock.Options(), Method: c.Stock.Method,
		Pinned: c.Stock.Pinned(), Keep: c.Mirror.Keep, Now: now, Log: log,
		Budget: c.Mirror.Budget, Least: max(config.LeastKept, time.Duration(c.Evotor.Horizon)*config.Month),
	}
}

func (a *Agent) notice(text string) {
	a.notices = append(a.notices, text)
	a.log.Warn().Str("detail", text).Msg("file mended at the start")
}

// Notices returns what a person should know of the opening: files that were
// mended, settings that this release does not know how to follow yet.
func (a *Agent) Notices() []string { return a.notices }

// authKey is the journal's note of the form in which the cloud takes the token,
// after the form that was configured then: "bearer:raw".
const authKey = "evotor.auth"

func (a *Agent) openCloud(ctx context.Context, transport http.RoundTripper) error {
	c := a.config.Evotor
	form := c.Auth
	noted, err := a.journal.Meta(ctx, authKey)
	if err != nil {
		return err
	}
	if accepted, ok := strings.CutPrefix(noted, c.Auth+":"); ok {
		form = accepted
	}
	a.cloud, err = evotor.New(evotor.Options{
		URL: c.URL, Token: c.Token.Reveal(), Auth: form, Transport: transport,
		Version: a.build.Version, Now: a.now, Log: a.log, OnDate: a.clock.cloudSays,
		OnAuth: func(form string) {
			if err := a.journal.SetMeta(context.WithoutCancel(ctx), authKey, c.Auth+":"+form); err != nil {
				a.log.Error().Err(err).Msg("token form not remembered")
			}
		},
	})
	return err
}

func (a *Agent) openPull() {
	c := a.config
	a.puller = pull.New(a.cloud, a.mirror, pull.Options{
		Store: c.Store, Horizon: c.Evotor.Horizon, Overlap: c.Evotor.Overlap, Poll: c.Evotor.Poll,
		PerDevice: c.Evotor.PerDevice, Now: a.now, Log: a.log,
		OnProgress: func(p pull.Progress) {
			a.progress.send(p)
			if p.Phase == pull.PhaseIdle {
				// What came through is a day's documents and more; until the
				// next look the memory is the box's.
				debug.FreeOSMemory()
				a.lookAtInbox()
			}
		},
		OnChange: func(changes []mirror.Change) {
			a.lookAtTargets()
			a.levelsChanged(changedProducts(changes)...)
		},
		OnEvent: func(kind, severity, message string, data any) {
			a.event(context.Background(), kind, severity, message, data)
		},
	})
}

// openPush sets up the targets. The cloud of the terminals is the first of them.
func (a *Agent) openPush(ctx context.Context, transport http.RoundTripper) (err error) {
	setups := []push.TargetSetup{{
		Name: "evotor", Kind: push.KindEvotor, Target: a.cloud.Target(a.config.Store),
		Policy: push.Policy(a.config.Evotor.Write), Match: matchID, Wait: a.waitForCloud, Shown: a.catalogueFigure,
	}}
	a.backends, err = connect(a.config.Targets, clientOptions{
		version: a.build.Version, transport: transport, now: a.now, log: a.log,
	})
	if err != nil {
		return err
	}
	if err := a.openMatching(ctx); err != nil {
		return err
	}
	for _, b := range a.backends.list {
		setups = append(setups, b.setup())
	}
	if err := a.openReserves(ctx); err != nil {
		return err
	}
	a.engine = push.New(a.mirror, a.journal, setups, push.Options{
		Guards:   push.Guards{FallShare: a.config.Guard.FallShare, FallFloor: a.config.Guard.FallFloor},
		Now:      a.now,
		Log:      a.log,
		Ready:    a.ready,
		Reserves: a.reserveState,
		Refresh:  a.refresh,
		Wrote:    a.wrote,
	})
	a.changed = make(map[string]chan struct{})
	for _, name := range a.engine.Targets() {
		a.changed[name] = make(chan struct{}, 1)
	}
	return a.openFullRuns()
}

// matchID is how the cloud knows a product: by its own id.
func matchID(p stock.Product) (key, reason string) { return p.ID, "" }

// catalogueFigure is the cloud's figure as the catalogue showed it last.
func (a *Agent) catalogueFigure(r mirror.Row) (q stock.Quantity, at int64, ok bool) {
	return r.Cloud, r.CloudAt, r.HasCloud && r.CloudAt != 0 && a.config.Stock.CloudQuantity != "ignore"
}

// Run is the agent at work, until ctx ends or an operator asks for another
// ending; then it returns within seconds. Whatever fails inside is told, and
// begun again after a pause.
func (a *Agent) Run(ctx context.Context) Ending {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.running.Store(true)
	defer a.running.Store(false)
	a.event(ctx, "started", journal.Info, "The agent started.", map[string]string{"version": a.build.Version})
	a.log.Info().Str("version", a.build.Version).Str("store", a.config.Store).Int("pid", os.Getpid()).Msg("agent started")

	// All of them end with ctx. The order in which they do does not matter: each
	// step they take is a transaction of its own, and the files are closed after
	// the last of them, by Close.
	var parts sync.WaitGroup
	parts.Go(func() { a.supervise(ctx, "news", a.watchPull) })
	parts.Go(func() { a.supervise(ctx, "service", a.signOfLife) })
	work := func() {
		parts.Go(func() { a.supervise(ctx, "control socket", a.answer) })
		parts.Go(func() { a.keepInStep(ctx) })
		parts.Go(func() { a.supervise(ctx, "maintenance", a.maintain) })
		if a.remote != nil {
			parts.Go(func() { a.supervise(ctx, "remote", a.remote.Run) })
		}
		if a.web != nil {
			parts.Go(func() { a.supervise(ctx, "page", a.serveWeb) })
		}
	}
	quiet := a.quiet()
	if !quiet {
		work()
	}
	if a.updates != nil {
		parts.Go(func() {
			stays := a.prove(ctx)
			if stays && quiet {
				work()
			}
			if stays {
				a.supervise(ctx, "updates", a.keepUpdated)
			}
		})
	}
	var ending Ending
	parts.Go(func() { ending = a.ends(ctx, cancel) })
	parts.Wait()
	if ending != Stopped && a.switches() {
		ending = a.switchRelease(ctx)
	}
	a.log.Info().Msg("agent stopped")
	return ending
}

// keepInStep pulls from the cloud and pushes to the targets until ctx ends.
func (a *Agent) keepInStep(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { a.supervise(ctx, "pull", a.puller.Run) })
	parts.Go(func() { a.supervise(ctx, "inbox", a.keepInbox) })
	// A target in trouble is nobody else's: each has a loop of its own.
	for _, name := range a.engine.Targets() {
		parts.Go(func() {
			a.supervise(ctx, "push", func(ctx context.Context) error { return a.keepTarget(ctx, name) })
		})
	}
	for _, b := range a.backends.list {
		if b.reserves != nil {
			parts.Go(func() {
				a.supervise(ctx, "reserves", func(ctx context.Context) error { return a.keepReserves(ctx, b) })
			})
		}
	}
	for name, run := range a.fullRuns {
		parts.Go(func() {
			a.supervise(ctx, "full run", func(ctx context.Context) error { return a.keepFull(ctx, name, run) })
		})
	}
	parts.Wait()
}

// answer serves the other commands on this machine.
func (a *Agent) answer(ctx context.Context) error {
	socket, err := local.Listen(a.config.DataDir)
	if err != nil {
		return err
	}
	return local.Serve(ctx, socket, a, a.log)
}

// supervise runs a part of the agent again when it ends before ctx: a full card
// or a locked file passes, and the shop must not need a visit for it. A panic is
// not caught: the service's supervisor starts the whole process anew.
func (a *Agent) supervise(ctx context.Context, name string, run func(context.Context) error) {
	const shortest, longest = time.Second, 5 * time.Minute
	pause := shortest
	for {
		began := time.Now()
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longest {
			pause = shortest
		}
		if sqlite.Damaged(err) && a.reopens(ctx, name, err) {
			return
		}
		a.log.Error().Err(err).Str("part", name).Dur("again_in", pause).Msg("part of the agent failed")
		a.event(ctx, name+"_failed", journal.Error, fmt.Sprintf("%s stopped: %v. It is started again by itself.", name, err), nil)
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longest)
	}
}

// Close closes the files and gives the data directory back. It also closes what
// a failed Open had opened.
func (a *Agent) Close() error {
	var errs []error
	a.mu.Lock()
	if a.logBack != nil {
		a.logBack.Stop()
	}
	a.mu.Unlock()
	if a.cloud != nil {
		a.cloud.Close()
	}
	if a.backends != nil {
		a.backends.Close()
	}
	if a.mirror != nil {
		errs = append(errs, a.mirror.Close())
	}
	// After the mirror: an event about it can still be written.
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
	}
	// Last: from here on another process may open the files.
	if a.lock != nil {
		errs = append(errs, a.lock.Release())
	}
	return errors.Join(errs...)
}

package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/platform/release"
	"ostatok/platform/update"
	"ostatok/platform/update/trial"
)

// Launch is how this process was started, as far as updates have to know it.
type Launch struct {
	Program string   // the launcher's directory of versions; "": the launcher did not start us
	Environ []string // "NAME=value", for a new version that is checked
}

// productName is what manifests of our releases say.
const productName = "ostatok"

// updates brings the box from one release to the next: platform/update, with
// what this shop has to say on when.
type updates struct {
	root    string
	manager *update.Manager
	policy  update.Policy
	auto    bool       // the newest release of the channel is taken without being told
	order   sync.Mutex // held by the one order that is worked on

	mu        sync.Mutex
	version   string // that is staged or switched to
	reason    string // why it is not switched to yet
	switching bool   // Run switches when all has stopped
	hours     tradingHours
}

// Times of updates.
const (
	spread      = time.Hour     // shops of a chain switch within
	checkEvery  = 6 * time.Hour // for a newer release
	decideEvery = time.Minute   // whether a staged one may start
	switchAgain = time.Hour     // after a switch that failed
	proveAgain  = 10 * time.Second
	switchTime  = 10 * time.Minute // for a copy of the data on a slow card
	leastTrial  = 10 * time.Minute // until a trial without a result ends
)

// openUpdates reads where the last update ended. It puts the data back that a
// failed version has changed, so it comes before the data is opened.
func (a *Agent) openUpdates(ctx context.Context, l Launch, transport http.RoundTripper) error {
	c := a.config.Update
	if l.Program == "" {
		return nil
	}
	roots := make([]ed25519.PublicKey, len(c.ReleaseKeys))
	for i, text := range c.ReleaseKeys {
		var err error
		if roots[i], err = release.ParseKey(text); err != nil {
			return err
		}
	}
	channel := c.Channel
	if channel == "" {
		channel = "stable" // where an order without a version looks
	}
	u := &updates{root: l.Program, auto: c.Channel != "", policy: update.Policy{Pin: c.Pin, Jitter: spread}}
	if from, to, ok := c.Hours(); ok {
		u.policy.Windows = []update.Window{{From: from, To: to}}
	}
	u.manager = update.Open(update.Options{
		Root: l.Program, Product: productName, Version: a.build.Version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Roots: roots, URL: c.URL, Channel: channel, Data: updateData{a},
		Checker: update.Exec{Args: []string{"--config", a.config.File}, Env: l.Environ},
		Client:  &http.Client{Transport: transport}, Time: a.now,
		Stable: c.Trial, Deadline: max(leastTrial, 3*c.Trial), Log: a.log,
	})
	a.updates = u
	if a.logs.Keep != nil {
		a.logs.Keep(u.manager.Log())
	}
	// What a power cut left of an order.
	if err := os.RemoveAll(a.offered()); err != nil {
		a.log.Warn().Err(err).Msg("old release file not removed")
	}
	return u.manager.Recover(ctx)
}

// crash keeps why a version on trial could not open the shop's data.
func (u *updates) crash(err error) {
	if u != nil {
		_, _ = fmt.Fprintln(u.manager.Log(), err) // a log that never fails
	}
}

// toldKey is the journal's note of the failed update that was told of.
const toldKey = "update.told"

// tellUpdate tells of an update that was gone back from since the last start.
func (a *Agent) tellUpdate(ctx context.Context) error {
	if a.updates == nil {
		return nil
	}
	s := a.updates.manager.Status()
	told, err := a.journal.Meta(ctx, toldKey)
	now := s.Failed + " " + s.Reason
	if err != nil || s.Failed == "" || told == now {
		return err
	}
	a.event(ctx, "update_rolled_back", journal.Error, fmt.Sprintf("Version %s did not work here and %s runs again: %s.", s.Failed, s.Version, s.Reason),
		map[string]string{"version": s.Failed, "running": s.Version, "reason": s.Reason})
	return a.journal.SetMeta(ctx, toldKey, now)
}

// quiet tells whether a version is on trial whose failure would put the data
// back to before it: until it has proved itself nothing is taken in or sent out.
func (a *Agent) quiet() bool {
	if a.updates == nil {
		return false
	}
	_, step := a.updates.manager.Trial()
	return step
}

// prove watches over the trial of this version and returns whether it stays.
func (a *Agent) prove(ctx context.Context) bool {
	m := a.updates.manager
	trying, _ := m.Trial()
	err := m.Prove(ctx, a.healthy)
	for err != nil && ctx.Err() == nil && !decided(err) {
		// The record could not be read or written; the guard and the launcher judge
		// the trial too.
		a.log.Error().Err(err).Msg("trial of this version not ended")
		if sleep(ctx, proveAgain) {
			err = m.Prove(ctx, a.healthy)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error().Err(err).Msg("agent ends for the previous version")
			a.end(Restart)
		}
		return false
	}
	if trying {
		a.event(ctx, "update_committed", journal.Info, "Version "+a.build.Version+" works here and stays.", map[string]string{"version": a.build.Version})
		a.stateChanged()
	}
	return true
}

// decided tells whether a trial ended with the way back.
func decided(err error) bool {
	_, gaveUp := errors.AsType[*update.GaveUpError](err)
	_, over := errors.AsType[*trial.OverError](err)
	return gaveUp || over
}

// keepUpdated takes the newest release of the channel, when there is one, and
// switches to what is staged when the shop allows it.
func (a *Agent) keepUpdated(ctx context.Context) error {
	u := a.updates
	// Not all boxes of a chain at once, after a power cut in their town.
	check := time.Now().Add(rand.N(spread))
	for {
		if u.auto && !time.Now().Before(check) {
			check = time.Now().Add(checkEvery)
			if _, err := a.obtain(ctx, "", nil); err != nil && ctx.Err() == nil {
				a.log.Warn().Err(err).Msg("no newer release taken")
			}
		}
		if err := a.considerSwitch(ctx); err != nil {
			return err
		}
		if !sleep(ctx, decideEvery) {
			return nil
		}
	}
}

// considerSwitch ends the agent for a staged release whose time has come.
func (a *Agent) considerSwitch(ctx context.Context) error {
	staged := a.updates.manager.Status().Staged
	if trying, _ := a.updates.manager.Trial(); trying || staged == "" {
		return nil
	}
	_, err := a.decide(ctx, staged, false)
	return err
}

// decide has the agent end for a staged release, when its time has come, or
// notes why not.
func (a *Agent) decide(ctx context.Context, version string, asked bool) (bool, error) {
	u := a.updates
	held, err := a.heldBack(ctx, asked)
	if err != nil {
		return false, err
	}
	trading, err := a.trading(ctx)
	if err != nil {
		return false, err
	}
	now, reason := u.policy.Decide(version, update.Moment{
		Now: a.now().In(a.location), Trusted: a.clock.trusted() == nil, Trading: trading, Held: held, Asked: asked,
		Staged: u.stagedSince(version), Shop: a.config.Store,
	})
	u.mu.Lock()
	news := now || u.version != version || u.reason != reason
	u.version, u.reason, u.switching = version, reason, u.switching || now
	u.mu.Unlock()
	if now {
		a.log.Info().Str("version", version).Msg("agent ends for a new version")
		a.end(Restart)
	}
	if news {
		a.stateChanged()
	}
	return now, nil
}

// pauseKey is the journal's note of a switch that failed: until when it is not
// tried again, epoch ms, and why.
const pauseKey = "update.pause"

// heldBack is why a release is not switched to, whatever the hour. Somebody who
// asks for it has made room, or so we hope.
func (a *Agent) heldBack(ctx context.Context, asked bool) (string, error) {
	note, err := a.journal.Meta(ctx, pauseKey)
	if err != nil || note == "" || asked {
		return "", err
	}
	end, why, _ := strings.Cut(note, " ")
	ms, err := strconv.ParseInt(end, 10, 64)
	if left := millis(ms).Sub(a.now()); err != nil || left <= 0 || left > switchAgain { // it is over, or of another clock
		return "", nil //nolint:nilerr // what cannot be read holds nothing back
	}
	return "the last try failed: " + why, nil
}

// stagedSince is since when a release is ready; its directory appears then.
func (u *updates) stagedSince(version string) time.Time {
	info, err := os.Stat(trial.Dir(u.root, version))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// switchRelease makes the staged release the one that starts next. All of the
// agent has stopped, so that nothing comes in that a way back would lose.
func (a *Agent) switchRelease(ctx context.Context) Ending {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), switchTime)
	defer cancel()
	err := a.updates.manager.Switch(ctx)
	if err == nil {
		return Restart
	}
	a.log.Error().Err(err).Msg("update not switched to")
	version := a.updates.manager.Status().Staged
	a.event(ctx, "update_failed", journal.Error, fmt.Sprintf("Version %s could not be switched to: %v.", version, err),
		map[string]string{"version": version, "reason": err.Error()})
	note := fmt.Sprintf("%d %v", a.now().Add(switchAgain).UnixMilli(), err)
	if err := a.journal.SetMeta(ctx, pauseKey, note); err != nil {
		a.log.Error().Err(err).Msg("failed update not noted")
	}
	return Reopen
}

// switches tells whether Run is to switch before it returns.
func (a *Agent) switches() bool {
	if a.updates == nil {
		return false
	}
	a.updates.mu.Lock()
	defer a.updates.mu.Unlock()
	return a.updates.switching
}

// releaseState is where an update stands, for the status.
func (a *Agent) releaseState() message.Release {
	if a.updates == nil {
		return message.Release{}
	}
	s := a.updates.manager.Status()
	a.updates.mu.Lock()
	version, reason, switching := a.updates.version, a.updates.reason, a.updates.switching
	a.updates.mu.Unlock()
	switch {
	case switching:
		return message.Release{State: message.Switching, Version: version}
	case s.Trial:
		return message.Release{State: message.OnTrial, Version: s.Version}
	case s.Doing != "":
		return message.Release{State: message.Preparing, Text: s.Doing}
	case s.Staged != "":
		if version != s.Staged {
			reason = ""
		}
		return message.Release{State: message.Staged, Version: s.Staged, Text: reason}
	case s.Failed != "":
		return message.Release{State: message.RolledBack, Version: s.Failed, Text: s.Reason}
	}
	return message.Release{}
}

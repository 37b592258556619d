package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ostatok/agent/command"
	"ostatok/agent/local"
	"ostatok/agent/message"
	"ostatok/agent/remote"
	"ostatok/platform/release"
	"ostatok/platform/update"
)

// errBusy says that another order is worked on.
var errBusy = errors.New("another update is being prepared; wait for it")

// errPackage says why this process cannot be updated.
var errPackage = errors.New("only the agent that runs as a service under its launcher can be updated so; start it, or install the newer package")

// order prepares a release and switches to it when its time has come.
func (a *Agent) order(ctx context.Context, o local.UpdateOrder, progress func(doing string)) (local.UpdateResult, error) {
	u := a.updates
	switch {
	case u == nil || !a.running.Load():
		return local.UpdateResult{}, errPackage
	case len(a.config.Update.ReleaseKeys) == 0:
		return local.UpdateResult{}, errors.New("no release could be believed: write update.release_keys into the configuration, the operator has the key")
	case o.Version != "" && !release.ValidVersion(o.Version):
		return local.UpdateResult{}, fmt.Errorf("%q is not a version such as 1.4.0", o.Version)
	}
	if trying, _ := u.manager.Trial(); trying {
		return local.UpdateResult{}, update.ErrOnTrial
	}
	var version string
	var err error
	if o.File == nil {
		version, err = a.obtain(ctx, o.Version, progress)
	} else {
		version, err = a.take(ctx, o.File, progress)
	}
	if err != nil {
		return local.UpdateResult{}, err
	}
	if version == "" {
		return local.UpdateResult{Version: a.build.Version, State: local.UpdateRuns}, nil
	}
	now, err := a.decide(ctx, version, o.Now)
	if err != nil {
		return local.UpdateResult{}, err
	}
	if now {
		return local.UpdateResult{Version: version, State: local.UpdateSwitches}, nil
	}
	return local.UpdateResult{Version: version, State: local.UpdateStaged, Reason: a.releaseState().Text}, nil
}

// obtain fetches and stages a release of the server, the newest of the channel
// for "", and returns its version; "" when it, or nothing older, runs.
func (a *Agent) obtain(ctx context.Context, version string, progress func(string)) (string, error) {
	u := a.updates
	if !u.order.TryLock() {
		return "", errBusy
	}
	defer u.order.Unlock()
	r, err := u.manager.Check(ctx, version)
	if err != nil || r == nil {
		return "", err
	}
	a.tell(progress, "downloading "+r.Version)
	file, err := u.manager.Fetch(ctx, r)
	if err != nil {
		return "", err
	}
	return a.stage(ctx, file, r.Version, progress)
}

// offered is where a release file lies while it is looked at.
func (a *Agent) offered() string { return filepath.Join(a.config.DataDir, "offered.release") }

// take stages a release file that somebody hands in.
func (a *Agent) take(ctx context.Context, from io.Reader, progress func(string)) (_ string, err error) {
	u := a.updates
	if !u.order.TryLock() {
		return "", errBusy
	}
	defer u.order.Unlock()
	name := a.offered()
	defer func() { err = errors.Join(err, os.RemoveAll(name)) }()
	if _, err := unpackFile(from, name); err != nil {
		return "", fmt.Errorf("cannot take the release file: %w", err)
	}
	return a.stage(ctx, name, "the release", progress)
}

func (a *Agent) stage(ctx context.Context, file, what string, progress func(string)) (string, error) {
	a.tell(progress, "verifying "+what+" and checking it on a copy of the data")
	r, err := a.updates.manager.Stage(ctx, file)
	if err != nil {
		return "", err
	}
	return r.Version, nil
}

func (a *Agent) tell(progress func(string), doing string) {
	if progress != nil {
		progress(doing)
	}
	a.stateChanged()
}

// Update implements local.Shop.
func (a *Agent) Update(ctx context.Context, o local.UpdateOrder, progress func(doing string)) (local.UpdateResult, error) {
	result, err := a.order(ctx, o, progress)
	if err != nil && ctx.Err() == nil {
		return result, &local.Error{Code: local.Refused, Message: err.Error()}
	}
	return result, err
}

// Updates implements local.Shop.
func (a *Agent) Updates(context.Context) (local.Updates, error) {
	if a.updates == nil {
		return local.Updates{}, &local.Error{Code: local.Refused, Message: errPackage.Error()}
	}
	s := a.updates.manager.Status()
	all := local.Updates{
		State: a.releaseState().String(), Version: s.Version, Trial: s.Trial, Previous: s.Previous, Staged: s.Staged,
		Failed: s.Failed, Reason: s.Reason, Log: s.Log,
	}
	for _, b := range s.Bad {
		all.Bad = append(all.Bad, local.BadRelease{Version: b.Version, Reason: b.Reason, At: b.At})
	}
	return all, nil
}

// RollBack implements local.Shop.
func (a *Agent) RollBack(context.Context) error {
	if err := a.rollBack("a person at the box asked for it"); err != nil {
		return &local.Error{Code: local.Refused, Message: err.Error()}
	}
	return nil
}

func (a *Agent) rollBack(reason string) error {
	if a.updates == nil || !a.running.Load() {
		return errPackage
	}
	if err := a.updates.manager.Rollback(reason); err != nil {
		return err
	}
	a.end(Restart)
	return nil
}

// doUpdate prepares a release. When the agent ends for it, the next one tells
// what came of it.
func (o operated) doUpdate(ctx context.Context, raw json.RawMessage, progress func(any)) (any, error) {
	args, err := updateArgs(raw)
	if err != nil {
		return nil, err
	}
	result, err := o.order(ctx, args, func(doing string) { progress(map[string]string{"doing": doing}) })
	if err != nil {
		return nil, updateError(err)
	}
	if result.State != local.UpdateSwitches {
		return result, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func updateArgs(raw json.RawMessage) (o local.UpdateOrder, err error) {
	var args struct {
		Version string `json:"version"`
		Now     bool   `json:"now"`
	}
	err = decodeArgs(raw, &args, `{"version":"1.4.0","now":false}`)
	return local.UpdateOrder{Version: args.Version, Now: args.Now}, err
}

// updateError gives an operator a code to go by.
func updateError(err error) error {
	code := ""
	refused, isRefused := errors.AsType[*release.RefusedError](err)
	_, isSpace := errors.AsType[*update.SpaceError](err)
	switch {
	case isRefused:
		code = refused.Code
	case isSpace:
		code = "no_space"
	case errors.Is(err, update.ErrOnTrial):
		code = "on_trial"
	case errors.Is(err, errBusy):
		code = "busy"
	case errors.Is(err, errPackage), errors.Is(err, update.ErrUnmanaged):
		code = "not_supported"
	case errors.Is(err, update.ErrNoPrevious):
		code = "no_previous"
	default:
		return err
	}
	return &message.Error{Code: code, Message: err.Error()}
}

// updateInterrupted tells what came of an update for which the agent ended, or
// which its end cut short.
func (o operated) updateInterrupted(raw json.RawMessage) (any, error) {
	args, err := updateArgs(raw)
	if err != nil || o.updates == nil {
		return nil, remote.ErrInterrupted
	}
	s := o.updates.manager.Status()
	named := func(version string) bool { return version != "" && (args.Version == "" || args.Version == version) }
	switch {
	case s.Trial && named(s.Version):
		return local.UpdateResult{Version: s.Version, State: local.UpdateTried}, nil
	case named(s.Staged):
		return local.UpdateResult{Version: s.Staged, State: local.UpdateStaged}, nil
	case named(s.Failed):
		return nil, &message.Error{Code: "rolled_back", Message: fmt.Sprintf("version %s did not work here and %s runs again: %s", s.Failed, s.Version, s.Reason)}
	case args.Version == s.Version:
		return local.UpdateResult{Version: s.Version, State: local.UpdateRuns}, nil
	}
	return nil, remote.ErrInterrupted
}

// doRollback goes back to the version before.
func (o operated) doRollback(c command.Claims) (any, error) {
	if err := decodeArgs(c.Args, &struct{}{}, `{}`); err != nil {
		return nil, err
	}
	if err := o.rollBack(c.Issuer + " asked for it"); err != nil {
		return nil, updateError(err)
	}
	return map[string]string{"state": "the agent ends and the previous version starts"}, nil
}

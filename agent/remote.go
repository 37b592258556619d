package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/message"
	"ostatok/agent/mirror"
	"ostatok/agent/remote"
)

// openRemote sets up the connection to the operator's broker, when one is
// configured.
func (a *Agent) openRemote() error {
	c := a.config.MQTT
	if len(c.URLs) == 0 {
		return nil
	}
	keys := make([]command.Key, 0, len(c.Operators))
	for _, text := range c.Operators {
		key, err := command.ParseKey(text)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	var err error
	a.remote, err = remote.New(remote.Options{
		URLs: c.URLs, Tenant: c.Tenant, Store: a.config.Store, Version: a.build.Version,
		Username: c.Username, PasswordFile: c.PasswordFile, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
		Keys: keys, Clock: a.clock.known, Log: a.log, Network: a.network.DialContext,
	}, operated{a}, a.journal)
	return err
}

// operated is the agent as remote.Shop: what an operator may ask of it.
type operated struct{ *Agent }

// Status implements remote.Shop.
func (o operated) Status(ctx context.Context) (message.Status, error) {
	s, err := o.Agent.Status(ctx)
	if err != nil {
		return message.Status{}, err
	}
	status := message.Status{
		// Lists are never null: who reads them counts.
		Targets: []message.Target{}, Plans: []message.Plan{}, Problems: []message.Problem{},
		Uptime: int64(time.Since(o.started) / time.Second), Devices: s.Counts.Terminals, Products: s.Counts.Products,
		Sync: message.Sync{Phase: s.Phase, Percent: s.Percent, Complete: s.Complete, LastSuccess: s.LastSuccess},
		Levels: message.Levels{
			Known: s.Levels.Known, Assumed: s.Levels.Assumed, Unresolved: s.Levels.Unresolved, Unknown: s.Levels.Unknown,
		},
		Drift: s.Counts.Drift, Quarantine: s.Counts.Quarantine, Memory: s.Memory, Clock: s.Clock,
		Disk:   message.Disk{Free: s.DiskFree, Mirror: s.MirrorBytes, Journal: s.JournalSize},
		Config: o.configHash(), Release: s.Update,
	}
	if s.LastSuccess != nil {
		lag := max(0, int64(o.now().Sub(*s.LastSuccess)/time.Second))
		status.Sync.Lag = &lag
	}
	for _, t := range s.Targets {
		status.Targets = append(status.Targets, message.Target{
			Name: t.Name, Policy: t.Policy, Planned: t.Planned, Accepted: t.Accepted, Rejected: t.Rejected, Blocked: t.Withheld,
			Reason: t.Blocked, LastSuccess: t.LastSuccess, LastError: t.LastError,
		})
		status.Outbox += t.Waiting
	}
	for _, p := range s.Plans {
		kinds := make([]string, 0, len(p.Guards))
		for _, g := range p.Guards {
			kinds = append(kinds, g.Kind)
		}
		status.Plans = append(status.Plans, message.Plan{ID: p.ID, Target: p.Target, State: string(p.State), Rows: p.Rows, Guards: kinds})
	}
	for _, p := range s.Problems {
		status.Problems = append(status.Problems, message.Problem{Kind: p.Kind, Message: p.Message, Do: p.Do})
	}
	return status, nil
}

// configHash tells an operator whether two shops, or a shop before and after,
// have the same settings. Secrets are not part of it.
func (a *Agent) configHash() string {
	text, err := json.Marshal(a.config.Settings())
	if err != nil {
		return "" // plain strings always encode
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Levels implements remote.Shop.
func (o operated) Levels(ctx context.Context) iter.Seq2[message.Change, error] {
	return func(yield func(message.Change, error) bool) {
		for row, err := range o.Stock(ctx, local.StockQuery{}) {
			if err != nil {
				yield(message.Change{}, err)
				return
			}
			if !yield(levelChange(row), nil) {
				return
			}
		}
	}
}

// Level implements remote.Shop.
func (o operated) Level(ctx context.Context, product string) (message.Change, bool, error) {
	row, err := o.mirror.Row(ctx, product)
	switch {
	case errors.Is(err, mirror.ErrNotFound) || err == nil && (row.Deleted || row.Service()):
		return message.Change{}, false, nil
	case err != nil:
		return message.Change{}, false, err
	}
	return levelChange(localRow(row)), true, nil
}

func levelChange(r local.Row) message.Change {
	return message.Change{Product: r.Product, Code: r.Code, Quantity: r.Quantity, Reserved: r.Reserved, State: r.State}
}

// Settings implements remote.Shop.
func (o operated) Settings() []remote.Setting {
	keys := o.base.Adjustable()
	list := make([]remote.Setting, len(keys))
	for i, key := range keys {
		list[i] = remote.Setting{Key: key, Check: func(value json.RawMessage) error {
			_, err := o.base.With([]config.Override{{Key: key, Value: value}})
			return err
		}}
	}
	return list
}

// Apply implements remote.Shop. A configuration does not change under a running
// agent: it is opened anew with the other one, which is the one way that is
// tried at every start.
func (o operated) Apply(_ context.Context, overrides []journal.Override) error {
	over, err := o.base.With(laidOver(overrides))
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if next := settingsText(over); next != o.applied {
		o.applied = next
		o.end(Reopen)
	}
	return nil
}

func laidOver(overrides []journal.Override) []config.Override {
	list := make([]config.Override, len(overrides))
	for i, o := range overrides {
		list[i] = config.Override{Key: o.Key, Value: o.Value, Until: time.UnixMilli(o.Until), By: o.By}
	}
	return list
}

// settingsText tells whether two configurations have the same values.
func settingsText(c *config.Config) string {
	text := ""
	for _, s := range c.Settings() {
		text += fmt.Sprintf("%s=%q\n", s.Key, s.Value)
	}
	return text
}

// overrides are what operators have laid over the file.
func (a *Agent) overrides(ctx context.Context) ([]local.Override, error) {
	if len(a.base.MQTT.URLs) == 0 {
		return nil, nil
	}
	stored, err := a.journal.Overrides(ctx)
	list := make([]local.Override, len(stored))
	for i, o := range stored {
		list[i] = local.Override{Key: o.Key, Value: o.Value, Until: time.UnixMilli(o.Until).UTC(), By: o.By}
	}
	return list, err
}

// InForce returns a configuration with what operators have laid over it, as the
// agent that runs says, or else its journal.
func InForce(ctx context.Context, c *config.Config, o Options) (_ *config.Config, err error) {
	if len(c.MQTT.URLs) == 0 {
		return c, nil
	}
	// Looking must not make the files of a shop.
	switch _, err := os.Stat(filepath.Join(c.DataDir, journal.FileName)); {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil // there is nothing laid over it yet
	case err != nil:
		return c, err
	}
	shop, err := Attach(ctx, c, o)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, shop.Close()) }()
	s, err := shop.Status(ctx)
	if err != nil {
		return c, err
	}
	list := make([]config.Override, len(s.Overrides))
	for i, o := range s.Overrides {
		list[i] = config.Override{Key: o.Key, Value: o.Value, Until: o.Until, By: o.By}
	}
	over, err := c.With(list)
	if err != nil { // the agent takes them back
		return c, err
	}
	return over, nil
}

// overlay returns the configuration with what operators have laid over it. What
// does not fit any more is left to remote, which takes it back and says so.
func overlay(ctx context.Context, base *config.Config, j *journal.Journal) (*config.Config, error) {
	if len(base.MQTT.URLs) == 0 {
		return base, nil // nobody could take them back
	}
	// Those that have expired among them: remote takes them off, and then the agent
	// is opened anew.
	stored, err := j.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	over, err := base.With(laidOver(stored))
	if err != nil {
		return base, nil //nolint:nilerr // see above
	}
	return over, nil
}

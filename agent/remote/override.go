package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// Bounds of an override.
const (
	leastOverride = time.Minute
	mostOverride  = 30 * 24 * time.Hour
	// trialTime is how long the agent may be without a word from the broker after
	// an override before it takes it back.
	trialTime = 10 * time.Minute
	// keepEvery is how often expiry is looked at.
	keepEvery = 30 * time.Second
)

// trial is whether the newest overrides have let the agent reach the broker. An
// acknowledgement counts when its message was sent after they came into force.
type trial struct {
	mu     sync.Mutex
	number int64 // grows with every change; the sender remembers it while it waits
	open   bool
	until  time.Time
}

func (t *trial) begin(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.number++
	t.open, t.until = true, until
}

func (t *trial) generation() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.number
}

// passed tells whether an acknowledgement ends the trial.
func (t *trial) passed(generation int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open && generation == t.number
}

func (t *trial) failed(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open && !now.Before(t.until)
}

// end closes the trial unless another one has begun since.
func (t *trial) end(generation int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if generation == t.number {
		t.open = false
	}
}

// confirm is told of an acknowledgement.
func (r *Remote) confirm(ctx context.Context, generation int64) {
	if !r.trial.passed(generation) {
		return
	}
	if err := r.journal.ConfirmOverrides(ctx); err != nil {
		r.log.Error().Err(err).Msg("override not confirmed")
		return
	}
	r.trial.end(generation)
}

// setArgs are the arguments of config.set; null takes an override off.
type setArgs struct {
	Values map[string]json.RawMessage `json:"values"`
	For    string                     `json:"for"` // a duration such as 2h
}

// setConfig lays settings over the file for a time: all of them or none.
func (r *Remote) setConfig(ctx context.Context, c command.Claims, seq int64) (any, error) {
	var args setArgs
	d := json.NewDecoder(bytes.NewReader(c.Args))
	d.DisallowUnknownFields()
	if err := d.Decode(&args); err != nil || len(args.Values) == 0 {
		return nil, badArgs(`write the arguments as {"values":{"evotor.poll":"30s"},"for":"2h"}`)
	}
	settings := r.shop.Settings()
	now := r.o.Clock().Time()
	var set []journal.Override
	var drop []string
	for key, value := range args.Values {
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
		if i < 0 {
			return nil, badArgs(fmt.Sprintf("%.64q cannot be set from afar", key))
		}
		if string(value) == "null" {
			drop = append(drop, key)
			continue
		}
		if err := settings[i].Check(value); err != nil {
			return nil, badArgs(fmt.Sprintf("%s: %v", key, err))
		}
		set = append(set, journal.Override{Key: key, Value: value, By: strings.TrimSpace(c.Issuer + " " + c.Key), Command: seq})
	}
	if len(set) > 0 {
		length, err := time.ParseDuration(args.For)
		if err != nil || length < leastOverride || length > mostOverride {
			return nil, badArgs(fmt.Sprintf(`"for" must be a duration between %v and %v`, leastOverride, mostOverride))
		}
		for i := range set {
			set[i].Until = now.Add(length).UnixMilli()
		}
	}
	before, err := r.journal.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.journal.SetOverrides(ctx, set, drop); err != nil {
		return nil, err
	}
	overrides, err := r.apply(ctx)
	if err != nil {
		return nil, errors.Join(err, r.restore(ctx, before))
	}
	if len(set) > 0 {
		r.trial.begin(time.Now().Add(trialTime))
	}
	return setResult(overrides), nil
}

func badArgs(text string) error { return &message.Error{Code: "arguments", Message: text} }

// restore takes back what the shop would not apply.
func (r *Remote) restore(ctx context.Context, before []journal.Override) error {
	now, err := r.journal.Overrides(ctx)
	if err != nil {
		return err
	}
	if err := r.journal.SetOverrides(ctx, before, keys(now)); err != nil {
		return err
	}
	_, err = r.apply(ctx)
	return err
}

func keys(overrides []journal.Override) []string {
	list := make([]string, len(overrides))
	for i, o := range overrides {
		list[i] = o.Key
	}
	return list
}

// laid is one override in the result of config.set.
type laid struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Until time.Time       `json:"until"`
	By    string          `json:"by"`
}

func setResult(overrides []journal.Override) any {
	list := make([]laid, len(overrides))
	for i, o := range overrides {
		list[i] = laid{Key: o.Key, Value: o.Value, Until: time.UnixMilli(o.Until).UTC(), By: o.By}
	}
	return map[string]any{"overrides": list}
}

// apply makes effective what the journal says.
func (r *Remote) apply(ctx context.Context) ([]journal.Override, error) {
	overrides, err := r.journal.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.shop.Apply(ctx, overrides); err != nil {
		return nil, fmt.Errorf("cannot apply the overrides: %w", err)
	}
	r.Wake()
	return overrides, nil
}

// recoverOverrides takes up what the last agent left. One that the shop does not
// take any more (a newer release knows other settings) is dropped with the others:
// the file alone always works.
func (r *Remote) recoverOverrides(ctx context.Context) error {
	dropped, err := r.journal.TryOverrides(ctx)
	if err != nil {
		return err
	}
	if len(dropped) > 0 {
		if err := r.fellBack(ctx, dropped, fmt.Sprintf("the agent was started %d times without reaching the broker", journal.Tries)); err != nil {
			return err
		}
	}
	overrides, err := r.journal.Overrides(ctx)
	if err != nil || len(overrides) == 0 {
		return err
	}
	if _, err := r.apply(ctx); err != nil {
		if err := r.journal.SetOverrides(ctx, nil, keys(overrides)); err != nil {
			return err
		}
		return r.fellBack(ctx, keys(overrides), err.Error())
	}
	if slices.ContainsFunc(overrides, func(o journal.Override) bool { return !o.Confirmed }) {
		r.trial.begin(time.Now().Add(trialTime))
	}
	return nil
}

// keepOverrides ends overrides at their time, and those with which the broker was
// not reached.
func (r *Remote) keepOverrides(ctx context.Context) {
	// At once: what expired while the agent was off must not work for a moment.
	for look := 0; look == 0 || pause(ctx, keepEvery); look++ {
		if err := r.endOverrides(ctx); err != nil && ctx.Err() == nil {
			r.log.Error().Err(err).Msg("overrides not looked at")
		}
		if look%int(time.Hour/keepEvery) != 0 {
			continue
		}
		if err := r.journal.ForgetOldCommands(ctx, r.o.Clock().Time().UnixMilli()); err != nil && ctx.Err() == nil {
			r.log.Error().Err(err).Msg("old commands not dropped")
		}
	}
}

func (r *Remote) endOverrides(ctx context.Context) error {
	overrides, err := r.journal.Overrides(ctx)
	if err != nil {
		return err
	}
	clock := r.o.Clock()
	now := clock.Time().UnixMilli()
	failed, generation := r.trial.failed(time.Now()), r.trial.generation()
	var expired, fallen []string
	for _, o := range overrides {
		switch {
		// One that ends later than any may was set under a clock that was ahead.
		case now >= o.Until, clock.Trusted && o.Until-now > mostOverride.Milliseconds():
			expired = append(expired, o.Key)
		case failed && !o.Confirmed:
			fallen = append(fallen, o.Key)
		}
	}
	if failed {
		r.trial.end(generation)
	}
	if len(expired)+len(fallen) == 0 {
		return nil
	}
	if err := r.journal.SetOverrides(ctx, nil, append(expired, fallen...)); err != nil {
		return err
	}
	if _, err := r.apply(ctx); err != nil {
		return err
	}
	if len(fallen) > 0 {
		err = r.fellBack(ctx, fallen, fmt.Sprintf("the broker was not reached for %v", trialTime))
	}
	if len(expired) > 0 {
		err = errors.Join(err, r.tell(ctx, journal.Info, "override_expired", expired, "settings from afar have expired; the file is in force again"))
	}
	return err
}

func (r *Remote) fellBack(ctx context.Context, keys []string, why string) error {
	return r.tell(ctx, journal.Warning, "override_fell_back", keys, "settings from afar were taken back: "+why)
}

func (r *Remote) tell(ctx context.Context, severity, kind string, keys []string, text string) error {
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return err
	}
	return r.journal.AddEvent(ctx, journal.Event{Kind: kind, Severity: severity, Message: text, Data: data})
}

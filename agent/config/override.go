package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Operator is the layer above all others: what an operator has laid over the
// file from afar, for a time.
const Operator Layer = "operator"

// Override is one value of that layer.
type Override struct {
	Key   string          // evotor.poll; target.NAME.write for a target
	Value json.RawMessage // text, a number or a truth value, within the key's limits
	Until time.Time
	By    string
}

// adjustable are the keys that may be set from afar. Never among them: secrets
// and where they go, the broker and whose commands are obeyed, the shop, and what
// would throw stored data away.
func adjustable() []string {
	return []string{
		"evotor.poll", "evotor.overlap", "evotor.write", "guard.fall_share", "guard.fall_floor", "log.level",
	}
}

// Adjustable returns the keys that may be set from afar.
func (c *Config) Adjustable() []string {
	keys := adjustable()
	for i := range c.Targets {
		t := &c.Targets[i]
		keys = append(keys, "target."+t.Name+".write", "target."+t.Name+".full")
		if t.Kind == KeyCRM {
			keys = append(keys, "target."+t.Name+".rate")
		}
	}
	return keys
}

// With returns the configuration with overrides laid over it. An override that is
// not adjustable, or out of its limits, or that does not fit the others is an
// error, and nothing is laid over then.
func (c *Config) With(overrides []Override) (*Config, error) {
	over := *c
	over.Stock.Reading = maps.Clone(c.Stock.Reading)
	over.Targets = slices.Clone(c.Targets)
	over.Warnings = slices.Clone(c.Warnings)
	over.origin = make(map[string]Setting, len(c.origin)+len(overrides))
	maps.Copy(over.origin, c.origin)
	for _, o := range overrides {
		if err := over.lay(o); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Key, err)
		}
	}
	// What was right in each layer may not fit together.
	r := reader{file: c.File, config: &over, lines: map[string]int{}}
	r.crossCheck()
	for _, p := range r.problems {
		if !p.Warning {
			return nil, errors.New(p.String())
		}
	}
	return &over, nil
}

func (c *Config) lay(o Override) error {
	if !slices.Contains(c.Adjustable(), o.Key) {
		return errors.New("cannot be set from afar")
	}
	var plain any
	if err := json.Unmarshal(o.Value, &plain); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	text, ok := plain.(string)
	if !ok {
		text = string(o.Value)
	}
	name, s, ok := c.find(o.Key)
	if !ok {
		return errors.New("is not known")
	}
	// Empty means the default in a file; here it would be an accident.
	if text == "" && !strings.HasSuffix(o.Key, ".full") {
		return errors.New("is empty")
	}
	if m := s.env(text); m != nil {
		return m
	}
	c.origin[name] = Setting{Key: name, Layer: Operator, Until: o.Until.UTC().Format(time.RFC3339), By: o.By}
	return nil
}

// find returns the setting of an adjustable key, and the name under which it is
// shown.
func (c *Config) find(key string) (name string, s setting, ok bool) {
	for i := range c.Targets {
		of, ok := strings.CutPrefix(key, "target."+c.Targets[i].Name+".")
		if !ok {
			continue
		}
		for _, s := range c.Targets[i].settings() {
			if s.key == of {
				return element("target", i) + "." + of, s, true
			}
		}
	}
	for _, s := range c.settings() {
		if s.key == key {
			return key, s, true
		}
	}
	return "", setting{}, false
}

package config_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ostatok/agent/config"
)

const overridable = `
store = "20170222-D58C-40E0-8051-B53ADFF38860"
[evotor]
token = "t"
poll  = "1m"
[[target]]
name = "site"
kind = "keycrm"
url  = "https://crm.example/v1"
key_file  = "/etc/ostatok/keycrm.key"
warehouse = "2"
`

func TestOverridesLieAboveTheFile(t *testing.T) {
	c, err := config.Parse("ostatok.toml", []byte(overridable), nil)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	over, err := c.With([]config.Override{
		{Key: "evotor.poll", Value: json.RawMessage(`"30s"`), Until: until, By: "office 01"},
		{Key: "guard.fall_floor", Value: json.RawMessage(`5`), Until: until},
		{Key: "target.site.write", Value: json.RawMessage(`"off"`), Until: until},
	})
	if err != nil {
		t.Fatal(err)
	}
	if over.Evotor.Poll != 30*time.Second || over.Guard.FallFloor != 5 || over.Targets[0].Write != config.Off {
		t.Errorf("poll %v, floor %d, write %s", over.Evotor.Poll, over.Guard.FallFloor, over.Targets[0].Write)
	}
	if c.Evotor.Poll != time.Minute || c.Guard.FallFloor != 10 || c.Targets[0].Write != config.Approve {
		t.Error("the configuration below was changed")
	}
	told := map[string]config.Setting{}
	for _, s := range over.Settings() {
		told[s.Key] = s
	}
	if s := told["evotor.poll"]; s.Layer != config.Operator || s.Until != "2026-11-22T10:00:00Z" || s.By != "office 01" {
		t.Errorf("evotor.poll is shown as %+v", s)
	}
	if s := told["target[0].write"]; s.Layer != config.Operator {
		t.Errorf("target[0].write is shown as %+v", s)
	}
}

func TestOverridesHaveLimits(t *testing.T) {
	c, err := config.Parse("ostatok.toml", []byte(overridable), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ key, value, want string }{
		{"evotor.token", `"x"`, "cannot be set from afar"},
		{"evotor.url", `"https://elsewhere.example"`, "cannot be set from afar"},
		{"mqtt.urls", `"ssl://elsewhere.example"`, "cannot be set from afar"},
		{"mqtt.operators", `"ed25519:x=manage"`, "cannot be set from afar"},
		{"target.site.key_file", `"/etc/passwd"`, "cannot be set from afar"},
		{"target.other.write", `"off"`, "cannot be set from afar"},
		{"evotor.poll", `"1s"`, "out of its limits"},
		{"evotor.poll", `""`, "is empty"},
		{"evotor.poll", `{`, "not JSON"},
		{"evotor.poll", `30`, "duration"},
		{"guard.fall_share", `0.9`, "out of its limits"},
		{"evotor.write", `"sometimes"`, "not known"},
	} {
		_, err := c.With([]config.Override{{Key: o.key, Value: json.RawMessage(o.value)}})
		if err == nil || !strings.Contains(err.Error(), o.want) {
			t.Errorf("%s = %s: %v, want %q", o.key, o.value, err, o.want)
		}
	}
}

func TestLaunchersVariablesAreNoSettings(t *testing.T) {
	if _, err := config.Parse("ostatok.toml", []byte(overridable), []string{"OSTATOK_PROGRAM=/var/lib/ostatok/program", "OSTATOK_GUARD=1"}); err != nil {
		t.Error(err)
	}
	if _, err := config.Parse("ostatok.toml", []byte(overridable), []string{"OSTATOK_PROGRAMS=x"}); err == nil {
		t.Error("an unknown variable was taken")
	}
}

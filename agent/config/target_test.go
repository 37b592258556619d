package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/config"
)

// with returns a shop with one target: the given lines over what it must have.
func with(kind, lines string) string {
	said := make(map[string]bool)
	for line := range strings.Lines(lines) {
		key, _, _ := strings.Cut(line, " ")
		said[key] = true
	}
	text := good + "[[target]]\n" + lines
	for _, line := range []string{`name = "a"`, `kind = "` + kind + `"`, `url = "https://a"`, `key_file = "/k"`, `warehouse = "1"`} {
		if key, _, _ := strings.Cut(line, " "); !said[key] {
			text += line + "\n"
		}
	}
	if kind == config.Zelenka && !said["username"] {
		text += "username = \"u\"\n"
	}
	return text
}

func TestMistakesOfATarget(t *testing.T) {
	for _, test := range []struct {
		name, kind, lines string
		want              []string
	}{
		{"none", config.KeyCRM, "", nil},
		{"no user name", config.Zelenka, "username = \"\"\n", []string{
			"o.toml:3: target[0].username: is not set; write the user name of the account; Zelenka asks for it together with the key",
		}},
		{"a key of another kind", config.Zelenka, "rate = 20\n", []string{
			"o.toml:3: target[0].rate: is not a key of kind zelenka; take it out; only keycrm has it",
		}},
		{"a key of another kind, misspelt", config.VirtPOS, "ful_zero = \"mass\"\n", []string{
			"o.toml:3: target[0].ful_zero: unknown key; did you mean full_zero?",
		}},
		{"a warehouse by its name", config.KeyCRM, "warehouse = \"Main\"\n", []string{
			`o.toml:3: target[0].warehouse: "Main" is not a number; write the warehouse's number, such as "2"`,
		}},
		{"a warehouse by its code", config.VirtPOS, "warehouse = \"W-1\"\nwarehouse_external = true\n", nil},
		{"a rate beyond reason", config.KeyCRM, "rate = 0\nbatch = 10001\nprecision = \"0.1\"\n", []string{
			"o.toml:3: target[0].rate: 0 is out of its limits; write a whole number from 1 to 6000",
			"o.toml:4: target[0].batch: 10001 is out of its limits; write a whole number from 1 to 10000",
			`o.toml:5: target[0].precision: "0.1" is not known; write one of 0.001, 1 (did you mean "0.001"?)`,
		}},
		{"a full run of KeyCRM", config.KeyCRM, "full = \"03:30\"\n", []string{
			"o.toml:3: target[0].full: KeyCRM has no full run; take it out; its figures are compared all the time",
		}},
		{"writing to a second opinion", config.KeyCRM, "direction = \"pull\"\nwrite = \"auto\"\n", []string{
			`o.toml:4: target[0].write: nothing is written in direction "pull"; write "off", or direction = "push"`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, problems(t, with(test.kind, test.lines))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameWarehouseTwice(t *testing.T) {
	second := "[[target]]\nname = \"b\"\nkind = \"virtpos\"\nurl = \"https://a/\"\nkey_file = \"/k\"\nwarehouse = \"1\"\n"
	want := []string{`o.toml:13: target[1].warehouse: is written by target "a" already; leave one of the two out; they would overwrite each other`}
	if diff := cmp.Diff(want, problems(t, with(config.VirtPOS, "")+second)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := problems(t, with(config.VirtPOS, "")+second+"warehouse_external = true\n"); got != nil {
		t.Errorf("a number and a code are two warehouses: %q", got)
	}
}

func TestWarningsOfATarget(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"available to KeyCRM", with(config.KeyCRM, "quantity = \"available\"\n"),
			`o.toml:3: target[0].quantity: KeyCRM's figures include what is reserved, and it takes that off by itself; write "physical"`},
		{"available without reserves", with(config.Zelenka, "quantity = \"available\"\n"),
			`o.toml:3: target[0].quantity: no target tells reserves, so all that is on the shelf is available; add the keycrm target that takes the orders, or write "physical"`},
		{"in clear", with(config.VirtPOS, "url = \"http://a.example\"\n"),
			"o.toml:3: target[0].url: http sends the token in clear; write https"},
	} {
		c, err := config.Parse("o.toml", []byte(test.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || c.Warnings[0].String() != test.want {
			t.Errorf("%s: %q, want %q", test.name, c.Warnings, test.want)
		}
	}
}

func TestSecondOpinionIsNeverWritten(t *testing.T) {
	c, err := config.Parse("o.toml", []byte(with(config.KeyCRM, "direction = \"pull\"\n")), nil)
	if err != nil || c.Targets[0].Write != config.Off {
		t.Errorf("%v, %+v", err, c)
	}
}

func TestEachKindShowsItsOwnKeys(t *testing.T) {
	c, err := config.Parse("o.toml", []byte(good+three), nil)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{}
	for _, s := range c.Settings() {
		if key, ok := strings.CutPrefix(s.Key, "target["); ok {
			own[key[:1]] += " " + key[3:]
		}
	}
	const common = " name kind url key_file warehouse match quantity write full"
	want := map[string]string{
		"0": common + " format pace warehouse_external external full_zero",
		"1": common + " username",
		"2": common + " rate batch precision negative direction reserves hook_secret_file",
	}
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecretsOfATarget(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	load := func(key, hook string) (*config.Config, error) {
		text := with(config.KeyCRM, fmt.Sprintf("key_file = %q\nhook_secret_file = %q\n", key, hook))
		return config.Load(file("o.toml", text), []string{"OSTATOK_EVOTOR_TOKEN=abcd"})
	}
	key, hook := file("key", "crm-key-0123\n"), file("hook", "0123456789abcdef\n")
	c, err := load(key, hook)
	if err != nil || c.Targets[0].Key.Reveal() != "crm-key-0123" || c.Targets[0].HookSecret.Reveal() != "0123456789abcdef" {
		t.Fatalf("%v, %+v", err, c)
	}
	for _, secret := range []string{"abcd", "crm-key-0123", "0123456789abcdef"} {
		if !slices.Contains(c.Secrets(), secret) {
			t.Errorf("%q would not be redacted", secret)
		}
		if text := fmt.Sprintf("%v %+v %#v", c.Targets, c.Settings(), c.Targets[0]); strings.Contains(text, secret) {
			t.Errorf("%q is printed: %s", secret, text)
		}
	}
	for name, want := range map[string]string{
		"missing": "o.toml:3: target[0].key_file: cannot read " + filepath.Join(dir, "no") + ": no such file or directory; put the key there, with mode 0600",
		"short":   "o.toml:4: target[0].hook_secret_file: " + filepath.Join(dir, "short") + " holds a secret that is short or cannot be part of an address; write at least 16 letters and digits",
	} {
		k, h := key, hook
		if name == "missing" {
			k = filepath.Join(dir, "no")
		} else {
			h = file("short", "abc")
		}
		if _, err := load(k, h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

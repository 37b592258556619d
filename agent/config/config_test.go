package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/config"
)

const good = `store = "20170222-D58C-40E0-8051-B53ADFF38860"` + "\n"

// three is a target of each kind, as short as can be.
const three = `
[[target]]
name = "a"
kind = "virtpos"
url = "https://a"
key_file = "/a"
warehouse = "1"
[[target]]
name = "b"
kind = "zelenka"
url = "https://b"
username = "u"
key_file = "/b"
warehouse = "1"
[[target]]
name = "c"
kind = "keycrm"
url = "https://c"
key_file = "/c"
warehouse = "1"
`

// problems parses a text and returns each mistake as it is shown.
func problems(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	_, err := config.Parse("o.toml", []byte(text), environ)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		t.Fatalf("error is a %T: %v", err, err)
	}
	var all []string
	for _, p := range invalid.Problems {
		all = append(all, p.String())
	}
	return all
}

func TestExampleIsTheDefaults(t *testing.T) {
	text := strings.Replace(config.Example, `store    = ""`, `store = "20170222-D58C-40E0-8051-B53ADFF38860"`, 1)
	got, err := config.Parse("example.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Parse("example.toml", []byte(good), nil)
	if err != nil {
		t.Fatal(err)
	}
	values := func(c *config.Config) (all []string) {
		for _, s := range c.Settings() {
			all = append(all, s.Key+" = "+s.Value)
		}
		return all
	}
	if diff := cmp.Diff(values(want), values(got)); diff != "" {
		t.Errorf("the example differs from the defaults (-default +example):\n%s", diff)
	}
}

// Every key has to be in the example, so that nobody has to read the code.
func TestExampleNamesEveryKey(t *testing.T) {
	c, err := config.Parse("o.toml", []byte(good+three), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Settings() {
		name := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		if s.Key == "evotor.token" { // it would invite a secret into the file
			continue
		}
		found := false
		for line := range strings.Lines(config.Example) {
			key, _, ok := strings.Cut(strings.TrimLeft(line, "# "), "=")
			found = found || ok && strings.TrimSpace(key) == name
		}
		if !found {
			t.Errorf("%s is not in the example", s.Key)
		}
	}
}

// The commented parts must be right too when someone uncomments them.
func TestExampleUncommented(t *testing.T) {
	var b strings.Builder
	for line := range strings.Lines(config.Example) {
		if rest, ok := strings.CutPrefix(line, "# "); ok && (strings.HasPrefix(rest, "[") || strings.Contains(rest, " = ") && !strings.Contains(rest, ": ")) {
			line = rest
		}
		b.WriteString(line)
	}
	text := strings.Replace(b.String(), `store    = ""`, strings.TrimSpace(good), 1)
	text = strings.Replace(text, "ed25519:KEY=manage", "ed25519:"+strings.Repeat("A", 43)+"==manage", 1)
	text = strings.Replace(text, `"ed25519:KEY"`, `"ed25519:`+strings.Repeat("A", 43)+`="`, 1)
	c, err := config.Parse("o.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Targets) != 3 || c.Targets[0].Kind != "keycrm" || c.Targets[1].Username == "" || !c.Targets[2].External || c.MQTT.Tenant != "acme" || c.Local.AccessFile == "" || c.Update.Pin == "" ||
		c.Timezone == "" || len(c.DNS) != 2 {
		t.Errorf("uncommented values did not arrive: %+v", c)
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		name, text string
		environ    []string
		want       []string
	}{
		{"nothing at all", "", nil, []string{
			"o.toml: store: is not set; write the id of the shop, as the Evotor cloud shows it",
		}},
		{"misspelt key", good + "[evotor]\n\npol = \"60s\"\n", nil, []string{
			"o.toml:4: evotor.pol: unknown key; did you mean evotor.poll?",
		}},
		{"misspelt section", good + "[evotr]\npoll = \"60s\"\n", nil, []string{
			"o.toml:2: evotr: unknown key; did you mean evotor?",
		}},
		{"key without its section", good + "horizon = 3\n", nil, []string{
			"o.toml:2: horizon: unknown key; did you mean evotor.horizon?",
		}},
		{"nothing near", good + "zzzzzzzzzzzz = 3\n", nil, []string{
			"o.toml:2: zzzzzzzzzzzz: unknown key; take it out",
		}},
		{"many at once", "store = \"20170222-d58c-40e0-8051-b53adff38860\"\n[evotor]\npoll = \"1s\"\nhorizon = \"six\"\nwrite = \"aprove\"\n[guard]\nfall_share = 0.9\n", nil, []string{
			`o.toml:1: store: "20170222-d58c-40e0-8051-b53adff38860" is not the id of an Evotor shop; write it in upper case: 20170222-D58C-40E0-8051-B53ADFF38860`,
			"o.toml:3: evotor.poll: 1s is out of its limits; write a duration from 5s to 6h",
			"o.toml:4: evotor.horizon: six is not a whole number; write a whole number from 1 to 60, without quotes",
			`o.toml:5: evotor.write: "aprove" is not known; write one of off, approve, auto (did you mean "approve"?)`,
			"o.toml:7: guard.fall_share: 0.9 is out of its limits; write a share from 0.01 to 0.5",
		}},
		{"duration without quotes", good + "[evotor]\npoll = 60\n", nil, []string{
			"o.toml:3: evotor.poll: 60 is not text; write a duration from 5s to 6h, in quotes",
		}},
		{"a store of another system", "store = \"6b29fc40-ca47-1067-b31d-00dd010662da\"\n", nil, []string{
			`o.toml:1: store: "6b29fc40-ca47-1067-b31d-00dd010662da" is not the id of an Evotor shop; copy the shop's id from the Evotor cloud; it looks like 20170222-D58C-40E0-8051-B53ADFF38860`,
		}},
		{"a reading", good + "[stock]\nreading = {ACEPT = \"after\"}\n", nil, []string{
			`o.toml:3: stock.reading: "ACEPT" is not a type of document that moves stock; did you mean ACCEPT?`,
		}},
		{"a LAN address", good + "[local]\nlisten = \"0.0.0.0:8480\"\n", nil, []string{
			"o.toml:3: local.listen: 0.0.0.0:8480 can be reached by other machines; name an access_file, or listen on 127.0.0.1",
		}},
		{"a size", good + "[mirror]\nbudget = \"5MB\"\n", nil, []string{
			"o.toml:3: mirror.budget: 5MB is out of its limits; write a size from 64MB to 64GB",
		}},
		{"no size", good + "[mirror]\nbudget = \"much\"\n", nil, []string{
			`o.toml:3: mirror.budget: "much" is not a size; write a size from 64MB to 64GB, such as "512MB"`,
		}},
		{"retention below the horizon", good + "[evotor]\nhorizon = 24\n", nil, []string{
			"o.toml: mirror.keep: 400d is shorter than the horizon of 24 months; write at least 744d",
		}},
		{"targets", good + "[[target]]\nname = \"site\"\nkind = \"keycrm\"\nurl = \"https://a\"\nkey_file = \"/k\"\nwarehouse = \"1\"\n\n[[target]]\nname = \"site\"\nkynd = \"zelenka\"\n", nil, []string{
			"o.toml:9: target[1].kind: is not set; write virtpos, zelenka or keycrm",
			"o.toml:9: target[1].url: is not set; write the address of the system",
			"o.toml:9: target[1].key_file: is not set; name the file that holds the key, with mode 0600",
			"o.toml:9: target[1].warehouse: is not set; write the id that the system has given to the shop's warehouse",
			`o.toml:10: target[1].name: "site" is taken; write another name; plans are told apart by it`,
			"o.toml:11: target[1].kynd: unknown key; did you mean kind?",
		}},
		{"one bracket", good + "[target]\nname = \"site\"\n", nil, []string{
			"o.toml:2: target: is one table; write [[target]], with two brackets, above each",
		}},
		{"a section as a value", good + "evotor = \"x\"\n", nil, []string{
			"o.toml:2: evotor: is a section, not a value; write [evotor] on a line of its own",
		}},
		{"environment", good, []string{"OSTATOK_EVOTOR_POL=60s", "OSTATOK_EVOTOR_HORIZON=90", "HOME=/root"}, []string{
			"OSTATOK_EVOTOR_POL: unknown variable; did you mean OSTATOK_EVOTOR_POLL?",
			"OSTATOK_EVOTOR_HORIZON: evotor.horizon: 90 is out of its limits; write a whole number from 1 to 60",
		}},
		{"a password in an address", good + "[evotor]\nurl = \"https://user:pass@api.evotor.ru\"\n", nil, []string{
			"o.toml:3: evotor.url: the address holds a name or a password; take it out; secrets have files of their own",
		}},
		{"an operator's key", good + "[mqtt]\nurls = [\"ssl://b:8883\"]\ntenant = \"acme\"\noperators = [\"ed25519:short=manage\"]\n", nil, []string{
			`o.toml:5: mqtt.operators: "ed25519:short=manage" is not an operator's key and right; write it as ed25519:KEY=manage, =observe or =revoked, KEY being 32 bytes in base64`,
		}},
		{"a broker without a tenant", good + "[mqtt]\nurls = [\"ssl://b:8883\"]\n", nil, []string{
			"o.toml: mqtt.tenant: is not set; write the tenant's name that the operator gave you",
		}},
		{"zone and name servers", good + "timezone = \"Europe/Moskow\"\ndns = [\"77.88.8.8\", \"dns.example\"]\n", nil, []string{
			`o.toml:2: timezone: this box does not know the time zone "Europe/Moskow"; write it as "Europe/Moscow", or as the distance from UTC, "+03:00"`,
			`o.toml:3: dns: "dns.example" is not the address of a name server; write its IP address, such as 77.88.8.8`,
		}},
		{"updates", good + "[update]\nrelease_keys = [\"ed25519:x\"]\nwindow = \"night\"\ntrial = \"1s\"\n", nil, []string{
			`o.toml:3: update.release_keys: "ed25519:x" is not a key that certifies releases; write it as ed25519:KEY, KEY being 32 bytes in base64`,
			`o.toml:4: update.window: "night" is not a span of hours; write it as "02:00-05:00"`,
			"o.toml:5: update.trial: 1s is out of its limits; write a duration from 5s to 30m",
		}},
		{"releases that nobody signs", good + "[update]\nurl = \"https://r\"\n", nil, []string{
			"o.toml: update.release_keys: is not set, so no release could be believed; write the key that the operator gave you",
		}},
		{"a channel of no server", good + "[update]\nchannel = \"stable\"\n", nil, []string{
			"o.toml: update.url: is not set, so there is no channel; write the address of the server with releases",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, problems(t, test.text, test.environ...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyntaxErrorHasItsLine(t *testing.T) {
	got := problems(t, good+"[evotor\npoll = 1\n")
	if len(got) != 1 || !strings.HasPrefix(got[0], "o.toml:2: not TOML: ") {
		t.Errorf("%q", got)
	}
}

// What the file takes may be copied into the environment as it is.
func TestEnvironmentInTOML(t *testing.T) {
	c, err := config.Parse("o.toml", []byte(good), []string{
		`OSTATOK_STOCK_READING={ACCEPT = "after", RETURN = "before"}`, `OSTATOK_MQTT_URLS=["ssl://a:8883", "ssl://b:8883"]`, "OSTATOK_MQTT_TENANT=acme",
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Stock.Pinned(); len(p) != 2 || p["ACCEPT"] != "after" || p["RETURN"] != "before" {
		t.Errorf("pinned %v", p)
	}
	if want := []string{"ssl://a:8883", "ssl://b:8883"}; !slices.Equal(c.MQTT.URLs, want) {
		t.Errorf("%q", c.MQTT.URLs)
	}
	if c, err := config.Parse("o.toml", []byte(good), []string{"OSTATOK_STOCK_READING={}"}); err != nil || len(c.Stock.Reading) != 0 {
		t.Errorf("%v", err)
	}
	if _, err := config.Parse("o.toml", []byte(good), []string{`OSTATOK_STOCK_READING={ACEPT = "after"}`}); err == nil || !strings.Contains(err.Error(), "did you mean ACCEPT") {
		t.Errorf("%v", err)
	}
}

func TestLayers(t *testing.T) {
	c, err := config.Parse("o.toml", []byte(good+"[evotor]\npoll = \"30s\"\noverlap = \"48h\"\n"), []string{
		"OSTATOK_EVOTOR_POLL=2m", "OSTATOK_STOCK_READING=ACCEPT=after, RETURN=before", "OSTATOK_LOCAL_INGEST=false",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Evotor.Poll != 2*time.Minute || c.Evotor.Overlap != 48*time.Hour || c.Evotor.Horizon != 6 || c.Local.Ingest {
		t.Errorf("%+v %+v", c.Evotor, c.Local)
	}
	if p := c.Stock.Pinned(); len(p) != 2 || p["ACCEPT"] != "after" {
		t.Errorf("pinned %v", p)
	}
	want := map[string]config.Setting{
		"evotor.poll":    {Key: "evotor.poll", Value: "2m", Layer: config.Environment, Variable: "OSTATOK_EVOTOR_POLL"},
		"evotor.overlap": {Key: "evotor.overlap", Value: "2d", Layer: config.FromFile, Line: 4},
		"evotor.horizon": {Key: "evotor.horizon", Value: "6", Layer: config.FromDefault},
	}
	for _, s := range c.Settings() {
		if w, ok := want[s.Key]; ok && s != w {
			t.Errorf("%+v, want %+v", s, w)
		}
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	const token = "0f9d2c1e-secret-token"
	c, err := config.Parse("o.toml", []byte(good+"[evotor]\ntoken = \""+token+"\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c.Evotor)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(c.Evotor), fmt.Sprintf("%+v %#v %q %x", c.Evotor.Token, c.Evotor.Token, c.Evotor.Token, c.Evotor.Token),
		fmt.Sprint(c.Settings()), string(text), fmt.Sprint(c.Warnings),
	} {
		if strings.Contains(shown, token) || strings.Contains(shown, fmt.Sprintf("%x", token)) {
			t.Errorf("the token is in %s", shown)
		}
	}
	if c.Evotor.Token.Reveal() != token {
		t.Error("the token did not arrive")
	}
	if len(c.Warnings) != 1 || c.Warnings[0].Line != 3 {
		t.Errorf("a token in the file is worth one warning, got %v", c.Warnings)
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "evotor.token")
	file := filepath.Join(dir, "o.toml")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil { // the umask must not decide
			t.Fatal(err)
		}
	}
	write(file, fmt.Sprintf("%s[evotor]\ntoken_file = %q\n", good, token), 0o644)

	if _, err := config.Load(file, nil); err == nil || !strings.Contains(err.Error(), "o.toml:3: evotor.token_file: cannot read "+token) {
		t.Errorf("missing: %v", err)
	}
	if _, err := config.Load(file, []string{"OSTATOK_EVOTOR_TOKEN=abc"}); err != nil {
		t.Errorf("with a token in the environment the file is not needed: %v", err)
	}
	write(token, "two words\n", 0o600)
	if _, err := config.Load(file, nil); err == nil || !strings.Contains(err.Error(), "does not hold one word") {
		t.Errorf("two words: %v", err)
	}
	write(token, "abc\n", 0o600)
	c, err := config.Load(file, nil)
	if err != nil || c.Evotor.Token.Reveal() != "abc" || len(c.Warnings) != 0 {
		t.Errorf("private: %v, %v", err, c)
	}
	write(token, "abc\n", 0o644)
	c, err = config.Load(file, nil)
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Do != "run chmod 600 "+token {
		t.Errorf("wide: %v, %v", err, c)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "no.toml"), nil)
	if err == nil || !strings.Contains(err.Error(), "no such file or directory; make one with `ostatok config init > ") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(config.Example))
	f.Add([]byte(good + "[[target]]\nname = 'a'\n[[target]]\n"))
	f.Add([]byte("target = [{name = 'a'}, {url = 3}]\nstock.reading.ACCEPT = 'after'\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("o.toml", text, nil)
		if (c == nil) == (err == nil) {
			t.Fatalf("neither a configuration nor an error: %v", err)
		}
	})
}

// What an operator lays over the file is within its limits, or changes nothing.
func FuzzOverride(f *testing.F) {
	c, err := config.Parse("o.toml", []byte(good+three), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range c.Adjustable() {
		for _, value := range []string{`"30s"`, `"auto"`, `0.3`, `5`, `"03:30"`, `"debug"`, `null`, `[1]`, `""`, `1e400`, `"-1h"`} {
			f.Add(key, []byte(value))
		}
	}
	f.Add("evotor.token", []byte(`"x"`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		before := *c
		over, err := c.With([]config.Override{{Key: key, Value: value}})
		if (over == nil) == (err == nil) {
			t.Fatalf("neither a configuration nor an error: %v", err)
		}
		if !cmp.Equal(before.Evotor, c.Evotor, cmp.AllowUnexported(config.Secret{})) || before.Log != c.Log {
			t.Fatalf("the file's own configuration was changed: %+v", c)
		}
		if over != nil && (!slices.Contains(c.Adjustable(), key) || over.Evotor.Poll < 5*time.Second) {
			t.Fatalf("%s was set to %s", key, value)
		}
	})
}

func TestHoursOfUpdates(t *testing.T) {
	for _, test := range []struct {
		window   string
		from, to time.Duration
		ok       bool
	}{
		{"02:00-05:30", 2 * time.Hour, 5*time.Hour + 30*time.Minute, true},
		{"23:00-01:00", 23 * time.Hour, time.Hour, true},
		{"", 0, 0, false},
		{"2-5", 0, 0, false},
	} {
		from, to, ok := (&config.Update{Window: test.window}).Hours()
		if from != test.from || to != test.to || ok != test.ok {
			t.Errorf("%q: %v to %v, %t", test.window, from, to, ok)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ostatok/agent/command"
)

func TestConfig(t *testing.T) {
	const whole = "urls = [\"ssl://one:8883\", \"tcp://two:1883\"]\ntenant = \"acme\"\nca_file = \"ca.pem\"\npassword_file = \"/etc/password\"\n"
	for name, test := range map[string]struct {
		text    string
		environ []string
		want    string // of the error, "" for none
		check   func(*settings) bool
	}{
		"whole": {text: whole, check: func(s *settings) bool {
			return len(s.URLs) == 2 && s.Tenant == "acme" && filepath.Base(s.CAFile) == "ca.pem" && filepath.IsAbs(s.CAFile) && s.PasswordFile == "/etc/password"
		}},
		"the environment is above the file": {text: whole,
			environ: []string{"OSTATOKCTL_URLS=tcp://three:1883, tcp://four:1883", "OSTATOKCTL_TENANT=other", "OSTATOKCTL_CA_FILE=here.pem", "USER=anna"},
			check: func(s *settings) bool {
				return len(s.URLs) == 2 && s.URLs[1] == "tcp://four:1883" && s.Tenant == "other" && s.CAFile == "here.pem" && s.Operator == "anna"
			}},
		"the example":       {text: exampleConfig, check: func(s *settings) bool { return filepath.Base(s.OperatorKeyFile) == "operator.pem" }},
		"nothing":           {want: "urls and tenant must be set"},
		"an unknown name":   {text: "tenant = \"acme\"\nurl = \"tcp://one:1883\"\n", want: "line 2: there is no setting url"},
		"not TOML":          {text: "tenant = \"acme\"\nurls = [\n", want: "line"},
		"a topic of two":    {text: "urls = [\"tcp://one:1883\"]\ntenant = \"a/b\"\n", want: "cannot be part of a topic"},
		"no scheme":         {text: "urls = [\"one:1883\"]\ntenant = \"acme\"\n", want: "write ssl://"},
		"half a pair":       {text: whole + "cert_file = \"c.pem\"\n", want: "belong together"},
		"a password":        {text: "urls = [\"tcp://anna:hunter2@one:1883\"]\ntenant = \"acme\"\n", want: "username and password_file"},
		"a broken password": {text: "urls = [\"tcp://anna:hunter2%zz@one\"]\ntenant = \"acme\"\n", want: "is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.toml")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			a := &app{environ: append(test.environ, "OSTATOKCTL_CONFIG="+file), now: time.Now}
			s, err := a.load()
			switch {
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v, want %q", err, test.want)
				}
			case err != nil:
				t.Error(err)
			case !test.check(s):
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestConfigThatIsNotThere(t *testing.T) {
	home := t.TempDir()
	a := &app{environ: []string{"HOME=" + home, "OSTATOKCTL_URLS=tcp://one:1883", "OSTATOKCTL_TENANT=acme"}, now: time.Now}
	if _, err := a.load(); err != nil {
		t.Errorf("the environment is not enough: %v", err)
	}
	a.file = filepath.Join(home, "none.toml")
	if _, err := a.load(); err == nil {
		t.Error("a file that was named and is missing is no mistake")
	}
}

func TestKeygen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	var out, says text
	a := &app{out: &out, err: &says, now: time.Now}
	if code := a.main(t.Context(), []string{"keygen", "--right", "observe", file}); code != 0 {
		t.Fatalf("exit %d: %s", code, &says)
	}
	key, err := command.ParseKey(strings.TrimSpace(out.String()))
	if err != nil || key.Right != command.Observe || !strings.Contains(says.String(), key.ID) {
		t.Errorf("%v: %s%s", err, &out, &says)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if code := a.main(t.Context(), []string{"keygen", file}); code != exitUsage {
		t.Errorf("exit %d for a file that exists", code)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the key was written over: %v", err)
	}
	s := &settings{OperatorKeyFile: file}
	private, err := s.signer()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := command.Sign(private, command.Claims{ID: "1", Audience: []string{"s"}, Cmd: command.Ping, IssuedAt: now, ExpiresAt: now.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.Verify([]byte(token), "s", []command.Key{key}, command.Clock{Now: now, Trusted: true}); err != nil {
		t.Errorf("the two halves do not fit: %v", err)
	}
}

func TestSignerRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		mode       os.FileMode
		text, want string
	}{
		"open to others": {0o644, "x", "chmod 600"},
		"no PEM":         {0o600, "x", "no key in PEM"},
		"another PEM":    {0o600, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no Ed25519 key"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := (&settings{OperatorKeyFile: file}).signer(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, file := range []string{"", filepath.Join(dir, "none")} {
		if _, err := (&settings{OperatorKeyFile: file}).signer(); err == nil {
			t.Errorf("%q: no error", file)
		}
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(list, []byte("shop-a\nshop+b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("# none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"dance"}, "unknown command"},
		{[]string{"watch", "--format", "csv"}, "--format csv is not known here"},
		{[]string{"watch", "--format", "json"}, "write --once too"},
		{[]string{"send"}, "who is meant?"},
		{[]string{"send", "sync"}, "who shall sync?"},
		{[]string{"send", "all", "sync"}, "write --all"},
		{[]string{"send", "shop-a"}, "which command?"},
		{[]string{"send", "shop-a", "dance"}, `there is no command "dance"`},
		{[]string{"send", "a/b", "ping"}, "no store's id"},
		{[]string{"send", "shop-a", "ping", "--expires", "25h"}, "--expires must be between"},
		{[]string{"send", "shop-a", "ping", "--wait", "-1s"}, "--wait cannot be negative"},
		{[]string{"send", "shop-a", "ping", "x"}, `"x" is not NAME=TEXT`},
		{[]string{"send", "shop-a", "ping", "x:=milk"}, "write x=… for a text"},
		{[]string{"send", "shop-a", "ping", "x=1", "x=2"}, "there twice"},
		{[]string{"send", "shop-a", "ping", "{x}"}, "not a JSON object"},
		{[]string{"send", "--all", "--file", list, "ping"}, "cannot both"},
		{[]string{"send", "--file", list, "ping"}, `line 2: "shop+b" is no store's id`},
		{[]string{"send", "--file", empty, "ping"}, "lists no shop"},
		{[]string{"send", "--file", filepath.Join(dir, "none"), "ping"}, "cannot read the list"},
		{[]string{"send", "shop-a", "ping"}, "commands are signed"},
		{[]string{"events"}, "write --follow, or --session"},
		{[]string{"events", "--session", "a.b"}, "letters, digits"},
		{[]string{"events", "--follow", "--severity", "bad"}, "write info, warning, error"},
		{[]string{"show", "a#"}, "no store's id"},
		{[]string{"stock", "a#"}, "no store's id"},
		{[]string{"keygen", "--right", "rule", "x"}, "write manage or observe"},
	} {
		var out, says text
		a := &app{out: &out, err: &says, now: time.Now, environ: []string{"HOME=" + dir, "OSTATOKCTL_URLS=tcp://127.0.0.1:1", "OSTATOKCTL_TENANT=acme"}}
		if code := a.main(t.Context(), test.args); code != exitUsage || !strings.Contains(says.String(), test.want) || out.String() != "" {
			t.Errorf("%v: exit %d, %q, %q", test.args, code, &says, &out)
		}
	}
}

func TestABrokerThatIsNotThere(t *testing.T) {
	var out, says text
	a := &app{out: &out, err: &says, now: time.Now, environ: []string{"HOME=" + t.TempDir(), "OSTATOKCTL_URLS=tcp://127.0.0.1:1", "OSTATOKCTL_TENANT=acme"}}
	if code := a.main(t.Context(), []string{"watch", "--once"}); code != exitUnexpected || !strings.Contains(says.String(), "cannot reach the broker at tcp://127.0.0.1:1") {
		t.Errorf("exit %d: %s", code, &says)
	}
}

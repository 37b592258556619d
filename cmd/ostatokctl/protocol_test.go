package main

import (
	"context"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
	"ostatok/agent/remote"
)

// examples are the code blocks of the worked example, by language.
func examples(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "### A worked example\n")
	if !found {
		t.Fatal("docs/PROTOCOL.md has no worked example")
	}
	blocks := make(map[string][]string)
	for {
		_, rest, more := strings.Cut(example, "\n```")
		if !more {
			return blocks
		}
		language, rest, _ := strings.Cut(rest, "\n")
		code, after, closed := strings.Cut(rest, "\n```\n")
		if !closed {
			t.Fatalf("a block of %s has no end", language)
		}
		blocks[language] = append(blocks[language], code+"\n")
		example = "\n" + after
	}
}

// agentShop is what the MQTT side of a real agent asks for.
type agentShop struct {
	asked chan command.Claims
}

func (agentShop) Status(context.Context) (message.Status, error) {
	return message.Status{Products: 3}, nil
}

func (agentShop) Levels(context.Context) iter.Seq2[message.Change, error] {
	return func(func(message.Change, error) bool) {}
}

func (agentShop) Level(context.Context, string) (message.Change, bool, error) {
	return message.Change{}, false, nil
}

func (s agentShop) Do(_ context.Context, c command.Claims, _ func(any)) (any, error) {
	s.asked <- c
	return map[string]bool{"explained": true}, nil
}

func (agentShop) Interrupted(context.Context, command.Claims) (any, error) {
	return nil, remote.ErrInterrupted
}
func (agentShop) Settings() []remote.Setting                      { return nil }
func (agentShop) Apply(context.Context, []journal.Override) error { return nil }

// agent runs the MQTT side of a real agent until the test ends.
func (d *desk) agent(store string) agentShop {
	d.t.Helper()
	j, _, err := journal.Open(d.t.Context(), journal.Options{Dir: d.t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		d.t.Fatal(err)
	}
	s := agentShop{asked: make(chan command.Claims, 1)}
	began := time.Now().Add(-time.Minute) // a shop that is older than its first command
	if err := j.CommandsSince(d.t.Context(), began.UnixMilli(), true); err != nil {
		d.t.Fatal(err)
	}
	r, err := remote.New(remote.Options{
		URLs: []string{d.broker.URL()}, Tenant: tenant, Store: store, Version: "1.2.3", Keys: []command.Key{d.public},
		Clock: func() command.Clock { return command.Clock{Now: time.Now(), Trusted: true, Best: time.Now()} }, Log: zerolog.Nop(),
	}, s, j)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			d.t.Error(err)
		}
	})
	d.t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := j.Close(); err != nil {
			d.t.Error(err)
		}
	})
	return s
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed; .ci/run installs it", p)
		}
	}
}

// fields are the paths of a message's fields, as the page writes them.
func fields(t reflect.Type, prefix string) []string {
	var all []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		switch f := t.Field(i).Type; {
		case f.Kind() == reflect.Struct && f != reflect.TypeFor[time.Time]():
			all = append(all, fields(f, prefix+name+".")...)
		case f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct:
			all = append(all, fields(f.Elem(), prefix+name+"[].")...)
		default:
			all = append(all, prefix+name)
		}
	}
	return all
}

func TestProtocolListsTheFieldsOfStatus(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "**Status** has these fields")
	table, _, found := strings.Cut(table, "**State.**")
	if !found {
		t.Fatal("docs/PROTOCOL.md has no table of the status")
	}
	var listed []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			for i, word := range strings.Split(cells[1], "`") {
				if i%2 == 1 {
					listed = append(listed, word)
				}
			}
		}
	}
	want := fields(reflect.TypeFor[message.Status](), "")
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("docs/PROTOCOL.md lists\n%v\nand the code has\n%v", listed, want)
	}
}

// The page's own lines against a real broker and the MQTT side of a real agent.
func TestWorkedExample(t *testing.T) {
	needs(t, "mosquitto_sub", "mosquitto_pub", "openssl", "bash")
	blocks := examples(t)
	if len(blocks["sh"]) != 2 || len(blocks["python"]) != 1 {
		t.Fatalf("the example has %d blocks of sh and %d of python", len(blocks["sh"]), len(blocks["python"]))
	}
	d := newDesk(t)
	const store = "20170222-D58C-40E0-8051-B53ADFF38860"
	shop := d.agent(store)
	host, port, _ := strings.Cut(d.broker.Address(), ":")
	shell := func(name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir = filepath.Join(d.home, ".config", "ostatok") // where operator.pem is
		// Debian's packages are for Debian's python3, whatever else is installed.
		c.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH"), "HOST="+host, "PORT="+port, "TENANT="+tenant, "STORE="+store)
		return c
	}

	heard := &text{}
	listen := shell("bash", "-c", "exec "+blocks["sh"][0])
	listen.Stdout = heard
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = listen.Process.Kill() // it has no end of its own
		_ = listen.Wait()
	}()
	base := "ostatok/v1/" + tenant + "/" + store + "/"
	heard.await(t, base+`state {"state":"ready","session":1,"version":"1.2.3"`, base+"status {")

	if out, err := shell("bash", "-euo", "pipefail", "-c", blocks["sh"][1]).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	heard.await(t, base+"command/result {", `"cmd":"ping","status":"done"`)

	t.Run("with a JWT library", func(t *testing.T) {
		if err := shell("bash", "-c", `python3 -c "import jwt, cryptography"`).Run(); err != nil {
			t.Skip("python3-jwt is not installed; .ci/run installs it")
		}
		if err := os.WriteFile(filepath.Join(d.home, ".config", "ostatok", "sign.py"), []byte(blocks["python"][0]), 0o600); err != nil {
			t.Fatal(err)
		}
		send := `python3 sign.py | mosquitto_pub -h "$HOST" -p "$PORT" -q 1 -t "ostatok/v1/$TENANT/$STORE/command" -l`
		if out, err := shell("bash", "-euo", "pipefail", "-c", send).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		heard.await(t, `"cmd":"explain","status":"done"`, `"result":{"explained":true}`)
		if c := <-shop.asked; string(c.Args) != `{"product": "10234"}` && string(c.Args) != `{"product":"10234"}` {
			t.Errorf("the shop got %s", c.Args)
		}
	})
}

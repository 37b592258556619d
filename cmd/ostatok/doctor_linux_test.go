package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ostatok/agent/local"
	"ostatok/cmd/ostatok-sandbox/broker"
	"ostatok/platform/lock"
	"ostatok/platform/network/networktest"
)

// What a script does to the network of the program under test, which knows
// nothing of it: the name server that the box is set to, and the version of IP
// for which there is no route.
const (
	namesVariable   = "OSTATOK_TEST_NAMES"
	noRouteVariable = "OSTATOK_TEST_NO_ROUTE" // "4", "6" or "46"
)

// testDialer opens connections as a box with such a network would.
func testDialer(names, noRoute string) (d net.Dialer) {
	if names != "" {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, names)
		}}
	}
	if noRoute != "" {
		d.Control = func(network, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().IsLoopback() {
				return nil
			}
			if strings.Contains(noRoute, network[len(network)-1:]) {
				return syscall.ENETUNREACH
			}
			return nil
		}
	}
	return d
}

// finding is a row of the table of docs/OPERATIONS.md.
type finding struct{ box, status, name, says, do string }

var findingRow = regexp.MustCompile("^\\| `([a-z0-9_-]+)` \\| [^|]+ \\| (warning|error) `([a-z_ ]+)`: ([^|]+) \\| (.+) \\|$")

// findsLine is the command in a story, after a condition perhaps.
var findsLine = regexp.MustCompile(`(?m)^(?:\[[a-z]+\] )?finds (\S+)`)

// findings reads that table.
func findings() (map[string]finding, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATIONS.md"))
	rows := make(map[string]finding)
	for line := range strings.Lines(string(text)) {
		if m := findingRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			rows[m[1]] = finding{m[1], m[2], m[3], m[4], m[5]}
		}
	}
	return rows, err
}

// Each row of the table has a story, and each story is in the table.
func TestEveryBrokenBoxHasAStory(t *testing.T) {
	rows, err := findings()
	if err != nil || len(rows) < 12 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	stories, err := filepath.Glob("testdata/script/doctor_*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	for _, file := range stories {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range findsLine.FindAllStringSubmatch(string(text), -1) {
			told[m[1]] = true
		}
	}
	for box := range rows {
		if !told[box] {
			t.Errorf("no story tells of %s", box)
		}
	}
	for box := range told {
		if _, ok := rows[box]; !ok {
			t.Errorf("%s is not in the table", box)
		}
	}
}

// finds BOX runs the doctor on a box that is broken in one way: it finds just
// that, and says what to do, as the table of docs/OPERATIONS.md has it. Further
// words are a program that starts the doctor.
func findsCommand(ts *testscript.TestScript, neg bool, args []string) {
	rows, err := findings()
	ts.Check(err)
	want, ok := rows[args[0]]
	if !ok {
		ts.Fatalf("%s is not in the table", args[0])
	}
	code := 0
	line := append(args[1:], "ostatok", "doctor", "--format", "json", "--config", "ostatok.toml")
	err = ts.Exec(line[0], line[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	text := ts.ReadFile("stdout")
	var checks []local.Check
	if err := json.Unmarshal([]byte(text), &checks); err != nil {
		ts.Fatalf("%v: %s", err, text)
	}
	said, advised := false, false
	for _, c := range checks {
		if c.Status == local.OK {
			continue
		}
		if string(c.Status) != want.status || c.Name != want.name || c.Do == "" {
			ts.Fatalf("on box %s the doctor says besides: %+v", want.box, c)
		}
		said = said || strings.Contains(c.Message, want.says)
		advised = advised || strings.Contains(c.Do, want.do)
	}
	if !said || !advised {
		ts.Fatalf("not said (%t) or not advised (%t): %q, %q, but %s", said, advised, want.says, want.do, text)
	}
	if expected := map[string]int{"warning": exitWarnings, "error": exitErrors}[want.status]; code != expected {
		ts.Fatalf("exit %d, want %d", code, expected)
	}
	for _, secret := range []string{token, secretWord} {
		if strings.Contains(text, secret) {
			ts.Fatalf("a secret is in %s", text)
		}
	}
}

// secretWord is every password and key of the boxes, right or wrong.
const secretWord = "sesame-5f1c"

// names server|box NAME=IP,IP… serves names: those of a configured server, or of
// the box's own. names dead is a box whose own does not answer.
func namesCommand(ts *testscript.TestScript, neg bool, args []string) {
	if args[0] == "dead" {
		ts.Setenv(namesVariable, "127.0.0.1:1")
		return
	}
	known := make(map[string][]netip.Addr)
	for _, arg := range args[1:] {
		name, list, _ := strings.Cut(arg, "=")
		for text := range strings.SplitSeq(list, ",") {
			a, err := netip.ParseAddr(text)
			ts.Check(err)
			known[name] = append(known[name], a)
		}
	}
	s, err := networktest.Serve(func(name string) networktest.Reply {
		if a, ok := known[name]; ok {
			return networktest.Reply{Addresses: a}
		}
		return networktest.Reply{Code: networktest.Unknown}
	})
	ts.Check(err)
	ts.Defer(s.Close)
	if args[0] == "box" {
		ts.Setenv(namesVariable, s.At.String())
	} else {
		ts.Setenv("OSTATOK_DNS", s.At.String())
	}
}

// cloud https|portal|redirect|http NAME gives the cloud an address by name, over TLS with
// a certificate of example.com that the box trusts; or lets a network's log-in
// page answer there.
func cloudCommand(ts *testscript.TestScript, neg bool, args []string) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if args[0] == "redirect" {
			http.Redirect(w, r, "http://login.lan/?from="+url.QueryEscape(r.Host), http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html><title>Wi-Fi</title>Enter the number of your room")
	})
	var server *httptest.Server
	switch args[0] {
	case "https":
		server = httptest.NewTLSServer(worldOf(ts).cloud)
		file := ts.MkAbs("roots.pem")
		ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
		ts.Setenv("SSL_CERT_FILE", file)
	case "http":
		server = httptest.NewServer(worldOf(ts).cloud)
	default:
		server = httptest.NewServer(page)
	}
	ts.Defer(server.Close)
	u, err := url.Parse(server.URL)
	ts.Check(err)
	ts.Setenv("OSTATOK_EVOTOR_URL", u.Scheme+"://"+net.JoinHostPort(args[1], u.Port()))
}

// broker starts the operator's broker, over TLS with an argument, and configures
// it with a password that it takes.
func brokerCommand(ts *testscript.TestScript, neg bool, args []string) {
	o := broker.Options{Users: []broker.User{{Name: "shop", Password: secretWord}}}
	if len(args) > 0 {
		borrowed := httptest.NewUnstartedServer(http.NotFoundHandler())
		borrowed.StartTLS() // only its certificate is wanted
		borrowed.Close()
		o.TLS = borrowed.TLS
	}
	b, err := broker.Start(o)
	ts.Check(err)
	ts.Defer(func() { ts.Check(b.Close()) })
	password := ts.MkAbs("mqtt.password")
	ts.Check(os.WriteFile(password, []byte(secretWord+"\n"), 0o600))
	ts.Setenv("OSTATOK_MQTT_URLS", b.URL())
	ts.Setenv("OSTATOK_MQTT_TENANT", "acme")
	ts.Setenv("OSTATOK_MQTT_USERNAME", "shop")
	ts.Setenv("OSTATOK_MQTT_PASSWORD_FILE", password)
}

// hold FILE takes the lock of a directory.
func holdCommand(ts *testscript.TestScript, neg bool, args []string) {
	l, err := lock.Take(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Release()) })
}

// box is a shop as it should be: its first sync is made, its zone is set, and its
// service runs, as far as the service manager's program says.
func boxCommand(ts *testscript.TestScript, neg bool, args []string) {
	shopCommand(ts, false, []string{"products=5", "documents=40"})
	ts.Setenv("OSTATOK_TIMEZONE", "Europe/Moscow")
	ts.Check(os.MkdirAll(ts.MkAbs("bin"), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs("bin/systemctl"), []byte("#!/bin/sh\ncase $1 in\nis-enabled) echo enabled ;;\nis-active) echo active ;;\nesac\n"), 0o700))
	ts.Setenv("PATH", ts.MkAbs("bin")+string(os.PathListSeparator)+ts.Getenv("PATH"))
	ts.Check(ts.Exec("ostatok", "sync", "--once", "--config", "ostatok.toml"))
}

// owned DIR [FILE] hands a directory and its files over to another user, as whom
// root then looks; all but FILE. Anybody else is that user already.
func ownedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	dir := ts.MkAbs(args[0])
	for _, above := range []string{"..", "../..", "../../.."} { // to be passed through
		ts.Check(os.Chmod(filepath.Join(dir, above), 0o755))
	}
	ts.Check(os.Chown(dir, nobody, nobody))
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	for _, e := range entries {
		if len(args) == 1 || e.Name() != args[1] {
			ts.Check(os.Lchown(filepath.Join(dir, e.Name()), nobody, nobody))
		}
	}
}

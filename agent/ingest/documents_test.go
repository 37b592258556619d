package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ostatok/agent/ingest"
	"ostatok/agent/journal"
)

const v1Path = "/api/v1/inventories/stores/" + store + "/documents"

func TestEveryShape(t *testing.T) {
	g := newRig(t, nil)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPut, "/documents", v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10")},
		{http.MethodPut, v1Path, "[" + v1("d-2", "SELL", "till-1", 2, "10:01:00", "bread", "1") + "]"},
		{http.MethodPost, v1Path, "[" + v1("d-3", "PAYBACK", "till-1", 3, "10:02:00", "bread", "-1") + "]"},
		{http.MethodPost, "/api/v2/receipts", receipt("d-4", "SELL", "10:03:00", "bread", "3")},
		{http.MethodPost, "/api/v2/receipts", "[" + receipt("d-5", "PAYBACK", "10:04:00", "bread", "-0.5") + "]"},
		{http.MethodPut, "/documents", "[" + v2("d-6", "SELL", "till-2", 1, "10:05:00", "bread 1") + "," + v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10") + "]"},
	} {
		for round, accepted := range []int{1, 0} { // the same again changes nothing
			if s := g.send(c.method, c.path, c.body); s.Status != http.StatusOK || s.Accepted != accepted {
				t.Fatalf("%s %s, round %d: %+v", c.method, c.path, round, s)
			}
		}
	}
	if d := g.drain(); d.New != 6 || d.Waiting != 6 || len(d.Changes) == 0 {
		t.Fatalf("%+v", d)
	}
	g.stands("bread", 4500) // 10 − 2 − 1 + 1 − 3 + 0.5 − 1
	if g.wakes != 6 {
		t.Errorf("woken %d times by 6 requests with something new", g.wakes)
	}
	if d := g.drain(); d.New != 0 || d.Waiting != 6 || len(d.Changes) != 0 {
		t.Errorf("a second drain did something: %+v", d)
	}
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "sync", "evotor", "testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What Evotor really sends: a whole document of version 2, and receipts of which
// one has no time.
func TestRealRequests(t *testing.T) {
	const webhookStore, receiptStore = "20240713-F175-4064-800E-05AB2824DF98", "20170928-3176-40EB-80E2-A11F032E282A"
	hook := string(sample(t, "16-webhook-document-put-real-2025.json"))
	_, body, _ := strings.Cut(hook, `"body":`)
	g := newRig(t, func(g *rig) { g.store = webhookStore })
	if s := g.take(body[:strings.LastIndex(body, "}")]); s.Accepted != 1 {
		t.Fatalf("%+v", s)
	}
	g.drain()
	g.stands("cd4c2e50-e7ee-4868-873c-b9bc89ecf7a4", -1940_000) // a return to −1941

	g = newRig(t, func(g *rig) { g.store = receiptStore })
	s := g.send(http.MethodPost, "/api/v2/receipts", string(sample(t, "41-webhook-receipt-created-ver2.json")))
	if s.Status != http.StatusOK || s.Accepted != 1 || s.Incomplete != 1 || g.wakes != 1 {
		t.Fatalf("%+v, %d wakes", s, g.wakes)
	}
}

func TestAnswers(t *testing.T) {
	good := v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10")
	elsewhere := strings.Replace(good, store, "20200101-AAAA-4000-8000-000000000001", 1)
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		says               string // part of the first reason
	}{
		"no token":         {"PUT", "/documents", good, []string{"Authorization", ""}, 401, "Authorization: Bearer"},
		"wrong token":      {"PUT", "/documents", good, []string{"Authorization", "Bearer " + token + "x"}, 401, "wrong"},
		"part of it":       {"PUT", "/documents", good, []string{"Authorization", "Bearer " + token[:8]}, 401, "wrong"},
		"bare token":       {"PUT", "/documents", good, []string{"Authorization", token}, 200, ""},
		"small scheme":     {"PUT", "/documents", good, []string{"Authorization", "bearer " + token}, 200, ""},
		"ping, empty":      {"PUT", "/documents", " ", nil, 200, ""},
		"ping, a word":     {"POST", "/api/v2/receipts", "ping", nil, 200, ""},
		"ping, as JSON":    {"POST", "/api/v2/receipts", `"Ping"`, nil, 200, ""},
		"some other word":  {"PUT", "/documents", "nonsense", nil, 400, "as JSON"},
		"some other words": {"PUT", "/documents", "not json", nil, 400, "as JSON"},
		"null":             {"PUT", "/documents", "null", nil, 400, ""},
		"a number":         {"PUT", v1Path, "12", nil, 400, ""},
		"a text":           {"PUT", "/documents", `"x"`, nil, 400, ""},
		"ping, an object":  {"PUT", v1Path, "{ }", nil, 200, ""},
		"ping, an array":   {"PUT", v1Path, "[ ]", nil, 200, ""},
		"ping, an event":   {"PUT", "/documents", `{"action":"ping","id":"x","type":"SystemEvent"}`, nil, 200, ""},
		"ping, no token":   {"PUT", "/documents", "ping", []string{"Authorization", ""}, 401, "token"},
		"cut":              {"PUT", "/documents", good[:len(good)-5], nil, 400, "as JSON"},
		"not text":         {"PUT", "/documents", "\x1f\x8b\x08\x00", nil, 400, "as JSON"},
		"compressed":       {"PUT", "/documents", "\x1f\x8b\x08\x00", []string{"Content-Encoding", "gzip"}, 415, "plain"},
		"no id":            {"PUT", "/documents", strings.Replace(good, `"id":"d-1",`, "", 1), nil, 400, "no id"},
		"quantity":         {"PUT", "/documents", strings.Replace(good, `"quantity":2`, `"quantity":"two"`, 1), nil, 400, "quantity"},
		"long id":          {"PUT", "/documents", strings.Replace(good, "till-1", strings.Repeat("t", 200), 1), nil, 400, "longer"},
		"an empty count":   {"PUT", "/documents", v2("d-1", "INVENTORY", "till-1", 1, "10:00:00", ""), nil, 400, "zero"},
		"other store":      {"PUT", "/documents", elsewhere, nil, 409, "its own box"},
		"other path":       {"PUT", "/api/v1/inventories/stores/20200101-AAAA-4000-8000-000000000001/documents", "[]", nil, 409, "own box"},
		"small letters":    {"PUT", strings.ToLower(v1Path), "[" + v1("d-2", "SELL", "till-1", 2, "10:01:00", "bread", "1") + "]", nil, 200, ""},
		"too large":        {"PUT", "/documents", strings.Repeat(" ", 10<<20+1), nil, 413, "several requests"},
		"without lines":    {"PUT", "/documents", `{"type":"SELL","id":"d-9","close_date":"` + at("10:00:00") + `"}`, nil, 200, ""},
		"another method":   {"GET", "/documents", "", nil, 405, ""},
		"another address":  {"PUT", "/documents/d-1", good, nil, 404, ""},
		"a path's tricks":  {"PUT", "/api/v1/inventories/stores/" + store + "%2f..%2f/documents", good, nil, 409, "own box"},
		"the page's login": {"POST", "/login", "code=1", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			s := g.send(c.method, c.path, c.body, c.headers...)
			if s.Status != c.status {
				t.Fatalf("status %d, want %d: %+v", s.Status, c.status, s)
			}
			if c.says != "" && (len(s.Errors) == 0 || !strings.Contains(s.Errors[0].Reason, c.says) || s.Errors[0].Code == 0) {
				t.Errorf("says %+v, want %q", s.Errors, c.says)
			}
			for _, e := range s.Errors {
				if strings.Contains(e.Reason, token) {
					t.Errorf("tells the token: %s", e.Reason)
				}
			}
			if kept := g.inbox.Size().Documents; kept != int64(s.Accepted) {
				t.Errorf("%d documents are kept, %d were said to be", kept, s.Accepted)
			}
			if s.Status != http.StatusOK && s.Accepted > 0 {
				t.Errorf("refused and kept: %+v", s)
			}
		})
	}
}

func TestOneBadDocumentDoesNotCostTheOthers(t *testing.T) {
	g := newRig(t, nil)
	body := "[" + v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10") + `,{"type":"SELL","id":"bad","close_date":"yesterday"},` +
		strings.Replace(v2("d-2", "SELL", "till-1", 2, "10:01:00", "bread 1 8"), store, "20200101-AAAA-4000-8000-000000000001", 1) + "]"
	s := g.send(http.MethodPut, "/documents", body)
	if s.Status != http.StatusConflict || s.Accepted != 1 || len(s.Errors) != 2 || s.Errors[0].Subject != "bad" || s.Errors[1].Subject != "d-2" {
		t.Fatalf("%+v", s)
	}
	g.drain()
	g.stands("bread", 8000)
}

func TestNoTokenTakesNothing(t *testing.T) {
	g := newRig(t, func(g *rig) { g.told = "" })
	for _, header := range []string{"", "Bearer ", "Bearer x"} {
		s := g.send(http.MethodPut, "/documents", v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2"), "Authorization", header)
		if s.Status != http.StatusUnauthorized || !strings.Contains(s.Errors[0].Reason, "local.access_file") || s.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %+v", header, s)
		}
	}
}

func TestTokenOf(t *testing.T) {
	const hash = "$2a$10$abcdefghijklmnopqrstuv"
	for file, want := range map[string]string{
		"": "", hash + "\n": "", "# nothing yet\n": "",
		hash + "\n# tills\n " + token + " \r\n": token, token: token, token + "\n" + hash: token,
	} {
		if got, err := ingest.TokenOf([]byte(file)); err != nil || got != want {
			t.Errorf("%q: %q, %v", file, got, err)
		}
	}
	if _, err := ingest.TokenOf([]byte("short\n")); !errors.Is(err, ingest.ErrShortToken) {
		t.Errorf("a short token: %v", err)
	}
}

func TestRateOfAnAddress(t *testing.T) {
	g := newRig(t, nil)
	body := v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10")
	from := func(address string, authorization string) said {
		r := g.request(http.MethodPut, "/documents", []byte(body), "Authorization", authorization)
		r.RemoteAddr = address
		return g.do(r)
	}
	tries := 0
	for ; from("10.0.0.9:1", "Bearer guess").Status == http.StatusUnauthorized; tries++ {
		if tries > 100 {
			t.Fatal("guessing is free")
		}
	}
	s := from("10.0.0.9:2", "Bearer "+token)
	if s.Status != http.StatusTooManyRequests || s.Header.Get("Retry-After") == "" || s.Header.Get("Retry-After") == "0" || len(s.Errors) == 0 {
		t.Errorf("after %d guesses: %+v", tries, s)
	}
	if s := from("10.0.0.8:1", "Bearer "+token); s.Status != http.StatusOK {
		t.Errorf("another address waits too: %+v", s)
	}
	g.clock = g.clock.Add(time.Minute)
	if s := from("10.0.0.9:3", "Bearer "+token); s.Status != http.StatusOK {
		t.Errorf("a minute later: %+v", s)
	}
	// A terminal that comes back with two days of documents, one by one.
	for range 250 {
		if s := from("10.0.0.7:1", "Bearer "+token); s.Status != http.StatusOK {
			t.Fatalf("%+v", s)
		}
	}
	// A network of a million addresses is one, and a crowd of networks keeps
	// nobody else out.
	for i := range 20 {
		from(fmt.Sprintf("[2001:db8:1:1::%x]:1", i), "Bearer guess")
	}
	if s := from("[2001:db8:1:1::ffff]:1", "Bearer "+token); s.Status != http.StatusTooManyRequests {
		t.Errorf("a neighbour of who guessed: %+v", s)
	}
	for i := range 3000 {
		from(fmt.Sprintf("[2001:db8:2:%x::1]:1", i), "Bearer guess")
	}
	if s := from("[2001:db8:1:1::ffff]:1", "Bearer "+token); s.Status != http.StatusTooManyRequests {
		t.Errorf("the crowd has set a guesser free: %+v", s)
	}
	if s := from("10.0.0.8:1", "Bearer "+token); s.Status != http.StatusOK {
		t.Errorf("one who does not guess: %+v", s)
	}
}

func TestFullInbox(t *testing.T) {
	g := newRig(t, func(g *rig) { g.most = journal.InboxSize{Documents: 8} })
	for i := range 8 {
		g.take(v2(fmt.Sprintf("d-%d", i), "SELL", "till-1", i+1, fmt.Sprintf("10:%02d:00", i), fmt.Sprintf("bread 1 %d", 100-i)))
	}
	more := v2("d-8", "SELL", "till-1", 9, "10:08:00", "bread 1 92")
	s := g.send(http.MethodPut, "/documents", more)
	if s.Status != http.StatusServiceUnavailable || s.Header.Get("Retry-After") == "" || len(s.Errors) != 1 {
		t.Fatalf("%+v", s)
	}
	// What is in the mirror makes room, the oldest first, and still counts.
	d := g.drain()
	if d.New != 8 || d.LetGo != 2 || d.Waiting != 6 || len(g.events("received_let_go")) != 1 {
		t.Fatalf("%+v", d)
	}
	g.stands("bread", 92_000)
	g.waits(6)
	g.take(more)
	g.drain()
	g.stands("bread", 91_000)
	g.loseMirror()
	g.cloud(v2("d-0", "SELL", "till-1", 1, "10:00:00", "bread 1 100"), v2("d-1", "SELL", "till-1", 2, "10:01:00", "bread 1 99"))
	g.drain()
	g.stands("bread", 91_000)
}

// A body that never ends, and one that breaks off.
func TestBodies(t *testing.T) {
	g := newRig(t, nil)
	server := serve(t, g)
	post := func(body io.Reader) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server+"/documents", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0 // the connection was cut, which is an answer too
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	if status := post(endless{}); status != http.StatusRequestEntityTooLarge && status != 0 {
		t.Errorf("an endless body: %d", status)
	}
	if status := post(strings.NewReader(v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10"))); status != http.StatusOK {
		t.Errorf("after it: %d", status)
	}
	g.waits(1)
}

// The example client, as a relay would run it.
func TestClientScript(t *testing.T) {
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	g := newRig(t, nil)
	server := serve(t, g)
	access, temporary := filepath.Join(t.TempDir(), "access"), t.TempDir()
	run := func(secret, body string) (string, error) {
		if err := os.WriteFile(access, []byte("$2a$10$abcdefghijklmnopqrstuv\n# tills\n"+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sh", filepath.Join("..", "..", "scripts", "push-document.sh"), server)
		cmd.Stdin = strings.NewReader(body)
		cmd.Env = append(os.Environ(), "TOKEN_FILE="+access, "TMPDIR="+temporary, "no_proxy=*")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(token, v2("d-1", "SELL", "till-1", 1, "10:00:00", "bread 2 10")); err != nil || !strings.Contains(out, `"accepted":1`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run(token+"x", v2("d-2", "SELL", "till-1", 2, "10:01:00", "bread 2 8")); err == nil || !strings.Contains(out, "token") {
		t.Errorf("a wrong token: %v: %s", err, out)
	}
	g.waits(1)
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("leaves %v behind, %v", left, err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '['
	}
	return len(b), nil
}

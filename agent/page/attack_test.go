package page_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/page"
	"ostatok/agent/stock"
)

// Each row is something that somebody on the shop's network may try, and what
// comes of it.
func TestAttacks(t *testing.T) {
	form := url.Values{"id": {"b7c1d2e3"}}
	cases := []struct {
		name   string
		from   string
		login  bool
		method string
		path   string
		form   url.Values
		change func(*http.Request)
		want   int
	}{
		{"look from the network without a code", lan, false, "GET", "/stock", nil, nil, http.StatusSeeOther},
		{"a program without a code", lan, false, "GET", "/metrics", nil, func(r *http.Request) { r.Header.Set("Accept", "*/*") }, http.StatusUnauthorized},
		{"a wrong bearer token", lan, false, "GET", "/metrics", nil, func(r *http.Request) {
			r.Header.Set("Accept", "*/*")
			r.Header.Set("Authorization", "Bearer wrong-code")
		}, http.StatusUnauthorized},
		{"the right bearer token", lan, false, "GET", "/metrics", nil, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+code)
		}, http.StatusOK},
		{"a made-up session", lan, false, "GET", "/stock", nil, func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "ostatok_session", Value: strings.Repeat("A", 43)})
		}, http.StatusSeeOther},
		{"through a proxy on the box", box, false, "GET", "/stock", nil, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "8.8.8.8") }, http.StatusSeeOther},
		{"claiming to be the box", lan, false, "GET", "/stock", nil, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") }, http.StatusSeeOther},
		{"approve at the box without a code", box, false, "POST", "/plan/approve", form, nil, http.StatusSeeOther},
		{"approve from another site", lan, true, "POST", "/plan/approve", form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"approve from another port", lan, true, "POST", "/plan/approve", form, func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://192.168.1.5:9999")
		}, http.StatusForbidden},
		{"approve by an image", lan, true, "GET", "/plan/approve?id=b7c1d2e3", nil, nil, http.StatusNotFound},
		{"a name that points here by DNS", box, false, "GET", "/", nil, func(r *http.Request) { r.Host = "evil.example:8480" }, http.StatusMisdirectedRequest},
		{"… with a point at its end", box, false, "GET", "/", nil, func(r *http.Request) { r.Host = "evil.example." }, http.StatusMisdirectedRequest},
		{"the box's own name", box, false, "GET", "/", nil, func(r *http.Request) { r.Host = "BOX:8480" }, http.StatusOK},
		{"out of the assets' folder", box, false, "GET", "/assets/..%2fpage.go", nil, nil, http.StatusBadRequest},
		{"the assets' folder itself", box, false, "GET", "/assets/", nil, nil, http.StatusNotFound},
		{"a form without end", lan, false, "POST", "/login", url.Values{"code": {strings.Repeat("x", 200_000)}}, nil, http.StatusRequestEntityTooLarge},
		{"an address without end", box, false, "GET", "/stock?q=" + strings.Repeat("x", 10_000), nil, nil, http.StatusRequestURITooLong},
		{"another method", box, false, "DELETE", "/stock", nil, nil, http.StatusMethodNotAllowed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := busy()
			v := at(t, build(t, page.Options{Shop: s, Hosts: []string{"box"}}), c.from)
			if c.login {
				if w := v.post("/login", "code", code); w.Code != http.StatusSeeOther {
					t.Fatalf("login: %d", w.Code)
				}
			}
			w := v.do(c.method, c.path, c.form, c.change)
			if w.Code != c.want {
				t.Errorf("%d, want %d:\n%s", w.Code, c.want, w.Body)
			}
			if len(s.decided) != 0 {
				t.Errorf("decided %q", s.decided)
			}
			lacks(t, w, "Хлеб")
		})
	}
}

func TestLoginLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "http:evil", "/ok\nX: y"} {
		v := at(t, build(t, page.Options{Shop: corner()}), lan)
		if w := v.post("/login", "code", code, "next", next); w.Header().Get("Location") != "/" {
			t.Errorf("%q leads to %q", next, w.Header().Get("Location"))
		}
	}
}

// Everything that comes from outside is shown as text.
func TestNamesAreText(t *testing.T) {
	const evil = `"><img src=x onerror=alert(1)><script>alert(1)</script>` + "\u202e" + "'"
	s := busy()
	for i := range s.products {
		p := &s.products[i]
		p.Name, p.Code, p.Group, p.Measure = evil+fmt.Sprint(i), evil, evil, evil
	}
	e := s.chains["p-kefir"]
	e.Product.Name, e.Product.Code = evil, evil
	for i := range e.Steps {
		e.Steps[i].Terminal, e.Steps[i].Type = evil, stock.Type(evil)
	}
	s.chains["p-kefir"] = e
	for i := range s.plans[0].Rows {
		r := &s.plans[0].Rows[i]
		r.Name, r.Code, r.Reason, r.Product = evil, evil, evil, evil
	}
	s.plans[0].ID, s.plans[0].Target = evil, evil
	s.plans[0].Guards = []journal.Guard{{Kind: evil, Message: evil}}
	s.plans[0].Unmatched[0].Product, s.plans[0].Unmatched[0].Reason = evil, evil
	s.holdings[0].Target, s.holdings[0].Reason = evil, evil
	s.rejected[0].Name, s.rejected[0].Reason, s.rejected[0].Target = evil, evil, evil
	s.terminals[1].Name = evil
	s.status.Problems[0].Kind, s.status.Problems[0].Message, s.status.Problems[0].Do = evil, evil, evil
	s.status.Targets[2].Name, s.status.Targets[2].Blocked = evil, evil
	s.list[0].Kind, s.list[0].Message, s.list[0].Data = evil, evil, []byte(`{"a":"<script>alert(1)</script>"}`)
	v := at(t, build(t, page.Options{Shop: s}), box)
	query := url.QueryEscape(evil)
	for _, path := range []string{"/", "/stock", "/stock?q=" + query, "/stock?show=" + query, "/stock?after=" + query + "&name=" + query,
		"/product?id=p-kefir", "/product?id=" + query, "/count", "/plan", "/plan?said=" + query, "/targets", "/events", "/login?next=" + query, "/" + url.PathEscape(evil)} {
		for _, language := range []string{"ru", "en"} {
			join := "?"
			if strings.Contains(path, "?") {
				join = "&"
			}
			w := v.get(path + join + "lang=" + language)
			lacks(t, w, "<script>", "<img", `"><`+"img")
			if n := strings.Count(w.Body.String(), "<script"); n != 1 {
				t.Errorf("%s: %d scripts", path, n)
			}
		}
	}
	w := v.get("/")
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	if w := v.get("/metrics"); !strings.Contains(w.Body.String(), `\"><img`) {
		t.Errorf("a label is not escaped: %s", w.Body)
	}
}

func TestWrongCodesMustWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, page.Options{Shop: corner(), Now: time.Now})
		thief, owner := at(t, p, lan), at(t, p, "192.168.1.20:5000")
		for i := range 5 {
			if w := thief.post("/login", "code", fmt.Sprint("guess", i)); w.Code != http.StatusForbidden {
				t.Fatalf("try %d: %d", i, w.Code)
			}
		}
		w := thief.post("/login", "code", code)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "5" || !strings.Contains(words(w), "Подождите 5 секунд") {
			t.Fatalf("sixth try: %d %s %s", w.Code, w.Header(), words(w))
		}
		if w := owner.post("/login", "code", code); w.Code != http.StatusSeeOther {
			t.Errorf("somebody else is locked out: %d", w.Code)
		}
		tries := 0
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(time.Minute) {
			if w := thief.post("/login", "code", "guess again"); w.Code == http.StatusForbidden {
				tries++
			}
		}
		if tries > 110 { // 4 an hour once the wait has grown, of 2^50 codes
			t.Errorf("%d tries in a day", tries)
		}
		time.Sleep(16 * time.Minute)
		if w := thief.post("/login", "code", code); w.Code != http.StatusSeeOther {
			t.Errorf("the right code after the wait: %d", w.Code)
		}
	})
}

// Hundreds of tries at once are not hundreds of free tries.
func TestWrongCodesAtOnce(t *testing.T) {
	p := build(t, page.Options{Shop: corner()})
	var mu sync.Mutex
	tried := 0
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			if w := at(t, p, lan).post("/login", "code", fmt.Sprint("guess", i)); w.Code == http.StatusForbidden {
				mu.Lock()
				defer mu.Unlock()
				tried++
			}
		})
	}
	wait.Wait()
	if tried == 0 || tried > 5 {
		t.Errorf("%d codes were compared", tried)
	}
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, page.Options{Shop: corner(), Now: time.Now})
		v := at(t, p, lan)
		w := v.post("/login", "code", code)
		c := w.Result().Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || len(c.Value) < 43 {
			t.Errorf("cookie %v", c)
		}
		for range 30 {
			time.Sleep(11 * time.Hour)
			if w := v.get("/"); w.Code != http.StatusOK {
				t.Fatalf("a session in use: %d", w.Code)
			}
		}
		time.Sleep(13 * time.Hour)
		if w := v.get("/"); w.Code != http.StatusSeeOther {
			t.Errorf("a session that was left: %d", w.Code)
		}
		v.post("/login", "code", code)
		old := v.jar.Cookies(here)
		v.post("/logout")
		for _, c := range old {
			if w := v.do("GET", "/", nil, func(r *http.Request) { r.AddCookie(c) }); w.Code != http.StatusSeeOther {
				t.Errorf("a session after its end: %d", w.Code)
			}
		}
		// Sessions are bounded: the one unused for longest makes room.
		v.post("/login", "code", code)
		for range 64 {
			time.Sleep(time.Second)
			at(t, p, lan).post("/login", "code", code)
		}
		if w := v.get("/"); w.Code != http.StatusSeeOther {
			t.Errorf("the oldest of 65 sessions: %d", w.Code)
		}
	})
}

func TestNoCodeNoEntry(t *testing.T) {
	access, err := page.NewAccess(func() []byte { return nil }, time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := at(t, build(t, page.Options{Shop: busy(), Access: access}), box)
	if w := v.post("/login", "code", ""); w.Code != http.StatusForbidden || !strings.Contains(words(w), "Код ещё не задан") {
		t.Errorf("%d %s", w.Code, words(w))
	}
	for file, ok := range map[string]bool{"": true, "# a note\na-token-of-senders\n": true, "$plain-text\n": false} {
		if hash, err := page.HashOf([]byte(file)); (err == nil) != ok || hash != nil {
			t.Errorf("the file %q: %q, %v", file, hash, err)
		}
	}
	if _, err := page.HashCode("1234-567"); err == nil {
		t.Error("a code of seven is taken")
	}
}

func TestAMadeCodeOpens(t *testing.T) {
	made, err := page.NewCode(rand.Reader)
	if err != nil || len(made) != 11 || made[5] != '-' {
		t.Fatalf("code %q, %v", made, err)
	}
	hash, err := page.HashCode(made)
	if err != nil {
		t.Fatal(err)
	}
	file := []byte("# made at noon\na-token-of-senders\n" + string(hash) + "\n")
	access, err := page.NewAccess(func() []byte {
		hash, err := page.HashOf(file)
		if err != nil {
			t.Error(err)
		}
		return hash
	}, time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := at(t, build(t, page.Options{Shop: corner(), Access: access}), lan)
	if w := v.post("/login", "code", " "+strings.ToLower(made)); w.Code != http.StatusSeeOther {
		t.Errorf("login: %d", w.Code)
	}
	if w := v.get("/stock"); w.Code != http.StatusOK {
		t.Errorf("stock: %d", w.Code)
	}
	// A renewed code ends what was begun with the old one.
	renewed, err := page.HashCode("ANOTHER-CODE")
	if err != nil {
		t.Fatal(err)
	}
	file = renewed
	if w := v.get("/stock"); w.Code != http.StatusSeeOther {
		t.Errorf("stock with the session of an old code: %d", w.Code)
	}
	if w := v.post("/login", "code", made); w.Code != http.StatusForbidden {
		t.Errorf("login with the old code: %d", w.Code)
	}
	if w := v.post("/login", "code", "another-code"); w.Code != http.StatusSeeOther {
		t.Errorf("login with the new code: %d", w.Code)
	}
}

// listen serves a page on a real socket.
func listen(t *testing.T, o page.Options) (string, *page.Page, context.CancelFunc) {
	t.Helper()
	p := build(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- page.Serve(ctx, l, p, zerolog.Nop()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String(), p, stop
}

// A letter a second, headers without end, and 200 connections at once: whoever
// comes to look is served all the same.
func TestServerOutlivesVisitors(t *testing.T) {
	address, _, _ := listen(t, page.Options{Shop: corner()})
	var open []net.Conn
	t.Cleanup(func() {
		for _, c := range open {
			_ = c.Close()
		}
	})
	thief := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 200 {
		c, err := thief.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		// What is too many is closed at once, so that writing to it may fail.
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nX: "))
	}
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatalf("nobody is served beside slow ones: %v", err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("health %s %v", resp.Status, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Bomb", strings.Repeat("x", 100_000))
	if resp, err = client.Do(req); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large headers: %s %v", resp.Status, err)
	}
}

func TestLiveFigures(t *testing.T) {
	address, p, _ := listen(t, page.Options{Shop: corner()})
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	message := func() []string {
		var ids []string
		for lines.Scan() {
			switch line := lines.Text(); {
			case line == "" && len(ids) > 0:
				return ids
			case strings.HasPrefix(line, "data: "):
				ids = append(ids, strings.TrimPrefix(line, "data: "))
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return nil
	}
	lines.Scan() // retry: the stream is open
	p.Changed("p-milk")
	if ids := message(); len(ids) != 1 || ids[0] != "p-milk" {
		t.Errorf("told %q", ids)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	p.Changed(many...)
	if ids := message(); len(ids) != 1 || ids[0] != "*" {
		t.Errorf("told of many: %q", ids)
	}
	// The server ends the stream when it stops; listen's clean-up would hang.
}

func TestLivePagesAreBounded(t *testing.T) {
	address, _, _ := listen(t, page.Options{Shop: corner()})
	for i := range 33 {
		// One address has fewer connections than there may be open pages.
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%3))}}
		client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext}}
		t.Cleanup(client.CloseIdleConnections)
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[i < 32]; resp.StatusCode != want {
			t.Errorf("page %d: %s", i, resp.Status)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/agent/stock"
)

// output is what the command prints, read while it prints.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// sandbox is a command that serves.
type sandbox struct {
	*testing.T
	ready
	output *output
	stop   func() error
}

func start(t *testing.T, args ...string) *sandbox {
	t.Helper()
	s := &sandbox{T: t, output: &output{}}
	file := filepath.Join(t.TempDir(), "ready.json")
	c := command()
	c.SetArgs(append([]string{"--products", "100", "--documents", "1500", "--months", "8", "--ready", file}, args...))
	c.SetOut(s.output)
	ctx, cancel := context.WithCancel(t.Context())
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = c.ExecuteContext(ctx)
	}()
	s.stop = func() error {
		cancel()
		<-ended
		return failed
	}
	t.Cleanup(func() { _ = s.stop() })
	for {
		b, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(b, &s.ready); err != nil {
				t.Fatal(err)
			}
			return s
		}
		select {
		case <-ended:
			if _, err := os.Stat(file); err != nil {
				t.Fatalf("ended before it was ready: %v", failed)
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ask sends a request and decodes the answer into out, if there is one.
func (s *sandbox) ask(method, path, body string, out any) int {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.Token)
	request.Header.Set("Content-Type", "application/vnd.evotor.v2+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			s.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
	}
	return response.StatusCode
}

type told struct {
	At       time.Time
	Products []truth
}

func TestSandboxServesAShop(t *testing.T) {
	s := start(t, "--admin", "--speed", "0", "--token", "t0ken")
	if s.Token != "t0ken" {
		t.Errorf("token %s", s.Token)
	}
	var page struct{ Items []map[string]any }
	if code := s.ask("GET", "/stores/"+s.Store+"/documents", "", &page); code != 200 || len(page.Items) < 900 {
		t.Errorf("%d, %d documents", code, len(page.Items))
	}
	var before told
	s.ask("GET", "/sandbox/truth", "", &before)
	product := before.Products[0]
	if code := s.ask("PATCH", "/stores/"+s.Store+"/products/"+product.Product, `{"quantity":12.5}`, nil); code != 200 {
		t.Fatalf("PATCH: %d", code)
	}
	var moved struct{ At time.Time }
	if code := s.ask("POST", "/sandbox/advance", `{"by":"48h"}`, &moved); code != 200 || moved.At.Sub(before.At) != 48*time.Hour {
		t.Errorf("advanced from %v to %v", before.At, moved.At)
	}
	var after told
	s.ask("GET", "/sandbox/truth", "", &after)
	changed := false
	for i, row := range after.Products {
		changed = changed || row.Physical != before.Products[i].Physical
		if row.OK != (row.Told != nil) {
			t.Errorf("ok %v, told %v", row.OK, row.Told)
		}
		if row.Product == product.Product && (len(row.Patched) != 1 || row.Patched[0] != 12500*stock.Unit/1000) {
			t.Errorf("patched %v", row.Patched)
		}
	}
	if !changed {
		t.Error("two days passed and nothing was sold")
	}
	var log []entry
	s.ask("GET", "/sandbox/log", "", &log)
	if len(log) < 3 {
		t.Errorf("log %v", log)
	}
	if err := s.stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	for _, want := range []string{"serving " + s.URL, "was set to 12.5", "sale", "requests: ", "ended"} {
		if !strings.Contains(s.output.String(), want) {
			t.Errorf("does not say %q:\n%s", want, s.output)
		}
	}
	if strings.Contains(s.output.String(), "t0ken") {
		t.Error("the token is printed")
	}
}

func TestSandboxFaults(t *testing.T) {
	s := start(t, "--admin", "--speed", "0")
	for body, want := range map[string]int{
		`{"profile":"many"}`:                    204,
		`{"profile":"none"}`:                    204,
		`{"profile":{"broken":0.5}}`:            204,
		`{"profile":{"broken":2}}`:              400,
		`{"profile":{"flood":0.1}}`:             400,
		`{"profile":"lots"}`:                    400,
		`{"fault":"flood"}`:                     400,
		`{}`:                                    400,
		`{"by":"1h"}`:                           400,
		`{"fault":"broken","path":"/products"}`: 204,
	} {
		if code := s.ask("POST", "/sandbox/faults", body, nil); code != want {
			t.Errorf("%s: %d, want %d", body, code, want)
		}
	}
	s.ask("POST", "/sandbox/faults", `{"profile":{}}`, nil)
	s.ask("POST", "/sandbox/faults", `{"fault":"unavailable","path":"/stores","times":2}`, nil)
	for _, want := range []int{503, 503, 200} {
		if code := s.ask("GET", "/stores", "", nil); code != want {
			t.Errorf("%d, want %d", code, want)
		}
	}
	if code := s.ask("POST", "/sandbox/advance", `{"by":"-1h"}`, nil); code != 400 {
		t.Errorf("time went back: %d", code)
	}
}

func TestSandboxCatchesUp(t *testing.T) {
	s := start(t, "--admin", "--behind", "48h", "--speed", "0", "--latency", "1ms")
	response, err := http.Get(s.URL + "/stores")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil || time.Since(date).Abs() > time.Hour {
		t.Errorf("the cloud's clock shows %v, %v", date, err)
	}
	var before, after told
	s.ask("GET", "/sandbox/truth", "", &before)
	if behind := time.Since(before.At); behind < 47*time.Hour || behind > 49*time.Hour {
		t.Errorf("the shop is %v behind", behind)
	}
	if code := s.ask("POST", "/sandbox/speed", `{"speed":1000000}`, nil); code != 200 {
		t.Errorf("speed: %d", code)
	}
	for after.At.Sub(before.At) < time.Minute { // 60 µs of ours
		s.ask("GET", "/sandbox/truth", "", &after)
	}
	for _, body := range []string{`{"speed":-1}`, `{"speed":1e9}`, `{}`} {
		if code := s.ask("POST", "/sandbox/speed", body, nil); code != 400 {
			t.Errorf("%s: %d", body, code)
		}
	}
}

func TestSandboxKeepsItsDoorsShut(t *testing.T) {
	s := start(t)
	if code := s.ask("GET", "/sandbox/truth", "", nil); code != 404 {
		t.Errorf("without --admin: %d", code)
	}
}

func TestSandboxEndsByItself(t *testing.T) {
	s := start(t, "--for", "10ms")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestBadUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--terminals", "0"}, {"--faults", "lots"}, {"--download", "1s"}, {"--speed", "-1"}, {"--token", ""}, {"--nonsense"},
		{"--behind", "-1h"}, {"--latency", "2m"}, {"--keycrm-rate", "-1"},
	} {
		c := command()
		c.SetArgs(args)
		c.SetOut(io.Discard)
		err := c.ExecuteContext(t.Context())
		if usage := (*usageError)(nil); !errors.As(err, &usage) || exitCode(err) != 2 {
			t.Errorf("%v: %v", args, err)
		}
	}
	if exitCode(errors.New("x")) != 1 {
		t.Error("other errors are exit code 1")
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, still := newClock(time.Now, time.Now(), 3600), newClock(time.Now, time.Now(), 0)
		start := fast.Now()
		time.Sleep(2 * time.Second)
		if d := fast.Now().Sub(start); d != 2*time.Hour {
			t.Errorf("an hour a second came to %v", d)
		}
		fast.advance(time.Hour)
		time.Sleep(time.Second)
		if d := fast.Now().Sub(start); d != 4*time.Hour {
			t.Errorf("after a jump %v", d)
		}
		if !still.Now().Equal(start) {
			t.Error("a clock that stands still moves")
		}
		still.run(60)
		fast.run(0)
		time.Sleep(time.Second)
		if d := still.Now().Sub(start); d != time.Minute {
			t.Errorf("a minute a second came to %v", d)
		}
		if d := fast.Now().Sub(start); d != 4*time.Hour {
			t.Errorf("a clock that was stopped came to %v", d)
		}
	})
}

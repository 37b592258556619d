package faults

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

var binaries = flag.String("bin", "../../bin", "where ostatok and ostatok-sandbox are; `make build` makes them")

// patience is how long something that must happen is waited for: a machine may
// be busy, and the agent's own pauses grow: to half a minute while a fault lasts.
const patience = 4 * time.Minute

// program is the path of a binary of ours.
func program(t testing.TB, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(*binaries, name))
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		t.Skipf("the test runs the real %s: %v; `make faults` builds it", name, err)
	}
	return file
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
}

func needFUSE(t testing.TB) {
	t.Helper()
	needRoot(t)
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	_ = f.Close()
}

// cloud is a simulated cloud of a small shop that stands still, behind a line
// that can be cut.
type cloud struct {
	URL   string // through the line
	Store string
	Token string

	own    string // the sandbox's own address
	away   atomic.Bool
	wrote  func(product string) // the cloud has taken a figure; may be nil
	shop   []product
	reads  atomic.Int64
	writes atomic.Int64
}

type product struct {
	ID      string        `json:"product_id"`
	Told    json.Number   `json:"told"` // "" when no document tells
	Cloud   json.Number   `json:"cloud"`
	Patched []json.Number `json:"patched"`
}

const shopDocuments = 6

// size is how large a shop is.
type size struct{ products, documents int }

// A small shop fills a few pages of everything. A tiny one makes a session of as
// few calls as there can be: where each call is made to fail, their number counts.
var (
	small = size{40, 400}
	tiny  = size{10, 40}
)

func newCloud(t testing.TB, of size, wrote func(product string)) *cloud {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready.json")
	command := exec.Command(program(t, "ostatok-sandbox"), "--admin", "--ready", ready, "--speed", "0", "--seed", "7", "--outside", "0",
		"--products", strconv.Itoa(of.products), "--documents", strconv.Itoa(of.documents), "--months", "3", "--terminals", "2", "--full-counts", "1")
	log := &transcript{}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	var said struct{ URL, Store, Token string }
	await(t, "the sandbox", func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &said) == nil
	})
	c := &cloud{Store: said.Store, Token: said.Token, own: said.URL, wrote: wrote}
	to, err := url.Parse(said.URL)
	if err != nil {
		t.Fatal(err)
	}
	line := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodGet || r.StatusCode >= 300 {
				c.reads.Add(1)
				return nil
			}
			c.writes.Add(1)
			if c.wrote != nil {
				c.wrote(path.Base(r.Request.URL.Path))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.away.Load() {
			panic(http.ErrAbortHandler)
		}
		line.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	for _, p := range c.truth(t) {
		if p.Told != "" {
			c.shop = append(c.shop, p)
		}
	}
	if len(c.shop) < shopDocuments {
		t.Fatalf("only %d products have a level", len(c.shop))
	}
	return c
}

func (c *cloud) truth(t testing.TB) []product {
	t.Helper()
	var said struct{ Products []product }
	response, err := http.Get(c.own + "/sandbox/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.Products
}

// document is the n-th sale in the shop: one piece of the n-th product, which the
// cloud never hears of.
func (c *cloud) document(n int) string {
	return fmt.Sprintf(`{"type":"SELL","id":%q,"number":%d,"close_date":%q,"device_id":"20260101-AAAA-40BB-80CC-000000000001","store_id":%q,"version":"V2","body":{"positions":[{"product_id":%q,"quantity":1}]}}`,
		documentID(n), 900+n, time.Now().UTC().Format("2006-01-02T15:04:05.000+0000"), c.Store, c.shop[n].ID)
}

func documentID(n int) string { return fmt.Sprintf("5a1e0000-0000-4000-8000-%012d", n) }

const senders = "0b5fb1ee-documents-of-the-shop"

// box is the agent and the service manager that starts it again.
type box struct {
	t       testing.TB
	dir     string // of its configuration
	config  string
	address string
	limit   int64 // bytes of a file, 0 for none
	log     transcript

	mu      sync.Mutex
	command *exec.Cmd
	ends    []int // exit codes
	stopped bool
	over    chan struct{} // closed when nobody starts it any more
}

func newBox(t testing.TB, c *cloud, data string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir, config: filepath.Join(dir, "ostatok.toml"), address: ownAddress(t)}
	text := fmt.Sprintf("store = %q\ndata_dir = %q\n[evotor]\nurl = %q\ntoken_file = %q\npoll = \"5s\"\nwrite = \"auto\"\n[guard]\nfall_floor = 100\n[local]\nlisten = %q\naccess_file = %q\n",
		c.Store, data, c.URL, filepath.Join(dir, "token"), b.address, filepath.Join(dir, "access"))
	for name, text := range map[string]string{"ostatok.toml": text, "token": c.Token + "\n", "access": senders + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("ends %v; the agent said:\n%s", b.ends, b.log.tail(6000))
		}
	})
	return b
}

var boxes atomic.Int32

// ownAddress is an address that no other box of this run has: a port that was
// free a moment ago may be another one's by the time that the agent listens, and
// again whenever it is started anew.
func ownAddress(t testing.TB) string {
	t.Helper()
	n := boxes.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.1.%d.%d:0", n/250, 1+n%250))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the agent, and again whenever it ends, as the service's unit does.
func (b *box) start() {
	b.t.Helper()
	bin := program(b.t, "ostatok")
	b.over, b.stopped = make(chan struct{}), false
	first := make(chan struct{})
	go func() {
		defer close(b.over)
		for again := false; ; again = true {
			b.mu.Lock()
			if b.stopped {
				b.mu.Unlock()
				return
			}
			args := []string{bin, "--config", b.config, "run"}
			if b.limit > 0 {
				args = append([]string{"prlimit", "--fsize=" + strconv.FormatInt(b.limit, 10)}, args...)
			}
			command := exec.Command(args[0], args[1:]...)
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir}
			command.Stdout, command.Stderr = &b.log, &b.log
			command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			err := command.Start()
			b.command = command
			b.mu.Unlock()
			if !again {
				close(first)
			}
			if err != nil {
				b.log.say("cannot start: %v", err)
				return
			}
			_ = command.Wait() // its code is kept
			if command.ProcessState.ExitCode() == 2 {
				panic("the configuration of the test is wrong: " + b.log.tail(500))
			}
			b.mu.Lock()
			b.ends = append(b.ends, command.ProcessState.ExitCode())
			b.mu.Unlock()
			b.log.say("ended: %v", command.ProcessState)
			time.Sleep(500 * time.Millisecond)
		}
	}()
	<-first
}

// stop ends the agent as the manager does; kill as a power cut.
func (b *box) stop() { b.end(syscall.SIGTERM) }
func (b *box) kill() { b.end(syscall.SIGKILL) }

func (b *box) end(signal syscall.Signal) {
	if b.over == nil {
		return
	}
	b.mu.Lock()
	b.stopped = true
	if b.command != nil && b.command.Process != nil {
		_ = b.command.Process.Signal(signal) // it may have ended
	}
	b.mu.Unlock()
	select {
	case <-b.over:
	case <-time.After(patience):
		b.t.Errorf("the agent does not end on %v", signal)
		_ = b.command.Process.Kill()
		<-b.over
	}
	b.over = nil
}

// codes are the exit codes so far.
func (b *box) codes() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int(nil), b.ends...)
}

func (b *box) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.command.Process.Pid
}

var client = &http.Client{Timeout: 15 * time.Second}

// health is what /healthz says; 0 when nobody answers.
func (b *box) health() (status int, text string) { return b.ask(http.MethodGet, "/healthz", "") }

// send sends a document as a sender in the shop does; 0 is no answer.
func (b *box) send(document string) (status int, text string) {
	return b.ask(http.MethodPut, "/documents", document)
}

func (b *box) ask(method, path, body string) (status int, text string) {
	request, err := http.NewRequest(method, "http://"+b.address+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Authorization", "Bearer "+senders)
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, strings.TrimSpace(string(said))
}

// metric is one of the agent's gauges.
func (b *box) metric(name string) (value float64, ok bool) {
	status, text := b.ask(http.MethodGet, "/metrics", "")
	if status != http.StatusOK {
		return 0, false
	}
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), name+" "); found {
			value, err := strconv.ParseFloat(rest, 64)
			return value, err == nil
		}
	}
	return 0, false
}

// command runs another command beside the agent.
func (b *box) run(args ...string) (string, error) {
	command := exec.Command(program(b.t, "ostatok"), append([]string{"--config", b.config}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir}
	var out, problem bytes.Buffer
	command.Stdout, command.Stderr = &out, &problem
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("ostatok %s: %w: %s", strings.Join(args, " "), err, problem.String())
	}
	return out.String(), nil
}

// status is what `ostatok status` says of problems.
type status struct {
	Complete bool
	Problems []struct{ Kind, Message string }
	Targets  []struct{ Waiting int }
}

func (b *box) status() (s status, err error) {
	text, err := b.run("status", "--format", "json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	return s, err
}

// synced waits until the agent has read the shop and brought the cloud in step.
func (b *box) synced(c *cloud) {
	b.t.Helper()
	await(b.t, "the agent to be in step with the cloud", func() bool { return b.inStep(c) })
}

func (b *box) inStep(c *cloud) bool {
	complete, ok := b.metric("ostatok_sync_complete")
	if !ok || complete != 1 {
		return false
	}
	// Figures of products whose document the cloud has not shown yet wait for it.
	waits := map[string]bool{}
	for _, p := range c.shop[:shopDocuments] {
		waits[p.ID] = true
	}
	for _, p := range c.truth(b.t) {
		if p.Told != "" && p.Told != p.Cloud && !waits[p.ID] {
			return false
		}
	}
	return b.waiting() <= shopDocuments
}

// waiting is how many figures are on their way to the cloud.
func (b *box) waiting() int {
	n, ok := b.metric(`ostatok_target_waiting_rows{target="evotor"}`)
	if !ok {
		return math.MaxInt
	}
	return int(n)
}

// levels are the figures of `ostatok stock`, by product.
func (b *box) levels() map[string]json.Number {
	b.t.Helper()
	var items []struct {
		ID       string      `json:"product_id"`
		Quantity json.Number `json:"quantity"`
	}
	text, err := b.run("stock", "--format", "json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &items)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	levels := make(map[string]json.Number, len(items))
	for _, i := range items {
		levels[i.ID] = i.Quantity
	}
	return levels
}

// explains tells how often a document stands in the chain of its product.
func (b *box) explains(c *cloud, n int) (times int) {
	b.t.Helper()
	var said struct {
		Steps []struct {
			Document string `json:"document_id"`
		}
	}
	text, err := b.run("explain", c.shop[n].ID, "--format", "json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &said)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range said.Steps {
		if s.Document == documentID(n) {
			times++
		}
	}
	return times
}

// less is a quantity less some pieces.
func less(q json.Number, pieces int) json.Number {
	f, err := q.Float64()
	if err != nil {
		panic(err)
	}
	return json.Number(strconv.FormatFloat(float64(int64(f*1000+copysign(f))-int64(pieces)*1000)/1000, 'f', -1, 64))
}

func copysign(f float64) float64 {
	if f < 0 {
		return -0.5
	}
	return 0.5
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !within(patience, ok) {
		t.Fatalf("waited in vain for %s", what)
	}
}

func within(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// transcript keeps what programs say.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *transcript) say(format string, args ...any) {
	fmt.Fprintf(l, "-- "+format+"\n", args...)
}

func (l *transcript) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.text.Bytes()
	return string(b[max(0, len(b)-n):])
}

// sound checks both databases of a data directory that nobody has open.
func sound(data string) error {
	var errs []error
	for _, name := range []string{"mirror.db", "journal.db"} {
		file := filepath.Join(data, name)
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			continue // cut before it was made
		}
		if found, err := ask(file, "PRAGMA integrity_check"); err != nil || found != "ok" {
			errs = append(errs, fmt.Errorf("%s: %s, %w", name, found, err))
		}
	}
	return errors.Join(errs...)
}

// ask returns the lines of a query's first column.
func ask(file, query string, args ...any) (string, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return "", err
	}
	defer db.Close()
	rows, err := db.Query(query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return "", err
		}
		list = append(list, text)
	}
	return strings.Join(list, "\n"), rows.Err()
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ostatok/agent/local"
	"ostatok/platform/network/networktest"
	"ostatok/sync/evotor/evotortest"
)

// patient is how long anything may take on a machine that is busy.
const patient = 2 * time.Minute

// line is a cloud that the box may be cut off from: connections end without an
// answer.
type line struct {
	cloud http.Handler
	dead  atomic.Bool
}

func (l *line) cut(yes bool) { l.dead.Store(yes) }

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.dead.Load() {
		panic(http.ErrAbortHandler)
	}
	l.cloud.ServeHTTP(w, r)
}

// box is a shop's box with the program on it, which runs as a process that can be
// killed, and takes documents that are sent in the shop.
type box struct {
	t         *testing.T
	dir, data string
	address   string // where it takes documents
	token     string // … with this
	environ   []string
	cloud     *line

	power sync.Mutex // held while the process is killed and started again
	cmd   *exec.Cmd
	said  *os.File

	mu         sync.Mutex
	acked      []string // documents that were answered 200, each once
	kills      int
	again      int // … that were acknowledged once more
	unanswered int
}

// newBox makes a box for the shop, whose clock shows now at first.
func newBox(t *testing.T, shop *evotortest.Shop, now time.Time) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir, data: filepath.Join(dir, "data"), token: "a-token-of-the-senders"}
	ahead := now.Unix() - time.Now().Unix()
	b.environ = append(os.Environ(), "TZ=UTC", nowVariable+"="+strconv.FormatInt(ahead, 10))
	b.cloud = &line{cloud: evotortest.NewCloud(shop, evotortest.CloudOptions{Tokens: []string{token},
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead) * time.Second) }})}
	server := httptest.NewServer(b.cloud)
	t.Cleanup(server.Close)
	b.address = networktest.FreeAddress(t)
	for name, text := range map[string]string{
		"token":  token + "\n",
		"access": b.token + "\n",
		"ostatok.toml": fmt.Sprintf("store = %q\ndata_dir = %q\n[evotor]\nurl = %q\ntoken_file = %q\npoll = \"5s\"\nwrite = \"off\"\n[local]\nlisten = %q\naccess_file = %q\n",
			shop.Store(), b.data, server.URL, filepath.Join(dir, "token"), b.address, filepath.Join(dir, "access")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.said, err = os.Create(filepath.Join(dir, "said")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			text, _ := os.ReadFile(b.said.Name())
			t.Logf("the agent said:\n%s", text[max(0, len(text)-6000):])
		}
		_ = b.said.Close()
	})
	return b
}

// start starts the agent and waits until it takes documents.
func (b *box) start() {
	b.t.Helper()
	if err := b.boot(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) boot() error {
	cmd := exec.Command("ostatok", "run", "--config", filepath.Join(b.dir, "ostatok.toml"))
	cmd.Env, cmd.Stdout, cmd.Stderr = b.environ, b.said, b.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that dies leaves nobody behind
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd = cmd
	for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if r, err := http.Get("http://" + b.address + "/healthz"); err == nil {
			_ = r.Body.Close()
			return nil
		}
	}
	return errors.New("the agent does not listen")
}

// kill ends the agent without a word.
func (b *box) kill() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill() // it may have ended
	_ = b.cmd.Wait()
	b.cmd = nil
}

// pull cuts the power, looks at the files that are left, and starts the agent
// again.
func (b *box) pull() error {
	b.power.Lock()
	defer b.power.Unlock()
	b.kill()
	b.mu.Lock()
	b.kills++
	b.mu.Unlock()
	if err := b.lost(); err != nil {
		return err
	}
	return b.boot()
}

// stop ends the agent as a service manager does.
func (b *box) stop() {
	b.t.Helper()
	err := b.cmd.Process.Signal(syscall.SIGTERM)
	if err := errors.Join(err, b.cmd.Wait()); err != nil {
		b.t.Errorf("stopped: %v", err)
	}
	b.cmd = nil
}

// run runs another command at the box.
func (b *box) run(args ...string) ([]byte, error) {
	cmd := exec.Command("ostatok", append(args, "--config", filepath.Join(b.dir, "ostatok.toml"))...)
	cmd.Env = b.environ
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("ostatok %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// synced waits until the mirror holds so many documents and nothing is open.
func (b *box) synced(documents int) {
	b.t.Helper()
	var s local.Status
	for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, err := b.run("status", "--format", "json")
		s = local.Status{}
		if err == nil && json.Unmarshal(out, &s) == nil && s.Running && s.Complete && s.Counts.Documents == documents {
			return
		}
	}
	b.t.Fatalf("never in step with the cloud's %d documents, but at %+v", documents, s)
}

// await waits until no level that the program prints is wrong, and returns how
// many were compared.
func (b *box) await(when string, check func([]local.Item) (wrong []string, compared int)) int {
	b.t.Helper()
	var wrong []string
	for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, err := b.run("stock", "--format", "json")
		if err != nil {
			b.t.Fatal(err)
		}
		var items []local.Item
		if err := json.Unmarshal(out, &items); err != nil {
			b.t.Fatalf("%v in %.300s", err, out)
		}
		compared := 0
		if wrong, compared = check(items); len(wrong) == 0 {
			return compared
		}
	}
	b.t.Fatalf("%s, levels are not what the documents tell:\n%s", when, strings.Join(wrong, "\n"))
	return 0
}

// put sends a document until it is acknowledged. written is called when a request
// has left.
func (b *box) put(id string, body []byte, written func()) error {
	var last error
	for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		var known bool
		if known, last = b.try(body, written); last == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			if known {
				b.again++
			}
			if !slices.Contains(b.acked, id) {
				b.acked = append(b.acked, id)
			}
			return nil
		}
		if _, refused := errors.AsType[*refusal](last); refused {
			return last
		}
	}
	return fmt.Errorf("document %s was never acknowledged: %w", id, last)
}

// refusal is an answer that no further try would change.
type refusal struct{ said string }

func (r *refusal) Error() string { return "refused: " + r.said }

func (b *box) try(body []byte, written func()) (known bool, err error) {
	r, err := http.NewRequest(http.MethodPut, "http://"+b.address+"/documents", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	if written != nil {
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			WroteRequest: func(i httptrace.WroteRequestInfo) {
				if i.Err == nil {
					written()
				}
			},
		}))
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			b.mu.Lock()
			b.unanswered++
			b.mu.Unlock()
		}
		return false, err
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		var taken struct{ Accepted, Known int }
		// The status is the acknowledgement, whether or not the rest arrives.
		if err == nil && (json.Unmarshal(text, &taken) != nil || taken.Accepted+taken.Known != 1) {
			return false, &refusal{string(text)}
		}
		return taken.Known == 1, nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false, errors.New(answer.Status)
	}
	return false, &refusal{answer.Status + " " + string(text)}
}

// half sends the first half of a document and leaves the connection open until
// the test ends.
func (b *box) half(body []byte) error {
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		return err
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "PUT /documents HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		b.address, b.token, len(body), body[:len(body)/2])
	return err
}

// acknowledged are the documents that were answered 200.
func (b *box) acknowledged() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.acked)
}

package remote

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/message"
)

// The test's own binary is the agent that is killed: at the n-th time that a step
// is reached it gets SIGKILL from itself.
const (
	crashDir  = "OSTATOK_CRASH_DIR"
	crashURL  = "OSTATOK_CRASH_URL"
	crashStep = "OSTATOK_CRASH_STEP" // step:n, or empty
	crashShop = "OSTATOK_CRASH_SHOP" // store id
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		victim(dir, os.Getenv(crashURL), os.Getenv(crashStep))
		return
	}
	os.Exit(m.Run())
}

// victim runs until it is killed or its input is closed. Each command that is run
// leaves a line in the file `ran`, on the disk before the command ends.
func victim(dir, url, fatal string) {
	t := &testing.T{}
	s := newShop(3)
	s.do = func(_ context.Context, c command.Claims, _ func(any)) (any, error) {
		f, err := os.OpenFile(filepath.Join(dir, "ran"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		if _, err := fmt.Fprintln(f, c.ID); err != nil {
			return nil, err
		}
		return "ran", f.Sync()
	}
	j := openJournal(t, dir)
	o := options(url)
	o.Store = os.Getenv(crashShop)
	r, err := New(o, s, j)
	if err != nil {
		panic(err)
	}
	step, count, _ := strings.Cut(fatal, ":")
	left, _ := strconv.Atoi(count)
	r.at = func(at string) {
		if at != step {
			return
		}
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		cancel()
	}()
	if err := r.Run(ctx); err != nil {
		panic(err)
	}
	if err := j.Close(); err != nil {
		panic(err)
	}
}

// A command's life, cut at each step by SIGKILL: it never runs twice, and its
// result always arrives.
func TestCrashAtEachStep(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	brokersThatWait(t, 2*time.Second, func(t *testing.T, b real) {
		for i, row := range []struct {
			step   string
			cmd    string
			ran    int
			status message.Outcome
			code   string
		}{
			{"arrived:1", command.Sync, 1, message.Done, ""},
			{"received:1", command.Sync, 1, message.Done, ""},
			{"started:1", command.Sync, 0, message.Failed, "interrupted"},
			{"done:1", command.Sync, 1, message.Failed, "interrupted"},
			{"finished:1", command.Sync, 1, message.Done, ""},
			{"published:1", command.Sync, -1, "", ""}, // the news of any of the states
			{"published:2", command.Sync, -1, "", ""},
			{"started:1", command.Restart, 0, message.Done, ""},
		} {
			t.Run(row.step+" "+row.cmd, func(t *testing.T) {
				o := newOperator(t, b)
				store := fmt.Sprintf("20170222-D58C-40E0-8051-%012d", i) // nothing left over from the row before
				send := func(key ed25519.PrivateKey, id, cmd string) {
					done(t, o.client.Publish(message.TopicsOf(tenant, store).Command, 1, false,
						order(t, key, id, cmd, func(c *command.Claims) { c.Audience = []string{store} })))
				}
				dir := t.TempDir()
				run := func(step string) (wait func() error, end func()) {
					cmd := exec.Command(self, "-test.run=^$")
					cmd.Env = append(os.Environ(), crashDir+"="+dir, crashURL+"="+b.url, crashStep+"="+step, crashShop+"="+store)
					cmd.Stderr = os.Stderr
					in, err := cmd.StdinPipe()
					if err != nil {
						t.Fatal(err)
					}
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = cmd.Process.Kill() }) // where a test ends early
					return cmd.Wait, func() { _ = in.Close() }
				}
				wait, end := run(row.step)
				eventually(t, "the shop is ready", func() bool {
					return slices.Contains(all(o, &o.ready), store)
				})
				id := strings.ReplaceAll(row.step, ":", "-") + "-" + row.cmd
				send(manager, id, row.cmd)
				ended := make(chan error, 1)
				go func() { ended <- wait() }()
				var death error
				pings := 0
				eventually(t, "the agent is killed", func() bool {
					if row.step == "published:2" { // one word may have been enough for the command: pings bring more
						pings++
						send(observer, fmt.Sprintf("ping-%d", pings), command.Ping)
					}
					select {
					case death = <-ended:
						return true
					default:
						return false
					}
				})
				if death == nil || !strings.Contains(death.Error(), "killed") {
					t.Fatalf("the agent ended with %v", death)
				}
				end()
				wait, end = run("")
				r := o.awaitResult(id)
				end()
				if err := wait(); err != nil {
					t.Fatal(err)
				}
				if row.status != "" && r.Status != row.status {
					t.Errorf("ended as %+v, want %s", r, row.status)
				}
				if row.code != "" && (r.Error == nil || r.Error.Code != row.code) {
					t.Errorf("ended as %+v, want %s", r, row.code)
				}
				text, err := os.ReadFile(filepath.Join(dir, "ran"))
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				ran := strings.Count(string(text), id+"\n")
				if ran > 1 || (row.ran >= 0 && ran != row.ran) {
					t.Errorf("ran %d times, want %d", ran, row.ran)
				}
				// What the operator is told must be true.
				if r.Status == message.Done && row.cmd == command.Sync && ran != 1 {
					t.Errorf("told as done and ran %d times", ran)
				}
				for _, m := range all(o, &o.results) {
					if m.ID == id && m.Status.Final() && m.Status != r.Status {
						t.Errorf("told as %s and as %s", r.Status, m.Status)
					}
				}
			})
		}
	})
}

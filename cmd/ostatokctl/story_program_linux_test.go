package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binariesVariable names a folder with ostatok, ostatokctl and ostatok-sandbox
// that are to be tried; without it they are built.
const binariesVariable = "STORY_BINARIES"

// binaries returns the folder of the programs that people run.
func binaries(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(binariesVariable); dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "../ostatok", "../ostatokctl", "../ostatok-sandbox")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// program is one that runs until it is told to end.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err text
	ended    chan struct{}
	failure  error // how it ended, once ended is closed
}

func launch(t *testing.T, home, path string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Env = []string{"HOME=" + home, "USER=anna", "PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that dies leaves nobody behind
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failure = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s said:\n%s%s", filepath.Base(path), strings.Join(args, " "), tailOf(p.out.String()), tailOf(p.err.String()))
		}
	})
	return p
}

func tailOf(text string) string {
	const most = 6000
	return text[max(0, len(text)-most):]
}

// end waits for the program's own end and returns its exit code.
func (p *program) end() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patient):
		p.t.Fatalf("%s did not end:\n%s", p.cmd, tailOf(p.err.String()))
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.failure); ok {
		return exit.ExitCode() // -1 for a signal
	} else if p.failure != nil {
		p.t.Fatal(p.failure)
	}
	return 0
}

// kill ends the program without a word, as the loss of power does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop ends the program as a service manager does.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if code := p.end(); code != 0 {
		p.t.Errorf("%s: exit %d after SIGTERM", p.cmd, code)
	}
}

// patient is how long anything may take on a machine that is busy with other
// tests.
const patient = 90 * time.Second

// world is where a story plays: programs in a folder, clouds, and a broker.
type world struct {
	t      *testing.T
	bin    string
	home   string // with the operator's configuration
	key    string // the operator's, a file
	url    string // of the broker
	public string // the operator's key as it belongs into a shop's configuration
}

// readyFile is what a sandbox tells.
type readyFile struct {
	URL, Store, Token, MQTT string
}

// newWorld makes a world with a broker of its own: that of a sandbox for "nats",
// or Debian's.
func newWorld(t *testing.T, bin, kind string) *world {
	w := &world{t: t, bin: bin, home: t.TempDir()}
	switch kind {
	case "nats":
		w.url = w.sandbox("broker", "--mqtt", "127.0.0.1:0").MQTT
	case "mosquitto":
		w.url = mosquitto(t)
	}
	file := defaultFile(filepath.Join(w.home, ".config"))
	config := fmt.Sprintf("urls = [%q]\ntenant = %q\nusername = \"operator\"\noperator = \"anna\"\noperator_key_file = \"operator.pem\"\n", w.url, tenant)
	w.write(file, config)
	w.key = filepath.Join(filepath.Dir(file), "operator.pem")
	out, says, code := w.ctl("keygen", w.key)
	if code != 0 {
		t.Fatalf("keygen: exit %d: %s", code, says)
	}
	w.public = strings.TrimSpace(out)
	return w
}

func (w *world) write(file, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// ctl runs the operator's tool to its end.
func (w *world) ctl(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	p := w.startCtl(args...)
	code = p.end()
	return p.out.String(), p.err.String(), code
}

func (w *world) startCtl(args ...string) *program {
	w.t.Helper()
	return launch(w.t, w.home, filepath.Join(w.bin, "ostatokctl"), quick(args)...)
}

// sandbox starts the cloud of another small shop.
func (w *world) sandbox(name string, args ...string) readyFile {
	w.t.Helper()
	file := filepath.Join(w.home, name, "ready.json")
	w.write(filepath.Join(filepath.Dir(file), "x"), "") // makes the folder
	p := launch(w.t, w.home, filepath.Join(w.bin, "ostatok-sandbox"), append([]string{"--ready", file, "--terminals", "1",
		"--products", "30", "--documents", "200", "--months", "2", "--partial-counts", "1"}, args...)...)
	for end := time.Now().Add(patient); time.Now().Before(end); {
		text, err := os.ReadFile(file)
		if err != nil {
			select {
			case <-p.ended:
				w.t.Fatalf("the sandbox ended: %s", p.err.String())
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		var r readyFile
		if err := json.Unmarshal(text, &r); err != nil {
			w.t.Fatal(err)
		}
		return r
	}
	w.t.Fatal("the sandbox is not ready")
	return readyFile{}
}

// branch is a shop with its box, on which the agent can be started and killed.
type branch struct {
	w     *world
	store string
	dir   string
	*program
}

// branch makes a box for the shop of a cloud; url is where the box reaches it.
func (w *world) branch(name, url string, cloud readyFile) *branch {
	w.t.Helper()
	b := &branch{w: w, store: cloud.Store, dir: filepath.Join(w.home, name)}
	w.write(filepath.Join(b.dir, "token"), cloud.Token+"\n")
	b.configure(url)
	return b
}

func (b *branch) configure(url string) {
	b.w.t.Helper()
	b.w.write(filepath.Join(b.dir, "ostatok.toml"), fmt.Sprintf(`store    = %q
data_dir = %q
[evotor]
url        = %q
token_file = %q
write      = "off"
[local]
listen = ""
[mqtt]
urls      = [%q]
tenant    = %q
username  = %q
operators = [%q]
`, b.store, filepath.Join(b.dir, "data"), url, filepath.Join(b.dir, "token"), b.w.url, tenant, b.store, b.w.public))
}

// start starts the agent as the service manager does.
func (b *branch) start() {
	b.w.t.Helper()
	b.program = launch(b.w.t, b.w.home, filepath.Join(b.w.bin, "ostatok"), "run", "--config", filepath.Join(b.dir, "ostatok.toml"))
}

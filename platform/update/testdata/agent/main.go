// Command agent is what the kill table installs, switches and kills: an agent
// that does with an update.Manager what the real one does, and that behaves as
// the words at the end of its own file say.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"crypto/ed25519"

	"github.com/rs/zerolog"

	"ostatok/platform/release"
	"ostatok/platform/update"
	"ostatok/platform/update/trial"
)

// nature follows the program in its file, after the marker.
type nature struct {
	Version string
	Level   int
	Mode    string // good, crash, late, hang, ill
}

const marker = "\n#nature "

func main() {
	self, err := os.ReadFile("/proc/self/exe")
	must(err)
	at := bytes.LastIndex(self, []byte(marker))
	var n nature
	must(json.Unmarshal(self[at+len(marker):], &n))
	switch {
	case os.Getenv("FAKE_ROLE") == "launcher":
		launch()
	case len(os.Args) > 1 && os.Args[1] == "selfcheck":
		d := data{dir: os.Args[3], own: n.Level}
		must(d.open())
		must(json.NewEncoder(os.Stdout).Encode(update.Report{Version: n.Version, Schema: d.Level()}))
	default:
		run(n)
	}
}

// launch is the launcher with its steps told.
func launch() {
	files := chosenFiles()
	c, err := trial.Next(files, os.Getenv("OSTATOK_PROGRAM"), nil, func(s string) { step(files, s) })
	must(err)
	if c.Deadline > 0 {
		_, err := os.StartProcess(os.Getenv("FAKE_LAUNCHER"), []string{"ostatok-guard", strconv.Itoa(os.Getpid()), c.Version,
			strconv.FormatInt(c.Deadline.Milliseconds(), 10)}, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{nil, nil, os.Stderr}})
		must(err)
	}
	must(os.Unsetenv("FAKE_ROLE"))
	must(syscall.Exec(c.Program, []string{c.Program, "run"}, os.Environ()))
}

func run(n nature) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if n.Mode == "crash" {
		panic("crashed at the start")
	}
	d := &data{dir: os.Getenv("FAKE_DATA"), own: n.Level}
	must(d.lock())
	files := chosenFiles()
	log := &line{}
	root, err := release.ParseKey(os.Getenv("FAKE_KEY"))
	must(err)
	m := update.Open(update.Options{
		Root: os.Getenv("OSTATOK_PROGRAM"), Product: "ostatok", Version: n.Version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Roots: []ed25519.PublicKey{root}, URL: os.Getenv("FAKE_URL"), Channel: "stable",
		Data: d, Checker: update.Exec{}, Client: &http.Client{}, Files: files,
		Time:     func() time.Time { return time.Unix(number("FAKE_TIME"), 0) },
		Deadline: milliseconds("FAKE_DEADLINE"), Stable: milliseconds("FAKE_STABLE"),
		Log: zerolog.New(log), At: func(s string) { step(files, s) },
	})
	log.also = m.Log()
	must(m.Recover(context.Background()))
	must(d.open())
	say("ready " + n.Version)
	trying, held := m.Trial()
	if trying {
		if !held {
			d.note(n.Version)
		}
		healthy := func(context.Context) error { return nil }
		switch n.Mode {
		case "late":
			looks := 0
			healthy = func(context.Context) error {
				if looks++; looks == 2 { // before it can have been stable for long enough
					panic("crashed after a while")
				}
				return nil
			}
		case "hang":
			signal.Ignore(syscall.SIGTERM)
			select {}
		case "ill":
			healthy = func(context.Context) error { return errors.New("the journal cannot be written") }
		}
		must(m.Prove(context.Background(), healthy))
		say("committed " + n.Version)
	}
	d.note(n.Version)
	if n.Version == os.Getenv("FAKE_BACK") {
		must(m.Rollback("asked by the installer"))
		os.Exit(0)
	}
	if err := advance(m); err != nil {
		say("refused " + err.Error())
	}
	status, err := json.Marshal(m.Status())
	must(err)
	say("settled " + string(status))
	<-stop
}

// advance updates when there is something newer, and then does not return.
func advance(m *update.Manager) error {
	ctx := context.Background()
	file := os.Getenv("FAKE_FILE")
	if file == "" {
		r, err := m.Check(ctx, os.Getenv("FAKE_WANT"))
		if err != nil || r == nil {
			return err
		}
		// A line that breaks is asked again, as the real agent does in time.
		for range 5 {
			if file, err = m.Fetch(ctx, r); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	if _, err := m.Stage(ctx, file); err != nil {
		return err
	}
	if err := m.Switch(ctx); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// step tells of a step, and is where it happens once when the test says so: the
// disk is full from here on, or the process dies, by SIGKILL or together with all
// that was not synced.
func step(files trial.Files, name string) {
	say("step " + name)
	if name != os.Getenv("FAKE_AT") {
		return
	}
	if f, ok := files.(*fullFiles); ok {
		f.left = 0
		return
	}
	once := filepath.Join(os.Getenv("FAKE_DATA"), "killed")
	f, err := os.OpenFile(once, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	must(f.Close())
	if c, ok := files.(*cutFiles); ok {
		c.cut()
	}
	must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	select {}
}

func chosenFiles() trial.Files {
	switch os.Getenv("FAKE_FILES") {
	case "cut":
		return &cutFiles{}
	case "full":
		left := number("FAKE_LEFT")
		if os.Getenv("FAKE_AT") != "" {
			left = 1 << 40
		}
		return &fullFiles{left: left}
	}
	return trial.Disk{}
}

// line writes the log to stdout as lines that a test can tell apart.
type line struct {
	also interface{ Write([]byte) (int, error) }
}

func (l *line) Write(p []byte) (int, error) {
	say("log " + string(bytes.TrimSpace(p)))
	if l.also != nil {
		_, _ = l.also.Write(p)
	}
	return len(p), nil
}

func say(s string) { _, _ = os.Stdout.WriteString(s + "\n") }

func must(err error) {
	if err != nil {
		say("died " + err.Error())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(name string) int64 {
	n, _ := strconv.ParseInt(os.Getenv(name), 10, 64)
	return n
}

func milliseconds(name string) time.Duration { return time.Duration(number(name)) * time.Millisecond }

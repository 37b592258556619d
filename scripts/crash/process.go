package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// trigger is when a process is killed: so long after it said something for the
// n-th time, or after its start.
type trigger struct {
	mark  string // "" is the start
	n     int
	after time.Duration
}

// ending is how a process ended.
type ending struct {
	killed bool
	code   int  // when it was not
	said   bool // it had begun to work
	out    []byte
}

// unexpected are the exit codes that no fault of the cloud's excuses.
func (e ending) unexpected() bool { return !e.killed && e.code != 0 && e.code != 3 }

// execute runs the agent; a trigger kills it, nil lets it end by itself.
func execute(ctx context.Context, bin, log string, at *trigger, args ...string) (ending, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return ending{}, fmt.Errorf("cannot keep what the agent says: %w", err)
	}
	defer file.Close()
	fmt.Fprintf(file, "\n$ ostatok %s\n", strings.Join(args, " "))
	listener := &transcript{file: file, heard: make(chan struct{})}
	if at != nil && at.mark != "" {
		listener.mark, listener.n = at.mark, at.n
	} else {
		close(listener.heard)
	}
	var out strings.Builder
	command := exec.CommandContext(ctx, filepath.Join(bin, "ostatok"), args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(log)}
	command.Stdout, command.Stderr = &out, listener
	if err := command.Start(); err != nil {
		return ending{}, fmt.Errorf("cannot start the agent: %w; `make build` makes it", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	e := ending{}
	if at == nil {
		err = <-ended
	} else {
		e.killed, err = strike(command, listener.heard, at.after, ended)
	}
	if ctx.Err() != nil {
		return e, ctx.Err()
	}
	e.said, e.out = listener.working(), []byte(out.String())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		e.code = exit.ExitCode()
	} else if err != nil {
		return e, fmt.Errorf("cannot run the agent: %w", err)
	}
	// A process that ended in the same moment was not killed.
	e.killed = e.killed && e.code == -1
	return e, nil
}

// longestWait is how long a mark is waited for: the agent may be waiting for
// the cloud, and that is as good a moment as another.
const longestWait = 4 * time.Second

func strike(command *exec.Cmd, heard <-chan struct{}, after time.Duration, ended <-chan error) (killed bool, err error) {
	patience := time.NewTimer(longestWait)
	defer patience.Stop()
	select {
	case err = <-ended:
		return false, err
	case <-patience.C:
	case <-heard:
		delay := time.NewTimer(after)
		defer delay.Stop()
		select {
		case err = <-ended:
			return false, err
		case <-delay.C:
		}
	}
	killErr := command.Process.Kill()
	err = <-ended
	if killErr != nil && !errors.Is(killErr, os.ErrProcessDone) {
		return false, killErr
	}
	return true, err
}

// transcript keeps what a process says, and hears a mark in it.
type transcript struct {
	file io.Writer
	mark string
	n    int

	heard chan struct{} // closed when the mark was heard often enough

	mu   sync.Mutex
	text strings.Builder
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	if t.mark != "" && strings.Count(t.text.String(), t.mark) >= t.n {
		t.mark = ""
		close(t.heard)
	}
	return t.file.Write(b)
}

// What the agent says when its files are open: `sync` and `run`.
const (
	saysLooking = "looking at the shop and its terminals"
	saysStarted = "agent started"
)

// working tells whether the files were open.
func (t *transcript) working() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text.String()
	return strings.Contains(text, saysLooking) || strings.Contains(text, saysStarted)
}

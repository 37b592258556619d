//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// used is what a process cost.
type used struct {
	wall    time.Duration
	cpu     time.Duration // with its children
	peak    int64         // largest resident size, bytes
	stored  int64         // bytes it caused to be sent to storage
	written int64         // bytes it gave to write calls
}

// watch runs a program to its end.
func watch(ctx context.Context, name string, args ...string) (used, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return used{}, fmt.Errorf("cannot start %s: %w", name, err)
	}
	u, err := follow(cmd.Process.Pid, began)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return u, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out.Bytes())
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, nil
}

// follow reads the figures of a process until it ends, and leaves it to be
// waited for: while it is a zombie, its input and output can still be read.
func follow(pid int, began time.Time) (used, error) {
	ended := make(chan error, 1)
	go func() {
		for {
			err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			if !errors.Is(err, unix.EINTR) {
				ended <- err
				return
			}
		}
	}()
	// The mark of the largest size goes with the memory, at the exit: what grew
	// within the last tick is missed.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var u used
	for {
		select {
		case <-tick.C:
			if peak, err := memory(pid, "VmHWM"); err == nil {
				u.peak = peak
			}
		case err := <-ended:
			u.wall = time.Since(began)
			if err == nil {
				u.stored, u.written, err = output(pid)
			}
			return u, err
		}
	}
}

// memory reads a size from the status of a process, bytes.
func memory(pid int, name string) (int64, error) {
	n, err := figure(fmt.Sprintf("/proc/%d/status", pid), name)
	return n << 10, err
}

// output reads what a process has written, bytes.
func output(pid int) (stored, written int64, err error) {
	file := fmt.Sprintf("/proc/%d/io", pid)
	if stored, err = figure(file, "write_bytes"); err == nil {
		written, err = figure(file, "wchar")
	}
	return stored, written, err
}

// figure reads the number after "name:" in a file of /proc.
func figure(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("cannot read %s of %s: %w", name, file, err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, file)
}

// start starts a program that runs until stop is called.
func start(name string, log string, args ...string) (pid int, stop func() error, err error) {
	out, err := os.Create(log)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot keep the log of %s: %w", name, err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return 0, nil, errors.Join(fmt.Errorf("cannot start %s: %w", name, err), out.Close())
	}
	stop = func() error {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait(), out.Close())
		if err != nil {
			text, _ := os.ReadFile(log) // the error says enough without it
			return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, text)
		}
		return nil
	}
	return cmd.Process.Pid, stop, nil
}

// wait sleeps, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

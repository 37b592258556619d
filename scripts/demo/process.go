package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// open starts the sandbox and waits until it serves; end stops it.
func (d *demo) open(ctx context.Context) (end func(), err error) {
	ready := filepath.Join(d.dir, "sandbox.json")
	log, err := os.Create(filepath.Join(d.dir, "sandbox.log"))
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, d.sandbox, "--ready", ready, "--admin", "--seed", "7",
		"--speed", "0", "--keycrm-rate", "0", // nothing is sold between the plan and the table
		"--terminals", "2", "--products", strconv.Itoa(d.products), "--documents", strconv.Itoa(d.documents))
	c.Stdout, c.Stderr = log, log
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 5 * time.Second
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the sandbox: %w; run `make build`", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Wait() // ended by end, by ctx, or by itself: the log says why
		_ = log.Close()
	}()
	end = func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-done
	}
	for {
		text, err := os.ReadFile(ready)
		if err == nil && json.Unmarshal(text, &d.shop) == nil && d.shop.URL != "" {
			return end, nil
		}
		select {
		case <-done:
			return nil, fmt.Errorf("the sandbox ended; see %s", log.Name())
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(append(d.agent[1:len(d.agent):len(d.agent)], "--config", d.config()), args...)
	c := exec.CommandContext(ctx, d.agent[0], args...)
	c.Stderr = os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	return c
}

// ostatok runs the agent's program and shows what it prints.
func (d *demo) ostatok(ctx context.Context, args ...string) error {
	c := d.command(ctx, args...)
	c.Stdout = os.Stdout
	if err := c.Run(); err != nil {
		return fmt.Errorf("ostatok %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (d *demo) output(ctx context.Context, args ...string) (string, error) {
	c := d.command(ctx, args...)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("ostatok %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// head shows the first lines of what a command prints.
func (d *demo) head(ctx context.Context, lines int, args ...string) error {
	return d.headOf(ctx, lines, 0, args...)
}

// exitFindings is how ostatok ends when it has something to point out.
const exitFindings = 3

// headOf is head of a command that may also end with a code of its own.
func (d *demo) headOf(ctx context.Context, lines, code int, args ...string) error {
	out, err := d.output(ctx, args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && code != 0 && exit.ExitCode() == code {
		err = nil
	}
	if err != nil {
		return err
	}
	all := strings.SplitAfter(out, "\n")
	fmt.Print(strings.Join(all[:min(lines, len(all))], ""))
	if len(all) > lines+1 {
		fmt.Printf("… and %d more lines\n", len(all)-lines-1)
	}
	return nil
}

// tail shows the last lines of what a command prints, and its first.
func (d *demo) tail(ctx context.Context, lines int, args ...string) error {
	out, err := d.output(ctx, args...)
	if err != nil {
		return err
	}
	all := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
	if len(all) > lines+1 {
		fmt.Print(all[0], "…\n")
		all = all[len(all)-lines:]
	}
	fmt.Println(strings.Join(all, ""))
	return nil
}

// keep runs the agent beside the selling shop until somebody stops it.
func (d *demo) keep(ctx context.Context) error {
	if _, err := d.sandboxText(ctx, http.MethodPost, "/sandbox/speed", `{"speed":1}`); err != nil {
		return fmt.Errorf("cannot let the shop sell: %w", err)
	}
	step("The shop sells and the agent works; stop with Ctrl+C")
	fmt.Printf("  %s --config %s stock\n  tail -f %s\n", strings.Join(d.agent, " "), d.config(), filepath.Join(d.dir, "sandbox.log"))
	c := d.command(ctx, "run")
	c.Stdout = os.Stdout
	err := c.Run()
	if ctx.Err() != nil {
		return nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("the agent ended: %w", err)
	}
	return err
}

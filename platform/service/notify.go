package service

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier tells the service manager how this process is, by systemd's protocol:
// one datagram of lines to the socket that the environment names. nil, and
// one without such a socket, tells nobody.
type Notifier struct {
	address string
	every   time.Duration // the manager's patience; 0: there is no watchdog
}

// NewNotifier reads the environment ("NAME=value", as os.Environ gives it): whom
// to tell, and how often a sign of life is expected.
func NewNotifier(environ []string) *Notifier {
	n := &Notifier{}
	pid := os.Getpid()
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "NOTIFY_SOCKET":
			n.address = value
		case "WATCHDOG_USEC":
			if us, err := strconv.ParseInt(value, 10, 64); err == nil && us > 0 {
				n.every = time.Duration(us) * time.Microsecond
			}
		case "WATCHDOG_PID": // meant for another process, unless it is ours
			if p, err := strconv.Atoi(value); err == nil {
				pid = p
			}
		}
	}
	if pid != os.Getpid() {
		n.every = 0
	}
	return n
}

// Ready says that the start is complete.
func (n *Notifier) Ready() error { return n.tell("READY=1") }

// Stopping says that the process is on its way out.
func (n *Notifier) Stopping() error { return n.tell("STOPPING=1") }

// Status shows a line about the process where the manager shows its state.
func (n *Notifier) Status(text string) error {
	return n.tell("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Watched tells whether somebody expects signs of life.
func (n *Notifier) Watched() bool { return n != nil && n.address != "" && n.every > 0 }

// Keep gives signs of life until ctx ends, four in the time that the manager
// allows. Before each one healthy is asked and has half of that time; when it
// returns an error, or returns too late, there is no sign, and sick, if it is not
// nil, is told why. A manager that goes without a sign for its time ends the
// process and starts it anew. Keep returns at once when nobody expects signs.
func (n *Notifier) Keep(ctx context.Context, healthy func(context.Context) error, sick func(error)) {
	if !n.Watched() {
		return
	}
	t := time.NewTicker(n.every / 4)
	defer t.Stop()
	for {
		err := within(ctx, n.every/2, healthy)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = n.tell("WATCHDOG=1")
		}
		if err != nil && sick != nil {
			sick(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func within(ctx context.Context, d time.Duration, healthy func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("the agent did not answer within %s", d))
	defer cancel()
	if err := healthy(ctx); err != nil {
		return err
	}
	return context.Cause(ctx) // an answer that came too late is none
}

func (n *Notifier) tell(lines string) error {
	if n == nil || n.address == "" {
		return nil
	}
	// A name that begins with @ is in Linux' abstract space; package net knows it.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot reach the service manager: %w", err)
	}
	defer c.Close()
	// The manager is busy at most for a moment; nothing here may wait longer.
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte(lines)); err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	return nil
}

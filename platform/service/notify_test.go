package service

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// manager is the other end of the protocol.
func manager(t *testing.T) (socket *net.UnixConn, environ []string) {
	t.Helper()
	// Not t.TempDir: the name of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "n")
	socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Skip("this system has no unixgram sockets: ", err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return socket, []string{"HOME=/", "NOTIFY_SOCKET=" + name}
}

func receive(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	_ = socket.SetReadDeadline(time.Now().Add(30 * time.Second))
	buffer := make([]byte, 1000)
	n, err := socket.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestNotifierSpeaksTheProtocol(t *testing.T) {
	socket, environ := manager(t)
	n := NewNotifier(environ)
	for _, step := range []struct {
		tell func() error
		want string
	}{
		{n.Ready, "READY=1"},
		{func() error { return n.Status("all\nin step") }, "STATUS=all in step"},
		{n.Stopping, "STOPPING=1"},
	} {
		if err := step.tell(); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, socket); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
}

func TestNotifierWithoutManager(t *testing.T) {
	for _, n := range []*Notifier{nil, NewNotifier([]string{"HOME=/"})} {
		if err := errors.Join(n.Ready(), n.Status("x"), n.Stopping()); err != nil {
			t.Error(err)
		}
		n.Keep(t.Context(), func(context.Context) error { t.Error("nobody asked"); return nil }, nil)
	}

	gone := NewNotifier([]string{"NOTIFY_SOCKET=/not/there"})
	if err := gone.Ready(); err == nil {
		t.Error("a manager that cannot be reached is an error")
	}
}

func TestNotifierIsWatched(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		want    time.Duration
	}{
		"ours":         {[]string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=" + strconv.Itoa(os.Getpid())}, 2 * time.Second},
		"no pid":       {[]string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=2000000"}, 2 * time.Second},
		"another's":    {[]string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=2000000", "WATCHDOG_PID=1"}, 0},
		"none":         {[]string{"NOTIFY_SOCKET=@x"}, 0},
		"not a number": {[]string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=soon"}, 0},
	} {
		if n := NewNotifier(test.environ); n.every != test.want || n.Watched() != (test.want > 0) {
			t.Errorf("%s: every %s, watched %t", name, n.every, n.Watched())
		}
	}
}

// Signs come only while the agent is well, and come again when it is well again.
func TestKeepGivesSignsOnlyInHealth(t *testing.T) {
	socket, environ := manager(t)
	n := NewNotifier(append(environ, "WATCHDOG_USEC=40000"))
	ctx, cancel := context.WithCancel(t.Context())
	var ill atomic.Bool
	sick := make(chan error, 1000)
	asked := make(chan struct{}, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Keep(ctx, func(context.Context) error {
			asked <- struct{}{}
			if ill.Load() {
				return errors.New("the disk is gone")
			}
			return nil
		}, func(err error) { sick <- err })
	}()
	for range 3 {
		if got := receive(t, socket); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	ill.Store(true)
	if err := <-sick; err.Error() != "the disk is gone" {
		t.Errorf("told %v", err)
	}
	drain(socket) // signs of the time before
	for len(asked) > 0 {
		<-asked
	}
	for range 3 {
		<-asked
	}
	if n := drain(socket); n != 0 {
		t.Errorf("%d signs of life while it was not well", n)
	}
	ill.Store(false)
	if got := receive(t, socket); got != "WATCHDOG=1" {
		t.Fatalf("got %q", got)
	}
	cancel()
	<-done
}

// drain reads what is there already and counts it.
func drain(socket *net.UnixConn) int {
	buffer := make([]byte, 1000)
	for n := 0; ; n++ {
		_ = socket.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := socket.Read(buffer); err != nil {
			return n
		}
	}
}

// An answer that comes after its time is none, even when it is a good one.
func TestLateHealthIsNone(t *testing.T) {
	err := within(t.Context(), time.Millisecond, func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err == nil {
		t.Error("a late answer counts")
	}
	if err := within(t.Context(), time.Hour, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

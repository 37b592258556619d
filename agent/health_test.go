package agent_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"ostatok/agent/stock"
)

// The service manager hears that the agent is ready, and signs of life as long as
// it works.
func TestSignsOfLife(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Skipf("no sockets of this kind here: %v", err)
	}
	defer manager.Close()
	i := newDesk(t, "bread").install(t, stock.Ledger)
	i.close()
	i.options.Launch.Environ = []string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=400000"}
	i.open()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	defer func() { stop(); <-ended }()
	hear := func(want string) {
		t.Helper()
		text := make([]byte, 100)
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := manager.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Fatalf("heard %q, %v; want %s", text[:n], err, want)
		}
	}
	hear("READY=1")
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
}

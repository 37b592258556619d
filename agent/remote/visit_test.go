package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"ostatok/cmd/ostatok-sandbox/broker"
)

// The doctor logs in beside the running agent, which notices nothing.
func TestVisit(t *testing.T) {
	b, err := broker.Start(broker.Options{Users: []broker.User{{Name: "shop", Password: "sesame"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(b.URL())
	o.Username, o.PasswordFile = "shop", password
	a := start(t, t.TempDir(), newShop(1), o)
	eventually(t, "the agent is connected", func() bool { return a.Link().Connected })
	session := a.Link().Session
	for range 3 {
		if err := Visit(t.Context(), o, b.URL()); err != nil {
			t.Fatal(err)
		}
	}
	if l := a.Link(); !l.Connected || l.Session != session {
		t.Errorf("the running agent was disturbed: %+v", l)
	}

	if err := os.WriteFile(password, []byte("open\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = Visit(t.Context(), o, b.URL())
	if _, refused := errors.AsType[*RefusedError](err); !refused || strings.Contains(err.Error(), "open") {
		t.Errorf("a wrong password: %v", err)
	}
	if err := Visit(t.Context(), o, "tcp://127.0.0.1:1"); err == nil {
		t.Error("a broker that is not there was visited")
	}
}

// A broker behind a web server, as many operators have it.
func TestWebSocket(t *testing.T) {
	b, err := broker.Start(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mqtt" {
			http.NotFound(w, r)
			return
		}
		up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		inside, err := net.Dial("tcp", b.Address())
		if err != nil {
			t.Error(err)
			return
		}
		outside := &webSocket{Conn: conn}
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(inside, outside); _ = inside.Close() })
		both.Go(func() { _, _ = io.Copy(outside, inside); _ = outside.Close() })
		both.Wait()
	}))
	t.Cleanup(gate.Close)
	address := strings.Replace(gate.URL, "http://", "ws://", 1)
	dialled := 0
	o := options(address + "/mqtt")
	o.Network = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled++
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if err := Visit(t.Context(), o, address+"/mqtt"); err != nil {
		t.Error(err)
	}
	if dialled != 1 {
		t.Errorf("%d connections went by the box's network", dialled)
	}
	if err := Visit(t.Context(), o, address+"/other"); err == nil || !strings.Contains(err.Error(), "mqtt.urls") {
		t.Errorf("a wrong path: %v", err)
	}
	a := start(t, t.TempDir(), newShop(1), options(address+"/mqtt"))
	eventually(t, "the agent is connected", func() bool { return a.Link().Connected })
}

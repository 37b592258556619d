package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/platform/network/networktest"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/pull"
)

// trustTestServers makes the certificate of httptest's servers, for example.com,
// the only one that this process trusts. It has to come before the first look at
// the system's roots, which are read once.
func trustTestServers() (remove func(), err error) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	f, err := os.CreateTemp("", "ostatok-roots-")
	if err != nil {
		return nil, err
	}
	err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Setenv("SSL_CERT_FILE", f.Name())
	}
	return func() { _ = os.Remove(f.Name()) }, err
}

// street is what lies between a box and the cloud: names, and a TCP connection
// that ends where it is led.
type street struct {
	names *networktest.Names
	front net.Listener
	parts sync.WaitGroup

	mu    sync.Mutex
	to    string // host:port; "": connections are reset
	route bool   // there is one
	conns map[net.Conn]struct{}
}

func newStreet(t *testing.T, listen string, to string) *street {
	t.Helper()
	s := &street{to: to, route: true, conns: make(map[net.Conn]struct{})}
	var err error
	if s.front, err = net.Listen("tcp", listen); err != nil {
		t.Skipf("this machine cannot listen on %s: %v", listen, err)
	}
	if s.names, err = networktest.Serve(nil); err != nil {
		t.Fatal(err)
	}
	s.known()
	s.parts.Go(s.serve)
	t.Cleanup(func() {
		_ = s.front.Close()
		s.lead("")
		s.parts.Wait()
		s.names.Close()
	})
	return s
}

// known lets the name server say where the cloud is.
func (s *street) known() {
	at := netip.MustParseAddrPort(s.front.Addr().String()).Addr()
	s.names.Set(func(string) networktest.Reply { return networktest.Reply{Addresses: []netip.Addr{at}} })
}

func (s *street) serve() {
	for {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		to := s.to
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.parts.Go(func() {
			defer c.Close()
			inside, err := net.Dial("tcp", to)
			if to == "" || err != nil {
				_ = c.(*net.TCPConn).SetLinger(0) // a reset, not an end
				return
			}
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.Copy(inside, c); _ = inside.Close() })
			both.Go(func() { _, _ = io.Copy(c, inside); _ = c.Close() })
			both.Wait()
		})
	}
}

// lead ends all connections, and leads new ones elsewhere.
func (s *street) lead(to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	for c := range s.conns {
		_ = c.Close()
	}
	clear(s.conns)
}

func (s *street) setRoute(there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route = there
}

// dialer is the box's.
func (s *street) dialer(names netip.AddrPort) net.Dialer {
	return net.Dialer{
		Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, names.String())
		}},
		Control: func(string, string, syscall.RawConn) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.route {
				return syscall.ENETUNREACH
			}
			return nil
		},
	}
}

// impostor answers in the place of the cloud, over TLS; with a certificate of its
// own when it is for a name.
func impostor(t *testing.T, name string, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = nil
	if name != "" {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func loginPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>Wi-Fi: enter the number of your room")
}

// figures are the levels of a shop, as they are shown.
func figures(t *testing.T, a local.Shop) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for row, err := range a.Stock(t.Context(), local.StockQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		text := string(row.State)
		if row.Quantity != nil {
			text += " " + row.Quantity.String()
		}
		all[row.Product] = text
	}
	return all
}

// Each way in which the network is at fault, with the agent at work and goods
// sold meanwhile: no level changes, nothing is written, the state says what it is,
// and when the network is back the agent goes on by itself. A half-open connection
// takes minutes to be found; TestChaos, TestStalledAnswer and TestHalfOpenIsFound
// play it on a fake clock. It is the table of docs/TESTING.md.
func TestNetworkAtFault(t *testing.T) {
	// They wait for pauses most of the time, so all of them do at once.
	var all sync.WaitGroup
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, s *street)
		kind  string
		says  string
	}{
		"name servers in trouble": {func(_ *testing.T, s *street) {
			s.names.Set(func(string) networktest.Reply { return networktest.Reply{Code: networktest.Failure} })
		}, pull.Unreachable, "the DNS server does not answer"},
		"name hidden": {func(_ *testing.T, s *street) {
			s.names.Set(func(string) networktest.Reply { return networktest.Reply{Code: networktest.Unknown} })
		}, pull.Unreachable, "is not known to the DNS server"},
		"connections reset": {func(_ *testing.T, s *street) { s.lead("") }, pull.Unreachable, "the connection to example.com failed"},
		"no route":          {func(_ *testing.T, s *street) { s.setRoute(false) }, pull.Unreachable, "there is no way to example.com"},
		"log-in page": {func(t *testing.T, s *street) { s.lead(impostor(t, "", loginPage)) },
			pull.BadAnswer, "a web page came instead of data"},
		"log-in page by redirect": {func(t *testing.T, s *street) {
			s.lead(impostor(t, "", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.lan/", http.StatusFound)
			}))
		}, pull.BadAnswer, "sends us to another address"},
		"log-in page's certificate": {func(t *testing.T, s *street) { s.lead(impostor(t, "login.lan", loginPage)) },
			pull.Unreachable, "a login page of the network is in between"},
		"authority unknown": {func(t *testing.T, s *street) { s.lead(impostor(t, "example.com", loginPage)) },
			pull.Unreachable, "signed by nobody this machine knows"},
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				b, s, cloud := boxOnStreet(t, "127.0.0.1:0")
				b.config.Evotor.Write = config.Off
				b.sync()
				a := b.open()
				before, documents := figures(t, a), b.documents(a)
				b.close(a)

				tc.spoil(t, s)
				b.shop.Run(b.shop.Now().Add(48 * time.Hour))
				b.config.Evotor.Write = config.Auto
				b.run(func(a *agent.Agent) {
					until(t, "the state says what is wrong", func() bool { return hasProblem(t, a, tc.kind, tc.says) })
					if got := figures(t, a); !maps.Equal(got, before) {
						t.Errorf("the levels are %v, they were %v", got, before)
					}
					if n := len(b.shop.Patches()); n != 0 || b.documents(a) != documents {
						t.Errorf("%d figures were written, there are %d documents", n, b.documents(a)-documents)
					}
					s.known()
					s.setRoute(true)
					s.lead(cloud)
					until(t, "it goes on by itself", func() bool {
						status, err := a.Status(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						return status.Complete && len(status.Problems) == 0 && status.Counts.Documents > documents && len(b.shop.Patches()) > 0
					})
				})
			})
		})
	}
	all.Wait()
}

// Networks that are unusual and good enough.
func TestNetworkThatWillDo(t *testing.T) {
	// They wait for pauses most of the time, so all of them do at once.
	var all sync.WaitGroup
	for name, tc := range map[string]struct {
		listen string
		change func(b *box, s *street)
	}{
		"no name server of its own, but one of dns": {"127.0.0.1:0", func(b *box, s *street) {
			b.options.Dialer = s.dialer(netip.MustParseAddrPort("127.0.0.1:1"))
			b.config.DNS = []string{"127.0.0.1:1", s.names.At.String()}
		}},
		"IPv6 only": {"[::1]:0", func(*box, *street) {}},
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				b, s, _ := boxOnStreet(t, tc.listen)
				tc.change(b, s)
				b.config.Evotor.Write = config.Auto
				b.run(func(a *agent.Agent) {
					until(t, "figures are written", func() bool { return len(b.shop.Patches()) > 0 })
				})
			})
		})
	}
	all.Wait()
}

// boxOnStreet is a box whose way to the cloud is a street, and where the cloud is.
func boxOnStreet(t *testing.T, listen string) (*box, *street, string) {
	b := newBox(t, evotortest.CloudOptions{})
	cloud := httptest.NewTLSServer(evotortest.NewCloud(b.shop, evotortest.CloudOptions{Tokens: []string{"a-token"}, Now: b.shop.Now}))
	t.Cleanup(cloud.Close)
	at := cloud.Listener.Addr().String()
	s := newStreet(t, listen, at)
	b.config.Evotor.URL = fmt.Sprintf("https://example.com:%d", netip.MustParseAddrPort(s.front.Addr().String()).Port())
	b.config.Evotor.Poll = 20 * time.Millisecond
	b.config.Guard = config.Guard{FallShare: 0.5, FallFloor: 100}
	b.config.Local.Listen = ""
	b.options.Transport, b.options.Dialer = nil, s.dialer(s.names.At)
	return b, s, at
}

// run is the agent at work while do looks at it.
func (b *box) run(do func(a *agent.Agent)) {
	a := b.open()
	ctx, stop := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx) }()
	defer func() { stop(); <-ended; b.close(a) }()
	do(a)
}

func hasProblem(t *testing.T, a local.Shop, kind, says string) bool {
	t.Helper()
	s, err := a.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Problems {
		if p.Kind == kind && strings.Contains(p.Message, says) && p.Do != "" {
			return true
		}
	}
	return false
}

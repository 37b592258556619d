package network

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"ostatok/platform/network/networktest"
)

func serveNames(t *testing.T, reply func(string) networktest.Reply) *networktest.Names {
	t.Helper()
	s, err := networktest.Serve(reply)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// asking is a box whose own name server is this one.
func asking(t *testing.T, reply func(string) networktest.Reply) *net.Resolver {
	return new(Network).only(serveNames(t, reply).At)
}

func always(r networktest.Reply) func(string) networktest.Reply {
	return func(string) networktest.Reply { return r }
}

// When the servers of the configuration are asked, and when they are not.
func TestFallback(t *testing.T) {
	type replies = []func(string) networktest.Reply
	home := always(networktest.Reply{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	silent := always(networktest.Reply{Silent: true})
	coded := func(c networktest.Code) func(string) networktest.Reply { return always(networktest.Reply{Code: c}) }
	closed := new(Network).only(netip.MustParseAddrPort("127.0.0.1:1"))
	for name, tc := range map[string]struct {
		own  *net.Resolver
		dns  replies
		ok   bool
		used []bool // which of dns were asked
	}{
		"own answers":                  {own: asking(t, home), dns: replies{home}, ok: true, used: []bool{false}},
		"own knows no such name":       {own: asking(t, coded(networktest.Unknown)), dns: replies{home}, used: []bool{false}},
		"own is in trouble":            {own: asking(t, coded(networktest.Failure)), dns: replies{home}, ok: true, used: []bool{true}},
		"own refuses":                  {own: asking(t, coded(networktest.Refused)), dns: replies{home}, ok: true, used: []bool{true}},
		"own is silent":                {own: asking(t, silent), dns: replies{home}, ok: true, used: []bool{true}},
		"own is not there":             {own: closed, dns: replies{home}, ok: true, used: []bool{true}},
		"the first is silent":          {own: closed, dns: replies{silent, home}, ok: true, used: []bool{true, true}},
		"the first knows no such name": {own: closed, dns: replies{coded(networktest.Unknown), home}, used: []bool{true, false}},
		"none answers":                 {own: closed, dns: replies{coded(networktest.Failure)}, used: []bool{true}},
		"there are no others":          {own: closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &Network{Dialer: net.Dialer{Resolver: tc.own}}
			var servers []*networktest.Names
			for _, reply := range tc.dns {
				s := serveNames(t, reply)
				servers, n.DNS = append(servers, s), append(n.DNS, s.At)
			}
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := n.DialContext(t.Context(), "tcp", net.JoinHostPort("cloud.example", port))
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != tc.ok {
				t.Errorf("dial: %v", err)
			}
			if _, dns := errors.AsType[*net.DNSError](err); !tc.ok && !dns {
				t.Errorf("%v does not say that it is the name", err)
			}
			for i, s := range servers {
				if (s.Asked() > 0) != tc.used[i] {
					t.Errorf("server %d was asked %d times", i, s.Asked())
				}
			}
		})
	}
}

func TestLongAnswerComesOverTCP(t *testing.T) {
	many := make([]netip.Addr, 40)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
	}
	s := serveNames(t, always(networktest.Reply{Addresses: many}))
	n := &Network{DNS: []netip.AddrPort{s.At}, Dialer: net.Dialer{Resolver: new(Network).only(netip.MustParseAddrPort("127.0.0.1:1"))}}
	found, err := n.Lookup(t.Context(), "many.example")
	if err != nil || len(found.Addresses) != 40 || found.Own == nil || found.Server != s.At {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAddressNeedsNoName(t *testing.T) {
	s := serveNames(t, always(networktest.Reply{Silent: true}))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := &Network{DNS: []netip.AddrPort{s.At}, Dialer: net.Dialer{Resolver: new(Network).only(s.At)}}
	conn, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if s.Asked() != 0 {
		t.Error("an address was asked for as a name")
	}
}

func TestEndedContext(t *testing.T) {
	s := serveNames(t, always(networktest.Reply{Silent: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n := &Network{DNS: []netip.AddrPort{s.At}, Dialer: net.Dialer{Resolver: new(Network).only(s.At)}}
	if _, err := n.DialContext(ctx, "tcp", "cloud.example:80"); err == nil || ctx.Err() == nil {
		t.Errorf("%v before the end", err)
	}
}

func TestRoutes(t *testing.T) {
	without := func(family string) *Network {
		return &Network{Dialer: net.Dialer{Control: func(network, _ string, _ syscall.RawConn) error {
			if network == family {
				return syscall.ENETUNREACH
			}
			return nil
		}}}
	}
	v4, v6 := new(Network).Routes(t.Context())
	if got, _ := without("udp4").Routes(t.Context()); got {
		t.Error("IPv4 without a route")
	}
	if _, got := without("udp6").Routes(t.Context()); got {
		t.Error("IPv6 without a route")
	}
	if got, _ := without("udp6").Routes(t.Context()); got != v4 {
		t.Errorf("IPv4 %t, without IPv6 %t", v4, got)
	}
	if _, got := without("udp4").Routes(t.Context()); got != v6 {
		t.Errorf("IPv6 %t, without IPv4 %t", v6, got)
	}
}

func TestNameServers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if got := nameServers(file); got != nil {
		t.Errorf("no file: %v", got)
	}
	if err := os.WriteFile(file, []byte("# made by hand\nsearch lan\nnameserver 192.168.1.1\n nameserver fe80::1%eth0 # the router\nnameserver\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := nameServers(file); !slices.Equal(got, []string{"192.168.1.1", "fe80::1%eth0"}) {
		t.Errorf("%q", got)
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"77.88.8.8": "77.88.8.8:53", "2a02:6b8::feed:ff": "[2a02:6b8::feed:ff]:53", "127.0.0.1:5353": "127.0.0.1:5353", "[::1]:53": "[::1]:53",
	} {
		if got, err := ParseServer(text); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "dns.example", "77.88.8", "77.88.8.8:0", "77.88.8.8:x", "https://77.88.8.8"} {
		if got, err := ParseServer(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

// rootless says that this process is to look at the roots of a box without any.
const rootless = "OSTATOK_TEST_ROOTLESS"

// A box without certificates still knows the usual authorities. The roots are
// read once in a process, so this one starts another.
func TestRootsOfABoxWithoutAny(t *testing.T) {
	if os.Getenv(rootless) != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			t.Fatal(err)
		}
		// SystemCertPool is what verifies when nothing else is said.
		//lint:ignore SA1019 the system has none, so all of them are in this program
		if n := len(pool.Subjects()); n < 50 {
			t.Errorf("%d authorities", n)
		}
		return
	}
	for name, environ := range map[string][]string{
		"files that are not there": {"SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent"},
		"an empty directory":       {"SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=" + t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			c := exec.Command(os.Args[0], "-test.run=^TestRootsOfABoxWithoutAny$", "-test.v")
			c.Env = append(append(os.Environ(), environ...), rootless+"=1")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

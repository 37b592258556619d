package network

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// names is a name server over UDP and TCP on this machine.
type names struct {
	at    netip.AddrPort
	asked atomic.Int64
	reply func(name string) (ip net.IP, code byte, silent bool)
}

func serveNames(t *testing.T, reply func(name string) (net.IP, byte, bool)) *names {
	t.Helper()
	s := &names{reply: reply}
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.at = netip.MustParseAddrPort(udp.LocalAddr().String())
	tcp, err := net.Listen("tcp4", s.at.String())
	if err != nil {
		t.Skipf("the port of the UDP server is taken for TCP: %v", err)
	}
	t.Cleanup(func() { _, _ = udp.Close(), tcp.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			if out := s.answer(buffer[:n], 512); out != nil {
				_, _ = udp.WriteTo(out, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 2)
				if _, err := c.Read(head); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(head))
				if _, err := c.Read(query); err != nil {
					return
				}
				if out := s.answer(query, 1<<16); out != nil {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
				}
			}()
		}
	}()
	return s
}

// answer is one answer of RFC 1035, truncated where it is longer than most.
func (s *names) answer(query []byte, most int) []byte {
	s.asked.Add(1)
	name, i := "", 12
	for query[i] != 0 {
		n := int(query[i])
		name += string(query[i+1:i+1+n]) + "."
		i += 1 + n
	}
	kind := binary.BigEndian.Uint16(query[i+1:])
	ip, code, silent := s.reply(name)
	if silent {
		return nil
	}
	out := append([]byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:i+5]...)
	if v4 := ip.To4(); v4 != nil && kind == 1 && code == 0 {
		for range 40 { // too many for a datagram when the name is so
			out[7]++
			out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
			out = append(out, v4...)
			if name != "many.example." {
				break
			}
		}
	}
	if len(out) > most {
		out = out[:i+5]
		out[2], out[7] = out[2]|2, 0
	}
	return out
}

func (s *names) resolver() *net.Resolver { return new(Network).only(s.at) }

func home(string) (net.IP, byte, bool)   { return net.IPv4(127, 0, 0, 1), 0, false }
func silent(string) (net.IP, byte, bool) { return nil, 0, true }
func coded(code byte) func(string) (net.IP, byte, bool) {
	return func(string) (net.IP, byte, bool) { return nil, code, false }
}

// When the servers of the configuration are asked, and when they are not.
func TestFallback(t *testing.T) {
	const failure, unknown, refused = 2, 3, 5
	closed := new(Network).only(netip.MustParseAddrPort("127.0.0.1:1"))
	for name, tc := range map[string]struct {
		own  *net.Resolver
		dns  []func(string) (net.IP, byte, bool)
		ok   bool
		used []bool // which of dns were asked
	}{
		"own answers":                  {own: serveNames(t, home).resolver(), dns: []func(string) (net.IP, byte, bool){home}, ok: true, used: []bool{false}},
		"own knows no such name":       {own: serveNames(t, coded(unknown)).resolver(), dns: []func(string) (net.IP, byte, bool){home}, used: []bool{false}},
		"own is in trouble":            {own: serveNames(t, coded(failure)).resolver(), dns: []func(string) (net.IP, byte, bool){home}, ok: true, used: []bool{true}},
		"own refuses":                  {own: serveNames(t, coded(refused)).resolver(), dns: []func(string) (net.IP, byte, bool){home}, ok: true, used: []bool{true}},
		"own is silent":                {own: serveNames(t, silent).resolver(), dns: []func(string) (net.IP, byte, bool){home}, ok: true, used: []bool{true}},
		"own is not there":             {own: closed, dns: []func(string) (net.IP, byte, bool){home}, ok: true, used: []bool{true}},
		"the first is silent":          {own: closed, dns: []func(string) (net.IP, byte, bool){silent, home}, ok: true, used: []bool{true, true}},
		"the first knows no such name": {own: closed, dns: []func(string) (net.IP, byte, bool){coded(unknown), home}, used: []bool{true, false}},
		"none answers":                 {own: closed, dns: []func(string) (net.IP, byte, bool){coded(failure)}, used: []bool{true}},
		"there are no others":          {own: closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &Network{Dialer: net.Dialer{Resolver: tc.own}}
			var servers []*names
			for _, reply := range tc.dns {
				s := serveNames(t, reply)
				servers, n.DNS = append(servers, s), append(n.DNS, s.at)
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
				if (s.asked.Load() > 0) != tc.used[i] {
					t.Errorf("server %d was asked %d times", i, s.asked.Load())
				}
			}
		})
	}
}

func TestLongAnswerComesOverTCP(t *testing.T) {
	s := serveNames(t, home)
	n := &Network{DNS: []netip.AddrPort{s.at}, Dialer: net.Dialer{Resolver: new(Network).only(netip.MustParseAddrPort("127.0.0.1:1"))}}
	found, err := n.Lookup(t.Context(), "many.example")
	if err != nil || len(found.Addresses) != 40 || found.Own == nil || found.Server != s.at {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAddressNeedsNoName(t *testing.T) {
	s := serveNames(t, silent)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := &Network{DNS: []netip.AddrPort{s.at}, Dialer: net.Dialer{Resolver: s.resolver()}}
	conn, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if s.asked.Load() != 0 {
		t.Error("an address was asked for as a name")
	}
}

func TestEndedContext(t *testing.T) {
	s := serveNames(t, silent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n := &Network{DNS: []netip.AddrPort{s.at}, Dialer: net.Dialer{Resolver: s.resolver()}}
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
		if n := len(pool.Subjects()); n < 50 { //nolint:staticcheck // all of them are in this program
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

// Package network is the box's way out: connections that find their servers also
// where the box has no name servers, and trust the usual authorities also where
// it has no certificates. Everything that the agent connects to goes through it.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	// Takes effect only where the system has no roots.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// Network opens connections. The zero value does so as the system does.
type Network struct {
	// DNS are name servers to ask when the box's own do not answer. An answer of
	// the box's that there is no such name stands.
	DNS []netip.AddrPort

	// Dialer is how a connection is opened; its Resolver asks the box's own name
	// servers, nil is the system's way.
	Dialer net.Dialer
}

const (
	dialTime = 15 * time.Second
	askTime  = 5 * time.Second // for one set of name servers, when there is another
)

// ParseServer reads the address of a name server: an IP, with or without a port.
func ParseServer(text string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 53), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not the address of a name server", text)
	}
	return at, nil
}

// DialContext connects to host:port; it fits http.Transport.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := n.Dialer
	if d.Timeout == 0 {
		d.Timeout = dialTime
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || len(n.DNS) == 0 {
		return d.DialContext(ctx, network, address)
	}
	// Asked here and once more by the dialer, which tries all addresses at once: the
	// name servers have the answer at hand by then.
	found, err := n.Lookup(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	d.Resolver = found.by
	return d.DialContext(ctx, network, address)
}

// Found is the outcome of a look-up.
type Found struct {
	Addresses []netip.Addr
	Own       error          // why the box's own name servers did not tell, nil when they did
	Server    netip.AddrPort // of DNS, that told instead

	by *net.Resolver
}

// Lookup finds the addresses of a host.
func (n *Network) Lookup(ctx context.Context, host string) (Found, error) {
	resolver := n.Dialer.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	if len(n.DNS) == 0 {
		addresses, err := resolver.LookupNetIP(ctx, "ip", host)
		return Found{Addresses: unmap(addresses), by: resolver}, err
	}
	addresses, err := within(ctx, resolver, host)
	found := Found{Addresses: addresses, by: resolver}
	if err == nil || isNotFound(err) || ctx.Err() != nil {
		return found, err
	}
	found.Own = err
	for _, server := range n.DNS {
		found.Server, found.by = server, n.only(server)
		found.Addresses, err = within(ctx, found.by, host)
		if err == nil || isNotFound(err) || ctx.Err() != nil {
			break
		}
	}
	return found, err
}

// within asks a resolver, but not for so long that no other could be asked.
func within(ctx context.Context, r *net.Resolver, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	addresses, err := r.LookupNetIP(ctx, "ip", host)
	return unmap(addresses), err
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// unmap makes IPv4 of what the resolver writes as IPv6.
func unmap(addresses []netip.Addr) []netip.Addr {
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return addresses
}

// only is a resolver that asks one server, whatever the box is set to.
func (n *Network) only(server netip.AddrPort) *net.Resolver {
	d := net.Dialer{Control: n.Dialer.Control}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, server.String())
	}}
}

// Routes tells over which versions of IP the box has a way into the world. It
// sends nothing.
func (n *Network) Routes(ctx context.Context) (v4, v6 bool) {
	reaches := func(network, address string) bool {
		d := n.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was sent
		return true
	}
	// Addresses of documentation: no packet leaves for a UDP connection.
	return reaches("udp4", "192.0.2.1:9"), reaches("udp6", "[2001:db8::1]:9")
}

// NameServers returns those that the box is set to, none when it is set to none.
func NameServers() []string { return nameServers("/etc/resolv.conf") }

func nameServers(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var servers []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	return servers
}

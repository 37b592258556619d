package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/local"
	"ostatok/agent/remote"
	"ostatok/platform/clock"
	"ostatok/platform/network"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
)

// checkCloud goes the way to the cloud step by step, and stops at the first that
// fails: those after it would only repeat it.
func (d *Doctor) checkCloud(ctx context.Context, n *network.Network) []local.Check {
	u, err := url.Parse(d.Config.Evotor.URL)
	if err != nil {
		return nil // the configuration has refused it
	}
	if by, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && by != nil {
		checks := []local.Check{{Name: "proxy", Status: local.OK, Message: u.Hostname() + " is asked through " + by.Host}}
		return append(checks, d.checkToken(ctx, u.Hostname())...)
	}
	name, addresses := d.checkName(ctx, n, u.Hostname())
	checks := []local.Check{name}
	if name.Status != local.Failed {
		checks = append(checks, checkRoute(ctx, n, u.Hostname(), addresses)...)
	}
	if checks[len(checks)-1].Status == local.Failed {
		return checks
	}
	checks = append(checks, d.checkConnect(ctx, n, u))
	if checks[len(checks)-1].Status == local.Failed {
		return checks
	}
	return append(checks, d.checkToken(ctx, u.Hostname())...)
}

// others are name servers that answer everybody in our shops' countries.
const others = `dns = ["77.88.8.8", "1.1.1.1"]`

func (d *Doctor) checkName(ctx context.Context, n *network.Network, host string) (local.Check, []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, 2*eachCheck)
	defer cancel()
	c := local.Check{Name: "dns", Status: local.OK}
	found, err := n.Lookup(ctx, host)
	own := network.NameServers()
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		c.Status, c.Message = local.Failed, "the name servers know no "+host
		c.Do = "check the address in " + d.Config.File + "; if it is right, the network hides it: ask who looks after it"
		return c, nil
	}
	switch {
	case err != nil && len(own) == 0:
		c.Status, c.Message = local.Failed, "cannot find "+host+": the box has no name servers, /etc/resolv.conf names none"
		c.Do = "write " + others + " into " + d.Config.File
	case err != nil:
		c.Status, c.Message = local.Failed, "cannot find "+host+": the name servers do not answer: "+err.Error()
		c.Do = "check the cable and the router; if only names fail, write " + others + " into " + d.Config.File
	case found.Own != nil && len(own) > 0:
		c.Status, c.Message = local.Warning, "the box's own name servers do not answer; "+found.Server.String()+", of dns, does"
		c.Do = "nothing at once; look at /etc/resolv.conf and the router"
	case found.Own != nil:
		c.Message = host + " is " + joined(found.Addresses) + ", says " + found.Server.String()
	default:
		c.Message = host + " is " + joined(found.Addresses)
	}
	return c, found.Addresses
}

func joined(addresses []netip.Addr) string {
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// checkRoute tells of a box that speaks another version of IP than the host; of
// a route that is there it says nothing.
func checkRoute(ctx context.Context, n *network.Network, host string, addresses []netip.Addr) []local.Check {
	near := func(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }
	if slices.ContainsFunc(addresses, near) {
		return nil // it takes no way out of the house
	}
	v4, v6 := n.Routes(ctx)
	has4 := slices.ContainsFunc(addresses, netip.Addr.Is4)
	has6 := slices.ContainsFunc(addresses, netip.Addr.Is6)
	c := local.Check{Name: "route", Status: local.Failed}
	switch {
	case has4 && v4 || has6 && v6:
		return nil
	case v6:
		c.Message = "this box has IPv6 only, and " + host + " can be reached over IPv4 only"
		c.Do = "ask the provider for IPv4, or for NAT64 with a DNS64 name server"
	case v4:
		c.Message = "this box has IPv4 only, and " + host + " can be reached over IPv6 only"
		c.Do = "check the address in the configuration, or ask the provider for IPv6"
	default:
		c.Message = "this box has no way out, neither over IPv4 nor over IPv6"
		c.Do = "check the cable or the Wi-Fi, and that the router gives the box an address"
	}
	return []local.Check{c}
}

// portalDo is what to do where something in between answers.
func portalDo(host string) string {
	return "open any page in a browser on this network: if it asks for a log-in, log in there, or have whoever looks after it let the box through to " +
		host + "; otherwise check the address in the configuration"
}

func (d *Doctor) checkConnect(ctx context.Context, n *network.Network, u *url.URL) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	address := net.JoinHostPort(u.Hostname(), port)
	c := local.Check{Name: "connect", Status: local.OK, Message: address + " answers"}
	conn, err := n.DialContext(ctx, "tcp", address)
	if err == nil && u.Scheme == "https" {
		c.Name = "tls"
		secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), Time: d.Options.Now})
		err = secure.HandshakeContext(ctx)
		conn = secure
	}
	if conn != nil {
		_ = conn.Close() // it answered; that was the question
	}
	if err != nil {
		c.Status, c.Message = local.Failed, rest.Explain(err, u.Hostname(), d.Options.Now())
		c.Do = doAbout(err, u.Hostname())
	}
	return c
}

// doAbout says what to do about a connection that could not be made.
func doAbout(err error, host string) string {
	_, name := errors.AsType[x509.HostnameError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return "set the clock, and let the box ask a time server (timedatectl set-ntp true)"
	case name, unknown, notTLS:
		return portalDo(host)
	}
	return "check the internet connection, the firewall and the address"
}

func (d *Doctor) checkToken(ctx context.Context, host string) []local.Check {
	ctx, cancel := context.WithTimeout(ctx, 2*eachCheck)
	defer cancel()
	var against error
	client, err := evotor.New(evotor.Options{
		URL: d.Config.Evotor.URL, Token: d.Config.Evotor.Token.Reveal(), Auth: d.Config.Evotor.Auth,
		Transport: d.Options.Transport, Version: d.Options.Build.Version, Now: d.Options.Now, Log: d.Options.Log,
		MaxWait: eachCheck, OnDate: func(server time.Time) { against = clock.Compare(d.Options.Now(), server) },
	})
	if err != nil {
		return []local.Check{{Name: "token", Status: local.Failed, Message: err.Error(), Do: "copy the token again"}}
	}
	defer client.Close()
	stores, err := client.Stores(ctx)
	var checks []local.Check
	if against != nil {
		checks = append(checks, local.Check{Name: "clock", Status: local.Failed, Message: against.Error(),
			Do: "set the clock, and let the box ask a time server"})
	}
	if err != nil {
		c := local.Check{Name: "token", Status: local.Failed, Message: err.Error(), Do: "check the internet connection"}
		switch rest.KindOf(err) {
		case rest.Protocol:
			c.Name, c.Do = "portal", portalDo(host)
		case rest.Unauthorized:
			c.Do = "copy the application's token from the Evotor account into " + d.Config.Evotor.TokenFile
		case rest.NotInstalled, rest.Forbidden:
			c.Do = "install the application on the shop's terminals, with rights to products, stock and documents"
		}
		return append(checks, c)
	}
	checks = append(checks, local.Check{Name: "token", Status: local.OK, Message: "accepted"})
	var seen []string
	for _, s := range stores {
		if s.ID == d.Config.Store {
			return append(checks, local.Check{Name: "store", Status: local.OK, Message: s.Name + " is visible"})
		}
		seen = append(seen, s.ID+" "+s.Name)
	}
	c := local.Check{Name: "store", Status: local.Failed, Message: d.Config.Store + " is not among the shops that the token sees",
		Do: "install the application on this shop, or use its owner's token"}
	if len(seen) > 0 {
		c.Do = "set store to one of: " + strings.Join(seen, "; ")
	}
	return append(checks, c)
}

// checkBroker logs in to each of the operator's brokers.
func (d *Doctor) checkBroker(ctx context.Context, n *network.Network) []local.Check {
	m := d.Config.MQTT
	o := remote.Options{
		URLs: m.URLs, Tenant: m.Tenant, Store: d.Config.Store, Version: d.Options.Build.Version,
		Username: m.Username, PasswordFile: m.PasswordFile, CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile,
		Clock:   func() command.Clock { now := d.Options.Now(); return command.Clock{Now: now, Best: now} },
		Network: n.DialContext,
	}
	checks := make([]local.Check, 0, len(m.URLs))
	for _, broker := range m.URLs {
		checks = append(checks, d.visit(ctx, o, broker))
	}
	return checks
}

func (d *Doctor) visit(ctx context.Context, o remote.Options, broker string) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	u, err := url.Parse(broker)
	if err != nil {
		return local.Check{Name: "broker", Status: local.Failed, Message: "its address cannot be read", Do: "check mqtt.urls"}
	}
	c := local.Check{Name: "broker", Status: local.OK, Message: u.Host + " lets the shop in"}
	err = remote.Visit(ctx, o, broker)
	if err == nil {
		return c
	}
	c.Status, c.Message = local.Failed, u.Host+": "+err.Error()
	_, refused := errors.AsType[*remote.RefusedError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, file := errors.AsType[*fs.PathError](err)
	switch {
	case refused:
		c.Do = "check mqtt.username and what is in mqtt.password_file, and ask the operator whether the broker knows the shop"
	case unknown, name:
		c.Do = "name the authority that signed the broker's certificate in mqtt.ca_file, and the broker as it is called there in mqtt.urls"
	case file:
		c.Do = "put the file there, or correct its name in " + d.Config.File
	default:
		c.Do = "check mqtt.urls, the internet connection and the firewall"
	}
	return c
}

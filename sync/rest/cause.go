package rest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
	"time"
)

// failNetwork turns what net/http says into words that a shop can act on.
func (c *Client) failNetwork(r Request, err error) *Error {
	// url.Error prints the whole address, with keys in its query.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := c.fail(r, Temporary, err)
	e.words = Explain(err, c.base.Hostname(), c.opts.Now())
	return e
}

// retryableNetwork tells whether asking again at once can help: a certificate
// does not get better within a minute.
func retryableNetwork(err error) bool { return !badCertificate(err) }

func badCertificate(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	return verification || invalid || unknown || name || notTLS
}

// Explain says in plain words why a connection to a host failed.
func Explain(err error, host string, now time.Time) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		today := now.UTC().Format("2006-01-02 15:04")
		if now.Before(invalid.Cert.NotBefore) {
			return fmt.Sprintf("the certificate of %s is not valid yet: this machine believes it is %s UTC, set its clock", host, today)
		}
		return fmt.Sprintf("the certificate of %s ended on %s: if this machine's date, %s UTC, is wrong, set its clock",
			host, invalid.Cert.NotAfter.UTC().Format(time.DateOnly), today)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("the certificate of %s is signed by nobody this machine knows: a filter in the network is in between, or the system's root certificates are too old", host)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server that answers is not %s: a login page of the network is in between, or the address is wrong", host)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("%s does not answer in TLS: check the address and its port", host)
	}
	if badCertificate(err) {
		return fmt.Sprintf("the certificate of %s cannot be checked", host)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Sprintf("the name %s is not known to the DNS server: check the address and the internet connection", host)
		}
		return fmt.Sprintf("the DNS server does not answer for %s: check the internet connection and the DNS settings", host)
	}
	switch {
	case errors.Is(err, errStalled):
		return fmt.Sprintf("%s stopped answering in the middle: the line is bad or the server hangs", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s refuses the connection: check the address and its port, or wait until the server is back", host)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN):
		return fmt.Sprintf("there is no way to %s from here: check the cable or the Wi-Fi", host)
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return fmt.Sprintf("%s does not answer in time: check the internet connection", host)
	}
	return fmt.Sprintf("the connection to %s failed", host)
}

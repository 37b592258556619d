package rest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/sync/rest"
)

// failWith is a transport whose network fails.
type failWith struct {
	err   error
	calls int
}

func (f *failWith) RoundTrip(*http.Request) (*http.Response, error) {
	f.calls++
	return nil, f.err
}

func TestNetworkInPlainWords(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err   error
		words string
	}{
		"unknown name": {dial(&net.DNSError{Err: "no such host", Name: "cloud.test", IsNotFound: true}), "not known to the DNS server"},
		"no DNS":       {dial(&net.DNSError{Err: "i/o timeout", Name: "cloud.test", IsTimeout: true}), "DNS server does not answer"},
		"time-out":     {dial(os.ErrDeadlineExceeded), "does not answer in time"},
		"other":        {errors.New("strange"), "connection to cloud.test failed: strange"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &failWith{err: c.err}
				client, err := rest.New(rest.Options{Base: "https://cloud.test", Transport: f, Tries: 3})
				if err != nil {
					t.Fatal(err)
				}
				_, err = read(client, rest.Request{Method: "GET", Path: "/x", Query: url.Values{"key": {"k"}}})
				if rest.KindOf(err) != rest.Temporary || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "key") {
					t.Error(err)
				}
				if f.calls != 3 {
					t.Errorf("%d attempts", f.calls)
				}
			})
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := rest.New(rest.Options{Base: "http://" + l.Addr().String(), Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(c, get("/x")); rest.KindOf(err) != rest.Temporary || !strings.Contains(err.Error(), "refuses the connection") {
		t.Error(err)
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
	server.StartTLS()
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	at := func(year int) func() time.Time {
		return func() time.Time { return time.Date(year, 1, 2, 3, 4, 0, 0, time.UTC) }
	}
	for name, c := range map[string]struct {
		config *tls.Config
		now    func() time.Time
		words  string
	}{
		"good":        {&tls.Config{RootCAs: trusted, ServerName: "example.com"}, nil, ""},
		"clock early": {&tls.Config{RootCAs: trusted, ServerName: "example.com", Time: at(1969)}, at(1969), "this machine believes it is 1969-01-02 03:04 UTC, set its clock"},
		"clock late":  {&tls.Config{RootCAs: trusted, ServerName: "example.com", Time: at(2200)}, at(2200), "date, 2200-01-02 03:04 UTC, is wrong"},
		"unknown":     {&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}, nil, "signed by nobody this machine knows"},
		"other name":  {&tls.Config{RootCAs: trusted, ServerName: "evotor.example"}, nil, "the server that answers is not"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: c.config}
			defer transport.CloseIdleConnections()
			client, err := rest.New(rest.Options{Base: server.URL, Transport: transport, Now: c.now})
			if err != nil {
				t.Fatal(err)
			}
			_, err = read(client, get("/x")) // not retried, or the test would last a minute
			if c.words == "" {
				if err != nil {
					t.Error(err)
				}
			} else if rest.KindOf(err) != rest.Temporary || !strings.Contains(err.Error(), c.words) {
				t.Error(err)
			}
		})
	}
}

func TestNewRefusesAnAddressItCannotUse(t *testing.T) {
	for _, base := range []string{"", "api.evotor.ru", "ftp://x", "https://", "://"} {
		if _, err := rest.New(rest.Options{Base: base}); err == nil {
			t.Errorf("%q accepted", base)
		}
	}
}

package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ostatok/agent/command"
	"ostatok/cmd/ostatok-sandbox/broker"
)

// authority makes certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns a certificate and its key in PEM.
func (a *authority) issue(name string) (cert, key []byte) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)},
		a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestTLSAndPassword(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := ca.issue("broker")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	b, err := broker.Start(broker.Options{
		TLS:   &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
		Users: []broker.User{{Name: "shop", Password: "sesame"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	cert, key = ca.issue("shop")
	good := options(b.URL())
	good.CAFile = file("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	good.CertFile, good.KeyFile = file("shop.pem", cert), file("shop.key", key)
	good.Username, good.PasswordFile = "shop", file("password", []byte("sesame\n"))
	past := func() command.Clock { return command.Clock{Now: time.Unix(0, 0), Best: time.Now()} }
	for name, tc := range map[string]struct {
		change func(*Options)
		says   string // "" for connected
	}{
		"all right":             {func(*Options) {}, ""},
		"a box in 1970":         {func(o *Options) { o.Clock = past }, ""},
		"unknown authority":     {func(o *Options) { o.CAFile = "" }, "mqtt.ca_file"},
		"no file of authority":  {func(o *Options) { o.CAFile = filepath.Join(dir, "none") }, "cannot read mqtt.ca_file"},
		"no certificate":        {func(o *Options) { o.CertFile, o.KeyFile = "", "" }, "certificate"},
		"key of another":        {func(o *Options) { o.KeyFile = file("other.key", func() []byte { _, k := ca.issue("x"); return k }()) }, "mqtt.key_file"},
		"wrong password":        {func(o *Options) { o.PasswordFile = file("wrong", []byte("open")) }, "mqtt.password_file"},
		"no file of a password": {func(o *Options) { o.PasswordFile = filepath.Join(dir, "none") }, "cannot read mqtt.password_file"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tc.change(&o)
			a := start(t, t.TempDir(), newShop(1), o)
			eventually(t, "the link says how it is", func() bool { l := a.Link(); return l.Connected || l.LastError != "" })
			l := a.Link()
			if l.Connected != (tc.says == "") || !strings.Contains(l.LastError, tc.says) {
				t.Errorf("%+v", l)
			}
			if strings.Contains(l.LastError, "sesame") || strings.Contains(l.LastError, "open\"") {
				t.Errorf("the password is in %q", l.LastError)
			}
		})
	}
}

package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// dial opens the network connection to a broker.
func (r *Remote) dial(ctx context.Context, broker *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if r.o.Dial != nil {
		return r.o.Dial(ctx, broker)
	}
	switch broker.Scheme {
	case "tcp", "mqtt":
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address(broker, "1883"))
	case "ssl", "tls", "mqtts":
		config, err := r.tls()
		if err != nil {
			return nil, err
		}
		d := tls.Dialer{Config: config}
		return d.DialContext(ctx, "tcp", address(broker, "8883"))
	case "ws":
		return mqtt.NewWebsocket(broker.String(), nil, dialTimeout, nil, nil)
	case "wss":
		config, err := r.tls()
		if err != nil {
			return nil, err
		}
		return mqtt.NewWebsocket(broker.String(), config, dialTimeout, nil, nil)
	}
	return nil, fmt.Errorf("the address %s is not one of ssl://, tcp://, wss://, ws://", broker.Redacted())
}

func address(u *url.URL, port string) string {
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	return u.Host
}

// tls reads the files anew, so that a renewed certificate needs no restart. A
// certificate's dates are judged by the best known time: on a box that woke up in
// the past no certificate would be valid yet.
func (r *Remote) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: func() time.Time { return r.o.Clock().Time() }}
	if r.o.CAFile != "" {
		pem, err := os.ReadFile(r.o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read mqtt.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt.ca_file %s holds no certificate in PEM", r.o.CAFile)
		}
	}
	if r.o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(r.o.CertFile, r.o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cannot use mqtt.cert_file with mqtt.key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (r *Remote) password() (string, error) {
	if r.o.PasswordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(r.o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("cannot read mqtt.password_file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// explain says what to do about an error of the connection where that is clear.
func explain(err error) string {
	text := err.Error()
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return text + "; name the broker's authority in mqtt.ca_file"
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return text + "; look at mqtt.username, mqtt.password_file and the broker's rules"
	}
	return text
}

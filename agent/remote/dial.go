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

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// dial opens the network connection to a broker.
func (o *Options) dial(ctx context.Context, broker *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if o.Dial != nil {
		return o.Dial(ctx, broker)
	}
	switch broker.Scheme {
	case "tcp", "mqtt":
		return o.network(ctx, "tcp", address(broker, "1883"))
	case "ssl", "tls", "mqtts":
		config, err := o.tls()
		if err != nil {
			return nil, err
		}
		return o.secure(ctx, config, broker)
	case "ws":
		return o.webSocket(ctx, nil, broker)
	case "wss":
		config, err := o.tls()
		if err != nil {
			return nil, err
		}
		return o.webSocket(ctx, config, broker)
	}
	return nil, fmt.Errorf("the address %s is not one of ssl://, tcp://, wss://, ws://", broker.Redacted())
}

// network opens a TCP connection.
func (o *Options) network(ctx context.Context, network, address string) (net.Conn, error) {
	if o.Network != nil {
		return o.Network(ctx, network, address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (o *Options) secure(ctx context.Context, config *tls.Config, broker *url.URL) (net.Conn, error) {
	raw, err := o.network(ctx, "tcp", address(broker, "8883"))
	if err != nil {
		return nil, err
	}
	config.ServerName = broker.Hostname()
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // it is of no use
		return nil, err
	}
	return c, nil
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
func (o *Options) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: func() time.Time { return o.Clock().Time() }}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read mqtt.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt.ca_file %s holds no certificate in PEM", o.CAFile)
		}
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cannot use mqtt.cert_file with mqtt.key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (o *Options) password() (string, error) {
	if o.PasswordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(o.PasswordFile)
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

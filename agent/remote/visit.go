package remote

import (
	"context"
	"fmt"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/uuid"
)

// RefusedError says that a broker was reached and does not let the shop in.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the broker refused the connection: " + e.Err.Error() }

// Unwrap returns the broker's reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// Visit logs in to a broker as the shop would and leaves again, for the doctor. It
// comes under a name of its own, without a will and with a session that ends
// with it: a running agent notices nothing.
func Visit(ctx context.Context, o Options, broker string) error {
	u, err := url.Parse(broker)
	if err != nil {
		return fmt.Errorf("cannot read the broker's address: %w", err)
	}
	password, err := o.password()
	if err != nil {
		return err
	}
	raw, err := o.dial(ctx, u)
	if err != nil {
		return fmt.Errorf("cannot reach the broker: %w", err)
	}
	defer func() { _ = raw.Close() }() // the client closes it too
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	client := mqtt.NewClient(mqtt.NewClientOptions().
		AddBroker("tcp://broker"). // unused: the connection is there
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return trim(raw), nil }).
		SetClientID("doctor-" + uuid.NewString()[:8]).SetProtocolVersion(4).SetCleanSession(true).
		SetUsername(o.Username).SetPassword(password).
		SetConnectTimeout(dialTimeout).SetAutoReconnect(false).SetConnectRetry(false))
	token := client.Connect()
	<-token.Done()
	if ctx.Err() != nil {
		return errSilent
	}
	if err := token.Error(); err != nil {
		return &RefusedError{err}
	}
	client.Disconnect(100) // ms, for the word of good-bye
	return nil
}

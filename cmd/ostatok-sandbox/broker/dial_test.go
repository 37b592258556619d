package broker

import (
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// dialer connects and hands out how to cut the connection without a word, as a
// power cut does.
func dialer(cut chan<- func()) mqtt.OpenConnectionFunc {
	return func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		conn, err := net.Dial("tcp", u.Host)
		if err == nil {
			cut <- func() { _ = conn.Close() }
		}
		return conn, err
	}
}

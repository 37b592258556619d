package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// webSocket opens MQTT over a web socket. The library's own way would not go by
// the box's network.
func (o *Options) webSocket(ctx context.Context, config *tls.Config, broker *url.URL) (net.Conn, error) {
	d := websocket.Dialer{
		NetDialContext: o.network, Proxy: http.ProxyFromEnvironment, TLSClientConfig: config,
		HandshakeTimeout: dialTimeout, Subprotocols: []string{"mqtt"}, ReadBufferSize: 2 << 10, WriteBufferSize: 2 << 10,
	}
	conn, resp, err := d.DialContext(ctx, broker.String(), nil)
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		return nil, fmt.Errorf("%s answers, but not as a broker: %s; check the path in mqtt.urls", broker.Host, resp.Status)
	}
	if err != nil {
		return nil, err
	}
	return &webSocket{Conn: conn}, nil
}

// webSocket is the stream of bytes in a web socket's messages. One goroutine
// reads; several may write.
type webSocket struct {
	*websocket.Conn
	message io.Reader // the one that is being read
	writing sync.Mutex
}

// Read reads from the messages as if they were one.
func (w *webSocket) Read(p []byte) (int, error) {
	for {
		if w.message == nil {
			_, next, err := w.NextReader()
			if err != nil {
				return 0, err
			}
			w.message = next
		}
		n, err := w.message.Read(p)
		if err == io.EOF {
			w.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write sends p as one message.
func (w *webSocket) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline sets those of reading and writing.
func (w *webSocket) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

package virtpos_test

import (
	"net/http"

	"ostatok/sync/rest/pipe"
)

// serve answers on a pipe; stop ends both sides.
func serve(h http.Handler) (transport *http.Transport, stop func()) {
	p := pipe.New()
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	transport = &http.Transport{DialContext: p.Dial}
	return transport, func() {
		transport.CloseIdleConnections()
		server.Close()
		<-stopped
	}
}

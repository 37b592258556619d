package rest_test

import (
	"net/http"
	"testing"

	"ostatok/sync/rest/pipe"
)

// serve answers on a pipe until the test ends.
func serve(t *testing.T, h http.HandlerFunc) (*pipe.Net, *http.Transport) {
	t.Helper()
	p := pipe.New()
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	transport := &http.Transport{DialContext: p.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-stopped
	})
	return p, transport
}

package evotor_test

import (
	"net/http"
	"testing"

	"ostatok/sync/evotor"
	"ostatok/sync/rest/pipe"
)

const token = "5f2c1d3e-token-of-the-shop"

// cloud returns a client of a cloud that answers with h.
func cloud(t *testing.T, h http.HandlerFunc, adjust func(*evotor.Options)) *evotor.Client {
	t.Helper()
	p := pipe.New()
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	o := evotor.Options{URL: "http://evotor.test", Token: token, Version: "1.2", Transport: &http.Transport{DialContext: p.Dial}}
	if adjust != nil {
		adjust(&o)
	}
	c, err := evotor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
		<-stopped
	})
	return c
}

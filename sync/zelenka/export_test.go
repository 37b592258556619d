package zelenka

import (
	"io"
	"net/http"

	"ostatok/agent/stock"
)

// Failure is an entry of an answer's errors.
type Failure struct {
	ID   string
	At   int
	Text string
}

// DecodeAnswer is decodeAnswer.
func DecodeAnswer(in io.Reader) (success int64, failures []Failure, err error) {
	success, err = decodeAnswer(in, func(f failure) { failures = append(failures, Failure{f.id, f.at, f.text}) })
	return success, failures, err
}

// DecodeUpdate is decodeUpdate.
func DecodeUpdate(in io.Reader) (stock.Quantity, error) { return decodeUpdate(in) }

// DecodeTokens is decodeTokens.
func DecodeTokens(in io.Reader) (access, refresh string, seconds float64, err error) {
	t, err := decodeTokens(in)
	return t.access, t.refresh, t.life.Seconds(), err
}

const (
	UploadsMost   = uploadsMost
	NarrowingMost = narrowingMost
)

// Pack packs rows into a request's body and returns it with its headers.
func Pack(w Warehouse, keys ...string) ([]byte, http.Header, error) {
	b := newBody(w)
	for i, key := range keys {
		if err := b.add(key, int64(i)); err != nil {
			return nil, nil, err
		}
	}
	r, err := b.request()
	return r.Body, r.Header, err
}

// Unpacking is the transport that unpacks such bodies.
func Unpacking(next http.RoundTripper) http.RoundTripper { return &unpacking{next} }

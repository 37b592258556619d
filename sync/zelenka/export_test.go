package zelenka

import (
	"io"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
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

// Body is the request with rows of the keys.
func Body(w Warehouse, keys ...string) (rest.Request, error) {
	b := newBody(w)
	for i, key := range keys {
		if err := b.add(key, int64(i)); err != nil {
			return rest.Request{}, err
		}
	}
	return b.request()
}

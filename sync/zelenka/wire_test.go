package zelenka_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"ostatok/sync/zelenka"
)

// sink is a transport that reads a request to its end as often as it likes.
type sink func(*http.Request) error

func (s sink) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, s(r)
}

// A packed body leaves unpacked, with its length told beforehand and without a
// trace of the packing, also when the transport begins again because a kept
// connection was closed.
func TestBodyIsUnpackedOnTheWire(t *testing.T) {
	keys := make([]string, 5000)
	for i := range keys {
		keys[i] = rows(i%7 + 1)[i%7].Key + string(rune('a'+i%26))
	}
	packed, header, err := zelenka.Pack(341, keys...)
	if err != nil {
		t.Fatal(err)
	}
	var bodies [][]byte
	transport := zelenka.Unpacking(sink(func(r *http.Request) error {
		if len(r.Header) != 2 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") == "" {
			t.Errorf("headers %v", r.Header)
		}
		first, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		again, err := r.GetBody()
		if err != nil {
			return err
		}
		second, err := io.ReadAll(again)
		bodies = append(bodies, first, second)
		if int64(len(first)) != r.ContentLength {
			t.Errorf("%d bytes, %d were told", len(first), r.ContentLength)
		}
		return err
	}))
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://zelenka.test/", bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(bodies[0], &list); err != nil || len(list) != len(keys) || list[4999].ID != keys[4999] {
		t.Errorf("%d rows: %v", len(list), err)
	}
	for i, body := range bodies {
		if !bytes.Equal(body, bodies[0]) {
			t.Errorf("body %d differs", i)
		}
	}
	if len(packed) > len(bodies[0])/3 {
		t.Errorf("%d bytes are packed into %d", len(bodies[0]), len(packed))
	}
}

package rest_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/sync/rest"
)

// What a request says grows old while it waits: after Within it is not sent any
// more, neither again nor for the first time.
func TestNothingOldIsSent(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"no answer": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"the server asks to wait": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"half of an answer": func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(50 * time.Second)
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "{")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Duration
				start := time.Now()
				c := client(t, func(w http.ResponseWriter, r *http.Request) {
					at = append(at, time.Since(start))
					answer(w, r)
				}, func(o *rest.Options) { o.Stall = 5 * time.Minute })
				figure := rest.Request{Method: "PATCH", Path: "/x", Body: []byte("7"), Within: time.Minute}
				if _, err := read(c, figure); !rest.Retryable(err) {
					t.Error(err)
				}
				for _, each := range at {
					if each > time.Minute {
						t.Errorf("sent at %v", at)
					}
				}
			})
		})
	}
}

func TestNothingOldWaitsForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, calls := failing(1, 429, "Retry-After", "90")
		c := client(t, h, nil)
		figure := rest.Request{Method: "PATCH", Path: "/x", Body: []byte("7"), Within: time.Minute}
		for range 2 {
			_, err := read(c, figure)
			if e, ok := errors.AsType[*rest.Error](err); !ok || e.Kind != rest.RateLimited || e.RetryAfter < time.Minute {
				t.Error(err)
			}
		}
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

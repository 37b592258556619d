package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

const secret = "tok-0123456789-ab+cd/ef"

// client talks to h without jitter, so that waits are exact.
func client(t *testing.T, h http.HandlerFunc, adjust func(*rest.Options)) *rest.Client {
	t.Helper()
	_, transport := serve(t, h)
	o := rest.Options{
		Base: "http://cloud.test", UserAgent: "ostatok/1.2", Transport: transport,
		Secrets: []string{secret}, Jitter: func() float64 { return 0 },
	}
	if adjust != nil {
		adjust(&o)
	}
	c, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(path string) rest.Request { return rest.Request{Method: "GET", Path: path} }

func read(c *rest.Client, r rest.Request) (string, error) {
	_, body, err := c.Read(context.Background(), r, 1<<20)
	return string(body), err
}

// failing answers with the status and headers n times, then well.
func failing(n int64, status int, headers ...string) (http.HandlerFunc, *atomic.Int64) {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) > n {
			io.WriteString(w, `{"ok":true}`)
			return
		}
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, `{"reason":"because"}`)
	}, &calls
}

func TestRetriesWhatMayPass(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 408, 429} {
		synctest.Test(t, func(t *testing.T) {
			h, calls := failing(2, status)
			body, err := read(client(t, h, nil), get("/x"))
			if err != nil || body != `{"ok":true}` || calls.Load() != 3 {
				t.Errorf("%d: %q, %v after %d calls", status, body, err, calls.Load())
			}
		})
	}
}

func TestDoesNotRetryARefusal(t *testing.T) {
	for status, kind := range map[int]rest.Kind{
		400: rest.Invalid, 401: rest.Unauthorized, 402: rest.NotInstalled, 403: rest.Forbidden, 404: rest.NotFound,
		405: rest.Invalid, 409: rest.Invalid, 410: rest.Gone, 413: rest.Invalid, 422: rest.Invalid,
	} {
		synctest.Test(t, func(t *testing.T) {
			h, calls := failing(9, status)
			_, err := read(client(t, h, nil), get("/x"))
			if rest.KindOf(err) != kind || rest.Retryable(err) || calls.Load() != 1 {
				t.Errorf("%d: %v (%s) after %d calls", status, err, rest.KindOf(err), calls.Load())
			}
			if e, ok := errors.AsType[*rest.Error](err); !ok || e.Status != status || !strings.Contains(e.Error(), "because") {
				t.Errorf("%d: %v", status, err)
			}
		})
	}
}

func TestGivesUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, calls := failing(99, 503)
		_, err := read(client(t, h, func(o *rest.Options) { o.Tries = 4 }), get("/x"))
		if rest.KindOf(err) != rest.Temporary || !rest.Retryable(err) || calls.Load() != 4 {
			t.Errorf("%v after %d calls", err, calls.Load())
		}
	})
}

// A POST may have been carried out though its answer was an error.
func TestPostIsSentOnce(t *testing.T) {
	for _, c := range []struct {
		repeatable bool
		status     int
		calls      int64
	}{{false, 503, 1}, {true, 503, 2}, {false, 429, 2}} {
		synctest.Test(t, func(t *testing.T) {
			h, calls := failing(1, c.status)
			var bodies []string
			spy := func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				bodies = append(bodies, string(b))
				h(w, r)
			}
			read(client(t, spy, nil), rest.Request{Method: "POST", Path: "/x", Body: []byte("row"), Repeatable: c.repeatable})
			if calls.Load() != c.calls || bodies[len(bodies)-1] != "row" {
				t.Errorf("%+v: %d calls with %q", c, calls.Load(), bodies)
			}
		})
	}
}

func TestWaitsAsLongAsTheServerAsks(t *testing.T) {
	server := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) // not our clock
	for name, c := range map[string]struct {
		headers []string
		want    time.Duration
	}{
		"Retry-After seconds":      {[]string{"Retry-After", "7"}, 7 * time.Second},
		"Retry-After half an hour": {[]string{"Retry-After", "1800"}, 30 * time.Minute},
		"Retry-After date":         {[]string{"Retry-After", server.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		"Reset seconds":            {[]string{"X-RateLimit-Reset", "12"}, 12 * time.Second},
		"Reset epoch s":            {[]string{"X-RateLimit-Reset", fmt.Sprint(server.Unix() + 30)}, 30 * time.Second},
		"Reset epoch ms":           {[]string{"X-RateLimit-Reset", fmt.Sprint(server.UnixMilli() + 30500)}, 30500 * time.Millisecond},
		"both, the first wins":     {[]string{"Retry-After", "7", "X-RateLimit-Reset", "12"}, 7 * time.Second},
		"nothing sensible":         {[]string{"Retry-After", "soon", "X-RateLimit-Reset", "-3"}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := failing(1, 429, append(c.headers, "Date", server.Format(http.TimeFormat))...)
				cl := client(t, h, nil)
				start := time.Now()
				if _, err := read(cl, get("/x")); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got != c.want {
					t.Errorf("waited %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestLongWaitIsTheCallersDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, calls := failing(9, 429, "Retry-After", "1800")
		c := client(t, h, func(o *rest.Options) { o.MaxWait = time.Minute })
		start := time.Now()
		for range 2 { // the second is refused by ourselves
			_, err := read(c, get("/x"))
			e, ok := errors.AsType[*rest.Error](err)
			if !ok || e.Kind != rest.RateLimited || e.RetryAfter < 29*time.Minute || !strings.Contains(e.Error(), "30m0s") {
				t.Errorf("%v", err)
			}
		}
		if time.Since(start) != 0 || calls.Load() != 1 {
			t.Errorf("%v, %d calls", time.Since(start), calls.Load())
		}
	})
}

func TestSpentBudgetClosesItsGateOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "40")
			io.WriteString(w, "{}")
		}, nil)
		start := time.Now()
		call := func(path, budget string, want time.Duration) {
			t.Helper()
			r := get(path)
			r.Budget = budget
			if _, err := read(c, r); err != nil || time.Since(start) != want {
				t.Errorf("%s at %v, want %v: %v", path, time.Since(start), want, err)
			}
		}
		call("/a", "documents", 0)
		call("/b", "products", 0)
		call("/c", "documents", 40*time.Second)
	})
}

func TestContextEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := failing(9, 429, "Retry-After", "600")
		c := client(t, h, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := c.Read(ctx, get("/x"), 100)
		if !errors.Is(err, context.DeadlineExceeded) || rest.KindOf(err) != "" || rest.Retryable(err) {
			t.Errorf("%v", err)
		}
		if time.Since(start) != 5*time.Second {
			t.Errorf("ended after %v", time.Since(start))
		}
	})
}

func TestWebPageIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<html>Welcome to\n\n the mall's Wi-Fi</html>")
		}, nil)
		_, err := read(c, get("/x"))
		if rest.KindOf(err) != rest.Protocol || !rest.Retryable(err) || !strings.Contains(err.Error(), "Welcome to the mall's Wi-Fi") {
			t.Error(err)
		}
	})
}

// What answers in the place of the cloud has a clock of its own.
func TestDateOfALoginPageIsNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := 0
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:07 GMT")
			switch r.URL.Path {
			case "/page":
				w.Header().Set("Content-Type", "text/html")
			case "/away":
				http.Redirect(w, r, "http://login.lan/", http.StatusFound)
			}
		}, func(o *rest.Options) { o.OnDate = func(time.Time) { heard++ } })
		for _, path := range []string{"/page", "/away"} {
			if _, err := read(c, get(path)); rest.KindOf(err) != rest.Protocol || heard != 0 {
				t.Errorf("%s: %v, heard %d times", path, err, heard)
			}
		}
		if _, err := read(c, get("/data")); err != nil || heard != 1 {
			t.Errorf("%v, heard %d times", err, heard)
		}
	})
}

// cutting sends half of an answer n times.
func cutting(n int64) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		if calls.Add(1) <= n {
			io.WriteString(w, "01234")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "0123456789")
	}
}

func TestCutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, cutting(1), nil)
		resp, err := c.Do(context.Background(), get("/x"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "01234" || rest.KindOf(err) != rest.Temporary {
			t.Errorf("streamed %q, %v", body, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if body, err := read(client(t, cutting(2), nil), get("/x")); body != "0123456789" || err != nil {
			t.Errorf("read %q, %v", body, err)
		}
	})
}

func TestStalledAnswer(t *testing.T) {
	for name, started := range map[string]bool{"before the headers": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client(t, func(w http.ResponseWriter, r *http.Request) {
					if started {
						io.WriteString(w, "01234")
						w.(http.Flusher).Flush()
					}
					<-r.Context().Done()
				}, func(o *rest.Options) { o.Stall = 20 * time.Second; o.Tries = 1 })
				start := time.Now()
				_, err := read(c, get("/x"))
				if rest.KindOf(err) != rest.Temporary || time.Since(start) != 20*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// A reader that is slow itself must not be taken for a stalled server.
func TestSlowReaderIsNotAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := strings.Repeat("x", 1<<20)
		c := client(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, large) },
			func(o *rest.Options) { o.Stall = 20 * time.Second })
		resp, err := c.Do(context.Background(), get("/x"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		half := make([]byte, 1<<19)
		if _, err := io.ReadFull(resp.Body, half); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if _, err := io.ReadFull(resp.Body, half); err != nil {
			t.Error(err)
		}
	})
}

func TestBodyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip") // a small answer that unpacks to a large one
			z := gzip.NewWriter(w)
			io.WriteString(z, strings.Repeat("x", 1001))
			z.Close()
		}, func(o *rest.Options) { o.MaxBody = 1000 })
		if _, err := read(c, get("/x")); rest.KindOf(err) != rest.Protocol || !strings.Contains(err.Error(), "larger than 1000 bytes") {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := client(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 1000)) },
			func(o *rest.Options) { o.MaxBody = 1000 })
		if body, err := read(c, get("/x")); err != nil || len(body) != 1000 {
			t.Error(len(body), err)
		}
		if _, _, err := c.Read(context.Background(), get("/x"), 999); rest.KindOf(err) != rest.Protocol {
			t.Error(err)
		}
	})
}

func TestRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var elsewhere []string
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Host != "cloud.test":
				elsewhere = append(elsewhere, r.Header.Get("X-Authorization"))
			case r.URL.Path == "/here":
				io.WriteString(w, "{}")
			case r.URL.Path == "/moved":
				http.Redirect(w, r, "/here", http.StatusFound)
			default:
				http.Redirect(w, r, "http://other.test/", http.StatusFound)
			}
		}, nil)
		if _, err := read(c, get("/moved")); err != nil {
			t.Error(err)
		}
		r := get("/away")
		r.Header = http.Header{"X-Authorization": {secret}}
		_, err := read(c, r)
		if rest.KindOf(err) != rest.Protocol || !strings.Contains(err.Error(), "http://other.test/") || len(elsewhere) != 0 {
			t.Error(err, elsewhere)
		}
		// A write that is followed becomes a GET and is lost without an error.
		if _, err := read(c, rest.Request{Method: "PATCH", Path: "/moved"}); rest.KindOf(err) != rest.Protocol {
			t.Error(err)
		}
	})
}

func TestConnectionIsReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, transport := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") })
		c, err := rest.New(rest.Options{Base: "http://cloud.test", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := read(c, get("/x")); err != nil {
				t.Fatal(err)
			}
		}
		if network.Dials() != 1 {
			t.Errorf("%d connections for 5 calls", network.Dials())
		}
		c.Close()
	})
}

func TestRequestAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got *http.Request
		var date time.Time
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			got = r
			w.Header().Set("Date", "Sat, 21 Nov 2026 20:00:00 GMT")
			io.WriteString(w, "{}")
		}, func(o *rest.Options) { o.OnDate = func(d time.Time) { date = d } })
		r := get("/stores/a%2Fb")
		r.Query = url.Values{"cursor": {"a+b/c=="}}
		if _, err := read(c, r); err != nil {
			t.Fatal(err)
		}
		if got.URL.EscapedPath() != "/stores/a%2Fb" || got.URL.Query().Get("cursor") != "a+b/c==" ||
			got.Header.Get("User-Agent") != "ostatok/1.2" || got.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("%v %v", got.URL, got.Header)
		}
		if !date.Equal(time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)) {
			t.Errorf("date %v", date)
		}
	})
}

// Whatever the server echoes, whatever goes wrong: no secret in errors and logs.
func TestSecretsStayInside(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, `you sent `+r.Header.Get("Authorization")+` and `+r.URL.RawQuery+
				` and {"apikey": "other-1", "token":"other-2"} password=other-3 http://u:other-4@h/`)
		}
	}
	for _, status := range []int{200, 400, 401, 429, 503} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := client(t, echo(status), func(o *rest.Options) { o.Log = zerolog.New(&log); o.Tries = 2; o.MaxWait = time.Minute })
			_, _, err := c.Read(context.Background(), rest.Request{
				Method: "GET", Path: "/x/" + url.PathEscape(secret), Query: url.Values{"apikey": {secret}},
				Header: http.Header{"Authorization": {"Bearer " + secret}},
			}, 10)
			if err == nil || log.Len() == 0 {
				t.Fatal(status, err, log.String())
			}
			for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), "other-"} {
				if strings.Contains(err.Error(), s) || strings.Contains(log.String(), s) {
					t.Errorf("%d: %q stands in\n%v\n%s", status, s, err, log.String())
				}
			}
		})
	}
}

package local

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
)

// An answer is lines of JSON: items, then one line that says end or error.
// Without that last line the answer was cut off.
type line struct {
	Item  any    `json:"item,omitempty"`
	Error *Error `json:"error,omitempty"`
	End   bool   `json:"end,omitempty"`
}

// Serve answers on the socket until ctx ends; then it closes the listener and
// gives requests a moment to end.
func Serve(ctx context.Context, l net.Listener, shop Shop, log zerolog.Logger) error {
	server := &http.Server{
		Handler:           handler(shop, log),
		ReadHeaderTimeout: 5 * time.Second,
		// Requests end with the agent: a sync that somebody watches must not keep
		// it from stopping.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(within), server.Close())
	})
	err := server.Serve(l)
	if !stop() {
		return <-stopped
	}
	return err
}

func handler(shop Shop, log zerolog.Logger) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, run func(r *http.Request, send func(any) error) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-ndjson")
			out := json.NewEncoder(w)
			flush := http.NewResponseController(w).Flush
			err := run(r, func(item any) error {
				err := out.Encode(line{Item: item})
				switch item.(type) {
				case syncItem, updateItem: // watched as they come
					err = errors.Join(err, flush())
				}
				return err
			})
			last := line{End: true}
			if err != nil {
				last = line{Error: &Error{Code: CodeOf(err), Message: err.Error()}}
			}
			if err := errors.Join(out.Encode(last), flush()); err != nil {
				log.Debug().Err(err).Str("path", r.URL.Path).Msg("control socket answer not read")
			}
		})
	}
	stream := func(pattern string, run func(r *http.Request, w io.Writer) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", errorTrailer)
			if err := run(r, w); err != nil {
				w.Header().Set(errorTrailer, encodeError(err))
			} else {
				w.Header().Set(errorTrailer, noError)
			}
		})
	}
	answer("GET /stock", func(r *http.Request, send func(any) error) error {
		q := StockQuery{Text: r.FormValue("text"), State: stock.State(r.FormValue("state"))}
		for row, err := range shop.Stock(r.Context(), q) {
			if err != nil {
				return err
			}
			if err := send(row); err != nil {
				return err
			}
		}
		return nil
	})
	answer("GET /explain", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Explain(r.Context(), r.FormValue("product")))
	})
	answer("GET /plans", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Plans(r.Context(), r.FormValue("target"), r.FormValue("all") != ""))
	})
	answer("POST /plans/approve", func(r *http.Request, _ func(any) error) error {
		return shop.Approve(r.Context(), r.FormValue("id"), r.FormValue("assumed") != "")
	})
	answer("POST /plans/reject", func(r *http.Request, _ func(any) error) error {
		return shop.Reject(r.Context(), r.FormValue("id"))
	})
	answerMapping(answer, shop)
	answerUpdate(answer, shop)
	answerRestore(answer, shop)
	answer("POST /sync", func(r *http.Request, send func(any) error) error {
		result, err := shop.Sync(r.Context(), r.FormValue("backfill") != "", func(p Progress) {
			_ = send(syncItem{Progress: &p}) // whoever watched is gone; the sync goes on until its context ends
		})
		if err != nil {
			return err
		}
		return send(syncItem{Result: &result})
	})
	answer("GET /status", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Status(r.Context()))
	})
	answer("GET /check", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Check(r.Context()))
	})
	stream("POST /backup", func(r *http.Request, w io.Writer) error { return shop.Backup(r.Context(), w) })
	stream("POST /diagnose", func(r *http.Request, w io.Writer) error {
		var checks []Check
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&checks); err != nil {
			return &Error{Refused, "cannot read the request: " + err.Error()}
		}
		return shop.Diagnose(r.Context(), w, checks)
	})
	return mux
}

// one sends a single result.
func one(send func(any) error) func(any, error) error {
	return func(result any, err error) error {
		if err != nil {
			return err
		}
		return send(result)
	}
}

// syncItem is a line of a sync: progress many times, the result once.
type syncItem struct {
	Progress *Progress   `json:"progress,omitempty"`
	Result   *SyncResult `json:"result,omitempty"`
}

// An archive is sent as it is, and how it ended comes after it: an archive that
// was cut off must not look whole.
const (
	errorTrailer = "Ostatok-Error"
	noError      = "none"
)

func encodeError(err error) string {
	text, marshalErr := json.Marshal(Error{Code: CodeOf(err), Message: err.Error()})
	if marshalErr != nil {
		return `{"code":"internal","message":"unknown"}`
	}
	return string(text)
}

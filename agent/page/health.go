package page

import (
	"io"
	stdlog "log"
	"net/http"

	"github.com/rs/zerolog"
)

// diskLeast is the room without which the agent's files cannot grow.
const diskLeast = 16 << 20

// healthz tells whether this box works, and nothing of the world outside: a
// supervisor that restarted it because the line is down would make things worse.
// It names no figure, so it needs no code.
func (p *Page) healthz(w http.ResponseWriter, r *http.Request) {
	reason := p.sick(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if reason != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, reason+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (p *Page) sick(r *http.Request) string {
	if p.o.Shop == nil {
		return "" // waiting to be set up is no fault
	}
	s, err := p.o.Shop.Status(r.Context())
	if err != nil {
		p.o.Log.Error().Err(err).Msg("health not told")
		return "the agent's files cannot be read; see its log"
	}
	if s.DiskFree > 0 && s.DiskFree < diskLeast {
		return "the disk is full"
	}
	for _, problem := range s.Problems {
		if problem.Kind == "mirror_failed" {
			return "the agent's files cannot be written; see its log"
		}
	}
	return ""
}

// quiet is the server's own log: what visitors do to it is worth a line for
// whoever looks for it, and no more.
func quiet(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(lines{log}, "", 0)
}

type lines struct{ log zerolog.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.log.Debug().Bytes("detail", b).Msg("http connection")
	return len(b), nil
}

package ingest

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// hook takes webhooks of a kind. They carry no signature, so the secret in their
// address is all that tells them from anybody's; whoever guesses learns nothing
// from the answer, which depends on the body alone.
func (s *server) hook(kind string) func(*request) answer {
	return func(r *request) answer {
		body, done, refused := s.read(r, bodySmall)
		defer done()
		if refused != nil {
			return *refused
		}
		if len(body) > 0 && !jsontext.Value(body).IsValid() {
			r.costs()
			return refuse(http.StatusBadRequest, codeSyntax, "the body is not JSON")
		}
		s.pass(r, kind, body)
		return answer{status: http.StatusOK, body: struct{}{}}
	}
}

func (s *server) pass(r *request, kind string, body []byte) {
	if s.HookTarget == nil || s.Hook == nil {
		r.costs()
		return
	}
	target, ok := s.HookTarget(r.PathValue("secret"))
	if !ok {
		r.costs() // bounds the lines of the log, too
		s.Log.Warn().Str("kind", kind).Str("from", network(r.Request).String()).
			Msg("webhook with a secret that no target has")
		return
	}
	if len(body) == 0 {
		return // a check of the address
	}
	if err := s.Hook(r.Context(), target, kind, body); err != nil {
		s.Log.Warn().Err(err).Str("target", target).Str("kind", kind).Msg("webhook not understood")
	}
}

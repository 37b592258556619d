package ingest

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// hook takes webhooks of a kind. They carry no signature, so the secret in their
// address is all that tells them from anybody's. It is long and a wrong one costs
// the sender dearly, so saying that it is wrong helps nobody to guess it; without
// that, whoever mistyped it in KeyCRM would never hear of it.
func (s *server) hook(kind string) func(*request) answer {
	return func(r *request) answer {
		target, ok := s.hookTarget(r)
		if !ok {
			r.costs() // bounds the lines of the log, too
			s.Log.Warn().Str("kind", kind).Str("from", network(r.Request).String()).
				Msg("webhook with a secret that no target has")
			return refuse(http.StatusUnauthorized, http.StatusUnauthorized,
				"no target has this secret: put the one of its hook_secret_file into the address, as /hooks/keycrm/SECRET/%s", kind)
		}
		body, done, refused := s.read(r, bodySmall)
		defer done()
		if refused != nil {
			return *refused
		}
		if len(body) > 0 && !jsontext.Value(body).IsValid() {
			r.costs()
			return refuse(http.StatusBadRequest, codeSyntax, "the body is not JSON")
		}
		if len(body) > 0 { // otherwise a check of the address
			if err := s.Hook(r.Context(), target, kind, body); err != nil {
				s.Log.Warn().Err(err).Str("target", target).Str("kind", kind).Msg("webhook not understood")
			}
		}
		return answer{status: http.StatusOK, body: struct{}{}}
	}
}

func (s *server) hookTarget(r *request) (target string, ok bool) {
	if s.HookTarget == nil || s.Hook == nil {
		return "", false
	}
	return s.HookTarget(r.PathValue("secret"))
}

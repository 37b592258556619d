package ingest

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// tokenLeast is how short a token may be: it is sent by machines, so nobody has
// to remember it.
const tokenLeast = 16

// ErrShortToken says that the token in the access file is easy to guess.
var ErrShortToken = errors.New("the token for documents in the access file is shorter than 16 characters: write a longer one")

// TokenOf returns the token that the text of an access file gives to senders of
// documents, "" for none: the first line that is neither empty, nor a comment, nor
// the hash of the access code for people. The error is ErrShortToken.
func TokenOf(file []byte) (string, error) {
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '$' {
			continue
		}
		if len(line) < tokenLeast {
			return "", ErrShortToken
		}
		return line, nil
	}
	return "", nil
}

// known lets those through who show the token. Evotor sends some requests with it
// bare (evotor-cloud §14.1).
func (s *server) known(handle func(*request) answer) func(*request) answer {
	return func(r *request) answer {
		want := s.Token()
		if want == "" {
			r.costs()
			return refuse(http.StatusUnauthorized, codeToken,
				"this box takes no documents yet: name a local.access_file in its configuration, run `ostatok access --senders`, and send the token that it prints as `Authorization: Bearer TOKEN`")
		}
		shown := strings.TrimSpace(r.Header.Get("Authorization"))
		if scheme, token, ok := strings.Cut(shown, " "); ok && strings.EqualFold(scheme, "Bearer") {
			shown = strings.TrimSpace(token)
		}
		if !same(shown, want) {
			r.costs()
			return refuse(http.StatusUnauthorized, codeToken,
				"the token is missing or wrong: send the one of the box's access file as `Authorization: Bearer TOKEN`")
		}
		return handle(r)
	}
}

// same compares secrets: how long it takes tells nothing, not even their length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

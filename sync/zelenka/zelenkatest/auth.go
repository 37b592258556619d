package zelenkatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// login answers as api_docs_auth says: a token for a day and one to refresh it
// for a month.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Apikey string }
	if !s.decodeAuth(w, r, &in) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Username != s.o.Username || in.Apikey != s.o.Key {
		fail(w, http.StatusUnauthorized, "Incorrect username or apikey")
		return
	}
	if s.o.OneToken {
		clear(s.tokens)
	}
	s.logins++
	answer := s.access()
	answer["refresh_token"] = s.issue(refreshLife, true)
	write(w, http.StatusOK, answer)
}

// refresh gives a new access token and no new refresh token (api_docs_auth).
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Refresh string `json:"refresh_token"`
	}
	if !s.decodeAuth(w, r, &in) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tokens[in.Refresh]; !ok || !t.refresh || !s.o.Now().Before(t.ends) {
		fail(w, http.StatusUnauthorized, "Refresh token not found or expired")
		return
	}
	s.refreshes++
	write(w, http.StatusOK, s.access())
}

func (s *Server) decodeAuth(w http.ResponseWriter, r *http.Request, in any) bool {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		fail(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
		return false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(in); err != nil {
		fail(w, http.StatusBadRequest, "Syntax error.")
		return false
	}
	return true
}

func (s *Server) access() map[string]any {
	var life any = int(accessLife / time.Second)
	if s.o.Texts {
		life = fmt.Sprint(life)
	}
	return map[string]any{"access_token": s.issue(accessLife, false), "token_type": "bearer", "expires_in": life}
}

func (s *Server) issue(life time.Duration, refresh bool) string {
	s.issued++
	id := fmt.Sprintf("%032x", 0xabcdef0000+int64(s.issued))
	s.tokens[id] = token{ends: s.o.Now().Add(life), refresh: refresh}
	return id
}

func (s *Server) authorised(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	id, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	t, ok := s.tokens[id]
	good := bearer && ok && !t.refresh && s.o.Now().Before(t.ends)
	s.mu.Unlock()
	if !good {
		// An error that quotes the request is what a server in debug mode does.
		fail(w, http.StatusUnauthorized, "Your request was made with invalid credentials. "+id)
		return
	}
	next(w, r)
}

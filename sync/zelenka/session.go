package zelenka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

const (
	// tokenLife is how long an access token lives when the answer does not say
	// (api_docs_auth: 86400).
	tokenLife = 24 * time.Hour

	// refreshLife is how long a refresh token is relied on. It lives a month
	// (api_docs_auth), and February is one.
	refreshLife = 27 * 24 * time.Hour

	// renewBefore is how long before its end a token is replaced, so that it does
	// not end in the middle of a long upload.
	renewBefore = 30 * time.Minute

	// refusedFor is how long a refused login is not tried again: several callers
	// must not try a wrong key one after the other.
	refusedFor = time.Minute
)

// session holds the tokens of the account. It may be used by several goroutines.
type session struct {
	rest          *rest.Client
	username, key string
	now           func() time.Time
	log           zerolog.Logger

	turn chan struct{} // held by the one who renews the tokens

	mu          sync.Mutex
	access      string
	refresh     string
	renew, ends time.Time // of access
	refreshEnds time.Time
	refused     error // what the last login said, nil after a good one
	refusedAt   time.Time
	secrets     []string // tokens that an answer may still quote, newest last
}

func newSession(client *rest.Client, username, key string, now func() time.Time, log zerolog.Logger) *session {
	return &session{rest: client, username: username, key: key, now: now, log: log, turn: make(chan struct{}, 1)}
}

// token returns an access token other than the one that was refused. It is new
// when the old one ends soon; however many callers there are, one of them fetches
// it.
func (s *session) token(ctx context.Context, refused string) (string, error) {
	if token := s.good(refused); token != "" {
		return token, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("cannot log in to Zelenka: %w", ctx.Err())
	}
	if token := s.good(refused); token != "" {
		return token, nil
	}
	err := s.extend(ctx, refused)
	if err != nil {
		err = s.login(ctx)
	}
	if err == nil {
		return s.current(), nil
	}
	if token := s.usable(refused); token != "" && rest.Retryable(err) {
		return token, nil // there is half an hour left to try again
	}
	return "", err
}

// good is the access token when it need not be renewed yet.
func (s *session) good(refused string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.access == refused || !s.now().Before(s.renew) {
		return ""
	}
	return s.access
}

// usable is the access token when it has not ended.
func (s *session) usable(refused string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.access == refused || !s.now().Before(s.ends) {
		return ""
	}
	return s.access
}

func (s *session) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access
}

// errNoRefresh sends token on to the login.
var errNoRefresh = errors.New("there is no refresh token to use")

// extend gets an access token for the refresh token. A token that was refused
// before its time is not extended: what withdrew it may have withdrawn both.
func (s *session) extend(ctx context.Context, refused string) error {
	s.mu.Lock()
	refresh := s.refresh
	if !s.now().Before(s.refreshEnds) || (refused != "" && s.access == refused) {
		refresh = ""
	}
	s.mu.Unlock()
	if refresh == "" {
		return errNoRefresh
	}
	body := append([]byte(`{"refresh_token":`), quote(refresh)...)
	tokens, err := s.ask(ctx, "/auth/refresh", append(body, '}'))
	if err != nil {
		s.log.Debug().Str("kind", string(rest.KindOf(err))).Msg("zelenka did not extend the session")
		return err
	}
	tokens.refresh = "" // the old one stays valid until its own month ends
	s.keep(tokens)
	return nil
}

// login gets tokens for the name and the key.
func (s *session) login(ctx context.Context) error {
	if err := s.recentlyRefused(); err != nil {
		return err
	}
	body := append([]byte(`{"username":`), quote(s.username)...)
	body = append(body, `,"apikey":`...)
	body = append(body, quote(s.key)...)
	tokens, err := s.ask(ctx, "/auth/login", append(body, '}'))
	if err != nil {
		err = s.clean(fmt.Errorf("cannot log in to Zelenka, check the target's username and key_file: %w", err))
		switch rest.KindOf(err) {
		case rest.Unauthorized, rest.Forbidden, rest.Invalid:
			s.mu.Lock()
			s.refused, s.refusedAt = err, s.now()
			s.mu.Unlock()
		}
		return err
	}
	s.keep(tokens)
	s.log.Debug().Msg("logged in to zelenka")
	return nil
}

func (s *session) recentlyRefused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.now().Sub(s.refusedAt)
	if s.refused == nil || age < 0 || age >= refusedFor {
		return nil
	}
	return s.refused
}

func (s *session) ask(ctx context.Context, path string, body []byte) (tokens, error) {
	resp, err := s.rest.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: path, Budget: "auth", Header: jsonHeader(), Body: body, Repeatable: true,
	})
	if err != nil {
		return tokens{}, err
	}
	defer resp.Body.Close()
	t, err := decodeTokens(resp.Body)
	if err != nil {
		return tokens{}, resp.Broken(err)
	}
	return t, nil
}

// keep takes new tokens into use.
func (s *session) keep(t tokens) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access, s.refused = t.access, nil
	s.ends = now.Add(t.life)
	s.renew = s.ends.Add(-min(renewBefore, t.life/4))
	s.secrets = append(s.secrets, t.access)
	if t.refresh != "" {
		s.refresh, s.refreshEnds = t.refresh, now.Add(refreshLife)
		s.secrets = append(s.secrets, t.refresh)
	}
	const remembered = 8
	s.secrets = s.secrets[max(0, len(s.secrets)-remembered):]
}

// clean takes tokens out of what the server says, because it may quote them. The
// error must not have been given to anybody yet.
func (s *session) clean(err error) error {
	if fault, ok := errors.AsType[*rest.Error](err); ok {
		fault.Detail = s.hide(fault.Detail)
	}
	return err
}

func (s *session) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range append([]string{s.refresh}, s.secrets...) {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return s.rest.Clean(text)
}

// quote is a JSON string. Names and keys come from a person's file: what is not
// UTF-8 is replaced and will be refused.
func quote(text string) []byte {
	quoted, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD"))
	return quoted
}

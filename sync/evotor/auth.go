package evotor

import (
	"fmt"
	"net/http"
	"sync"

	"ostatok/sync/rest"
)

// The forms in which code that evidently works sends the token (evotor-cloud §2).
const (
	AuthBearer = "bearer"          // Authorization: Bearer TOKEN
	AuthRaw    = "raw"             // Authorization: TOKEN
	AuthX      = "x-authorization" // X-Authorization: TOKEN
)

// auth holds the token and the form in which it is accepted.
type auth struct {
	token    string
	remember func(form string)

	mu   sync.Mutex
	form string
}

func newAuth(token, form string, remember func(string)) (*auth, error) {
	switch form {
	case "":
		form = AuthBearer
	case AuthBearer, AuthRaw, AuthX:
	default:
		return nil, fmt.Errorf("cannot use %q as evotor.auth: it is one of %s, %s, %s", form, AuthBearer, AuthRaw, AuthX)
	}
	return &auth{token: token, form: form, remember: remember}, nil
}

// try calls with the current form, and once more with the other form of the
// same header when the token is refused: the documentation does not agree with
// itself on which it is. X-Authorization is used only when configured.
func (a *auth) try(call func(form string) error) error {
	a.mu.Lock()
	form := a.form
	a.mu.Unlock()
	err := call(form)
	if rest.KindOf(err) != rest.Unauthorized || form == AuthX {
		return err
	}
	other := AuthBearer
	if form == AuthBearer {
		other = AuthRaw
	}
	again := call(other)
	if rest.KindOf(again) == rest.Unauthorized {
		return err
	}
	if again == nil {
		a.accept(other)
	}
	return again
}

// accept keeps the form that worked.
func (a *auth) accept(form string) {
	a.mu.Lock()
	changed := a.form != form
	a.form = form
	a.mu.Unlock()
	if changed && a.remember != nil {
		a.remember(form)
	}
}

// header returns a copy of h with the token and the accepted media type.
func (a *auth) header(h http.Header, form string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("Accept", mediaType)
	switch form {
	case AuthBearer:
		h.Set("Authorization", "Bearer "+a.token)
	case AuthRaw:
		h.Set("Authorization", a.token)
	case AuthX:
		h.Set("X-Authorization", a.token)
	}
	return h
}

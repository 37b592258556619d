package page

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

func (p *Page) loginForm(v *visit) (view, error) {
	if v.session {
		return view{next: within(v.query("next"))}, nil
	}
	return v.askingCode("", 0), nil
}

// login opens a session for the right code.
func (p *Page) login(v *visit) (view, error) {
	if err := v.r.ParseForm(); err != nil {
		return v.askingCode(v.tooLarge, http.StatusRequestEntityTooLarge), nil
	}
	err := p.o.Access.check(v.ctx(), caller(v.r), v.r.PostForm.Get("code"))
	if locked, ok := errors.AsType[*lockedError](err); ok {
		seconds := int(math.Ceil(locked.wait.Seconds()))
		v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return v.askingCode(v.lockedOut(v.length(locked.wait)), http.StatusTooManyRequests), nil
	}
	switch {
	case errors.Is(err, errNoCode):
		return v.askingCode(v.codeMissing, http.StatusForbidden), nil
	case errors.Is(err, errWrongCode):
		p.o.Log.Warn().Stringer("from", caller(v.r)).Msg("wrong access code")
		return v.askingCode(v.codeWrong, http.StatusForbidden), nil
	case err != nil:
		return view{}, err
	}
	c, err := p.o.Access.open()
	if err != nil {
		return view{}, err
	}
	http.SetCookie(v.w, c)
	return view{next: within(v.r.PostForm.Get("next"))}, nil
}

func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	p.o.Access.end(r)
	http.SetCookie(w, cookie(sessionName, "", -time.Second))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (v *visit) askingCode(problem string, status int) view {
	next := v.query("next")
	if v.r.Method == http.MethodPost {
		next = v.r.PostForm.Get("next")
	}
	next = within(next)
	return view{title: v.loginTitle, status: status, body: nodes{
		el("section", class("card narrow"),
			el("h1", text(v.loginTitle)),
			el("p", text(v.loginText)),
			el("form", attr{"method", "post"}, attr{"action", "/login"},
				el("input", attr{"type", "hidden"}, attr{"name", "next"}, attr{"value", next}),
				el("label", attr{"for", "code"}, text(v.codeLabel)),
				el("input", id("code"), attr{"name", "code"}, attr{"type", "password"}, attr{"autocomplete", "current-password"},
					attr{"required", ""}, attr{"autofocus", ""}, attr{"maxlength", strconv.Itoa(codeMost)},
					when(problem != "", attrs{{"aria-invalid", "true"}, {"aria-describedby", "problem"}})),
				when(problem != "", el("p", id("problem"), class("problem"), attr{"role", "alert"}, text(problem))),
				el("button", class("main"), text(v.logIn)),
			),
		),
	}}
}

// length writes a time to wait.
func (w *words) length(d time.Duration) string {
	if d <= 90*time.Second {
		return w.plural(int(math.Ceil(d.Seconds())), w.seconds)
	}
	return w.plural(int(math.Ceil(d.Minutes())), w.minutes)
}

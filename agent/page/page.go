// Package page is the shop's page in a browser: how it is, what is on the
// shelf and why, what must be counted, what would be written where. It is made
// on the server and readable without scripts; a small script adds live figures
// and search as one types. Health and metrics for programs are here too.
package page

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/local"
)

//go:embed assets
var assets embed.FS

// Options are what the page is made of.
type Options struct {
	Shop     Shop  // nil while there is no configuration: only Setup is shown
	Setup    Setup // needed without a Shop
	Access   *Access
	Hosts    []string       // names by which the box is called, besides localhost and IP addresses
	Language string         // ru or en; a visitor can switch
	Location *time.Location // the shop's time zone
	Now      func() time.Time
	Log      zerolog.Logger
}

// Page serves the shop's page.
type Page struct {
	o       Options
	hosts   []string
	words   map[string]*words
	version string // of the assets, so that a browser never mixes two releases
	handler http.Handler
	live    hub
	draft   draft

	countables tally
	walk       chan struct{} // held by whoever goes through the catalogue
}

// New makes the page; it is an http.Handler for everything under /.
func New(o Options) *Page {
	p := &Page{o: o, walk: make(chan struct{}, 1), words: map[string]*words{"ru": russian(), "en": english()}}
	if p.words[o.Language] == nil {
		p.o.Language = "ru"
	}
	for _, h := range o.Hosts {
		p.hosts = append(p.hosts, strings.ToLower(h))
	}
	p.version = fingerprint()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.HandleFunc("GET /assets/{file}", p.asset)
	mux.HandleFunc("GET /login", p.screen(p.loginForm))
	mux.HandleFunc("POST /login", p.screen(p.login))
	mux.HandleFunc("POST /logout", p.logout)
	if o.Shop == nil {
		p.setupRoutes(mux)
	} else {
		p.shopRoutes(mux)
	}
	p.handler = p.guard(mux)
	return p
}

func (p *Page) shopRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.reading(p.screen(p.overview)))
	mux.HandleFunc("GET /stock", p.reading(p.screen(p.stock)))
	mux.HandleFunc("GET /stock.csv", p.reading(p.stockCSV))
	mux.HandleFunc("GET /product", p.reading(p.screen(p.product)))
	mux.HandleFunc("GET /count", p.reading(p.screen(p.count)))
	mux.HandleFunc("GET /plan", p.reading(p.screen(p.plan)))
	mux.HandleFunc("POST /plan/approve", p.deciding(p.screen(p.approve)))
	mux.HandleFunc("POST /plan/reject", p.deciding(p.screen(p.reject)))
	mux.HandleFunc("GET /targets", p.reading(p.screen(p.targets)))
	mux.HandleFunc("GET /events", p.reading(p.screen(p.events)))
	mux.HandleFunc("GET /live", p.reading(p.follow))
	mux.HandleFunc("GET /metrics", p.reading(p.metrics))
	mux.HandleFunc("GET /", p.reading(p.screen(func(v *visit) (view, error) {
		return view{}, &local.Error{Code: local.NotFound, Message: v.noPage}
	})))
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// visit is one request by one person.
type visit struct {
	clock
	p       *Page
	w       http.ResponseWriter
	r       *http.Request
	session bool // the access code was given
}

func (p *Page) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{
		clock: clock{p.words[p.language(w, r)], p.o.Now().In(p.o.Location)},
		p:     p, w: w, r: r, session: p.o.Access.session(r),
	}
}

// language is what a person reads; one that is asked for is kept, also by who is
// sent on to another screen.
func (p *Page) language(w http.ResponseWriter, r *http.Request) string {
	language := p.o.Language
	if c, err := r.Cookie(languageName); err == nil && p.words[c.Value] != nil {
		language = c.Value
	}
	if asked := r.URL.Query().Get("lang"); p.words[asked] != nil {
		language = asked
		http.SetCookie(w, cookie(languageName, language, 365*24*time.Hour))
	}
	return language
}

const languageName = "ostatok_lang"

func (v *visit) ctx() context.Context     { return v.r.Context() }
func (v *visit) query(name string) string { return v.r.URL.Query().Get(name) }

// view is what a screen shows inside the frame that all screens share.
type view struct {
	title  string
	at     string // the entry of the menu that it belongs to, "" for none
	status int    // 0 is 200
	live   string // what it is refreshed on: "all", "figures" or ""
	body   nodes
	next   string // go there instead of showing anything
}

// screen turns what makes a view into a handler.
func (p *Page) screen(show func(*visit) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := p.visit(w, r)
		shown, err := show(v)
		if err != nil {
			if r.Context().Err() != nil {
				return // nobody is waiting any more
			}
			shown = v.failed(err)
		}
		if shown.next != "" {
			http.Redirect(w, r, shown.next, http.StatusSeeOther)
			return
		}
		b := render(v.frame(shown))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if shown.status != 0 {
			w.WriteHeader(shown.status)
		}
		if _, err := b.WriteTo(w); err != nil {
			p.o.Log.Debug().Err(err).Msg("page not sent")
		}
	}
}

// failed is the view of an error; only what was meant for a person is shown.
func (v *visit) failed(err error) view {
	shown := view{title: v.failedTitle, status: http.StatusInternalServerError}
	message := v.failedText
	if e, ok := errors.AsType[*local.Error](err); ok && e.Code != local.Internal {
		message = e.Message
		shown.status = http.StatusConflict
		if e.Code == local.NotFound {
			shown.title, shown.status = v.notFoundTitle, http.StatusNotFound
		}
	} else {
		v.p.o.Log.Error().Err(err).Str("path", v.r.URL.Path).Msg("page failed")
	}
	shown.body = nodes{
		el("h1", text(shown.title)),
		el("p", class("lead"), text(message)),
		el("p", el("a", href("/"), text(v.toOverview))),
	}
	return shown
}

// reading is for those who may read; others are asked for the code.
func (p *Page) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.reads(r) {
			next(w, r)
			return
		}
		p.askCode(w, r)
	}
}

// deciding is for what changes something: it needs the code, also at the box.
func (p *Page) deciding(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.o.Access.session(r) {
			next(w, r)
			return
		}
		p.askCode(w, r)
	}
}

// askCode sends a person to the form and tells a program what is missing.
func (p *Page) askCode(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("WWW-Authenticate", `Bearer realm="ostatok"`)
		http.Error(w, "The access code is needed: Authorization: Bearer CODE.", http.StatusUnauthorized)
		return
	}
	p.language(w, r)
	back := "/"
	if r.Method == http.MethodGet {
		back = r.URL.RequestURI()
	} else if u, err := url.Parse(r.Referer()); err == nil && p.ours(u.Host) {
		back = within(u.RequestURI())
	}
	http.Redirect(w, r, "/login?"+url.Values{"next": {back}}.Encode(), http.StatusSeeOther)
}

// asset serves the style, the script and the sign.
func (p *Page) asset(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, assets, "assets/"+r.PathValue("file"))
}

func fingerprint() string {
	h := sha256.New()
	// The files are in the binary: walking them cannot fail.
	_ = fs.WalkDir(assets, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := assets.ReadFile(path)
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:6])
}

package page

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// backendsMost is how many systems the form takes.
const backendsMost = 8

// draft is what has been filled in so far. It stays here and not in the form's
// fields, so that no secret is ever in a page. There is one, for one box is set
// up by one person.
type draft struct {
	mu       sync.Mutex
	settings Settings
	stores   []Store
	saved    bool
}

func (p *Page) setupRoutes(mux *http.ServeMux) {
	step := func(pattern string, do func(*visit) (string, error)) {
		mux.HandleFunc(pattern, p.deciding(p.screen(func(v *visit) (view, error) {
			if err := v.r.ParseForm(); err != nil {
				return v.setupView(trouble{text: v.tooLarge}), nil
			}
			problem, err := do(v)
			wrong := trouble{text: problem, path: v.r.URL.Path}
			if err != nil {
				p.o.Log.Warn().Err(err).Str("step", wrong.path).Msg("setup step failed")
				wrong.text = v.setup.failed
			}
			if e, ok := errors.AsType[*TrialError](err); ok && v.setup.trials[e.Why] != "" {
				wrong.text, wrong.detail = v.setup.trials[e.Why], e.Error()
			}
			if wrong.text != "" {
				return v.setupView(wrong), nil
			}
			return view{next: "/setup"}, nil
		})))
	}
	mux.HandleFunc("GET /setup", p.deciding(p.screen(func(v *visit) (view, error) { return v.setupView(trouble{}), nil })))
	step("POST /setup/token", p.setupToken)
	step("POST /setup/store", p.setupStore)
	step("POST /setup/backend", p.setupBackend)
	step("POST /setup/remove", p.setupRemove)
	step("POST /setup/save", p.setupSave)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		p.language(w, r)
		http.Redirect(w, r, "/setup", http.StatusSeeOther)
	})
}

func (p *Page) setupToken(v *visit) (string, error) {
	token := v.r.PostForm.Get("token")
	if token == "" {
		return v.setup.incomplete, nil
	}
	stores, err := p.o.Setup.Stores(v.ctx(), token)
	if err != nil {
		return "", err
	}
	if len(stores) == 0 {
		return v.setup.noStores, nil
	}
	d := &p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings.Token, d.settings.Store, d.stores = token, "", stores
	if len(stores) == 1 {
		d.settings.Store = stores[0].ID
	}
	return "", nil
}

func (p *Page) setupStore(v *visit) (string, error) {
	d := &p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	store := v.r.PostForm.Get("store")
	if !slices.ContainsFunc(d.stores, func(s Store) bool { return s.ID == store }) {
		return v.setup.incomplete, nil
	}
	d.settings.Store = store
	return "", nil
}

func (p *Page) setupBackend(v *visit) (string, error) {
	form := v.r.PostForm
	b := Backend{
		Name: form.Get("name"), Kind: form.Get("kind"), URL: form.Get("url"), Username: form.Get("username"),
		Key: form.Get("key"), Warehouse: form.Get("warehouse"), Match: form.Get("match"),
	}
	if b.Name == "" || v.setup.kinds[b.Kind] == "" || b.URL == "" || b.Key == "" || b.Warehouse == "" ||
		v.setup.matches[b.Match] == "" || (b.Kind == "zelenka" && b.Username == "") {
		return v.setup.incomplete, nil
	}
	if err := p.o.Setup.Try(v.ctx(), b); err != nil {
		return "", err
	}
	d := &p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(d.settings.Backends), func(have Backend) bool { return have.Name == b.Name })
	if len(list) >= backendsMost {
		return v.setup.full, nil
	}
	d.settings.Backends = append(list, b)
	return "", nil
}

func (p *Page) setupRemove(v *visit) (string, error) {
	d := &p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings.Backends = slices.DeleteFunc(d.settings.Backends, func(b Backend) bool { return b.Name == v.r.PostForm.Get("name") })
	return "", nil
}

func (p *Page) setupSave(v *visit) (string, error) {
	d := &p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settings.Token == "" || d.settings.Store == "" {
		return v.setup.order, nil
	}
	s := d.settings
	s.Language = v.language
	if err := p.o.Setup.Save(v.ctx(), s); err != nil {
		return "", err
	}
	d.settings, d.stores, d.saved = Settings{}, nil, true
	return "", nil
}

// trouble is why a step could not be done.
type trouble struct {
	text   string
	detail string // for whoever knows the system
	path   string // that its form was sent to
}

func (v *visit) trouble(t trouble) node {
	return el("div", el("p", class("problem"), attr{"role", "alert"}, text(t.text)), v.technical(t.detail))
}

// setupView shows the steps as far as they can be done, and what was wrong with
// the last one.
func (v *visit) setupView(wrong trouble) view {
	d := &v.p.draft
	d.mu.Lock()
	defer d.mu.Unlock()
	words := &v.setup
	if d.saved {
		v.w.Header().Set("Refresh", "5; url=/")
		return view{title: words.title, body: nodes{
			el("section", class("card narrow"), el("h1", text(words.saved)), el("p", text(words.savedText)),
				el("p", el("a", href("/"), text(v.toOverview)))),
		}}
	}
	say := func(step string) part { return when(wrong.text != "" && wrong.path == step, v.trouble(wrong)) }
	body := nodes{el("h1", text(words.title)), el("p", class("lead"), text(words.lead))}
	stepShown := wrong.path == "/setup/token" || (wrong.path == "/setup/store" && d.settings.Token != "") || d.settings.Store != ""
	if wrong.text != "" && (wrong.path == "" || !stepShown) {
		body = append(body, v.trouble(wrong))
	}
	body = append(body, v.tokenStep(d, say("/setup/token")))
	if d.settings.Token != "" {
		body = append(body, v.storeStep(d, say("/setup/store")))
	}
	if d.settings.Store != "" {
		body = append(body, v.backendStep(d, say("/setup/backend"), wrong.text != ""), el("section", class("card"),
			el("h2", text(words.saveTitle)), el("p", text(words.saveText)), say("/setup/save"),
			el("form", attr{"method", "post"}, attr{"action", "/setup/save"}, el("button", class("main"), text(words.saveDo)))))
	}
	status := 0
	if wrong.text != "" {
		status = http.StatusUnprocessableEntity
	}
	return view{title: words.title, status: status, body: body}
}

func (v *visit) tokenStep(d *draft, problem part) node {
	words := &v.setup
	form := el("form", attr{"method", "post"}, attr{"action", "/setup/token"},
		el("label", attr{"for", "token"}, text(words.tokenLabel)),
		el("input", id("token"), attr{"name", "token"}, attr{"type", "password"}, attr{"autocomplete", "off"}, attr{"required", ""}),
		problem,
		el("button", class("main"), text(words.tokenDo)))
	if d.settings.Token != "" && problem == nil {
		return el("section", class("card"), el("h2", text(words.tokenTitle)), el("p", badge("good", words.tokenKept)),
			el("details", el("summary", text(words.tokenAgain)), form))
	}
	return el("section", class("card"), el("h2", text(words.tokenTitle)), el("p", text(words.tokenText)), form)
}

func (v *visit) storeStep(d *draft, problem part) node {
	words := &v.setup
	return el("section", class("card"),
		el("h2", text(words.storeTitle)), el("p", text(words.storeText)),
		el("form", attr{"method", "post"}, attr{"action", "/setup/store"},
			el("fieldset", el("legend", class("hidden"), text(words.storeTitle)), each(d.stores, func(s Store) node {
				return el("label", class("check"),
					el("input", attr{"type", "radio"}, attr{"name", "store"}, attr{"value", s.ID}, attr{"required", ""},
						when(s.ID == d.settings.Store, attr{"checked", ""})),
					el("span", name(s.Name), text(" "), el("small", text(s.ID))))
			})),
			problem,
			el("button", when(d.settings.Store == "", class("main")), text(words.storeDo))))
}

// backendStep keeps what was typed when a trial failed, except the key.
func (v *visit) backendStep(d *draft, problem part, again bool) node {
	words := &v.setup
	kept := func(field string) string {
		if again && v.r.URL.Path == "/setup/backend" {
			return v.r.PostForm.Get(field)
		}
		return ""
	}
	input := func(field, title, kind string, required bool) nodes {
		return nodes{
			el("label", attr{"for", field}, text(title)),
			el("input", id(field), attr{"name", field}, attr{"type", kind}, attr{"autocomplete", "off"},
				when(required, attr{"required", ""}), when(kind != "password", attr{"value", kept(field)})),
		}
	}
	choose := func(field, title string, options map[string]string) nodes {
		list := nodes{}
		for _, o := range slices.Sorted(maps.Keys(options)) {
			list = append(list, el("option", attr{"value", o}, when(o == kept(field), attr{"selected", ""}), text(options[o])))
		}
		return nodes{el("label", attr{"for", field}, text(title)), el("select", id(field), attr{"name", field}, list)}
	}
	return el("section", class("card"),
		el("h2", text(words.backendsTitle)), el("p", text(words.backendsText)),
		when(len(d.settings.Backends) > 0, el("ul", class("marks"), each(d.settings.Backends, func(b Backend) node {
			return el("li", badge("good", words.kinds[b.Kind]), text(" "), name(b.Name), text(" "),
				el("form", class("inline"), attr{"method", "post"}, attr{"action", "/setup/remove"},
					el("input", attr{"type", "hidden"}, attr{"name", "name"}, attr{"value", b.Name}),
					el("button", class("plain"), label(words.remove+" "+b.Name), text(words.remove))))
		}))),
		el("form", class("fields"), attr{"method", "post"}, attr{"action", "/setup/backend"},
			choose("kind", words.kind, words.kinds), input("name", words.name, "text", true), input("url", words.url, "url", true),
			input("username", words.username+" (Zelenka)", "text", false), input("key", words.key, "password", true),
			input("warehouse", words.warehouse, "text", true), choose("match", words.match, words.matches),
			problem,
			el("button", text(words.backendDo))))
}

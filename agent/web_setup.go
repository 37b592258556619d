package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/page"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
)

// SetupOptions are what the first start needs.
type SetupOptions struct {
	File    string   // of the configuration that is to be made
	Environ []string // "NAME=value": its layer counts already

	// Say tells whoever installs where the form is and the code that it asks for;
	// the code is told nowhere else.
	Say func(address, code string)

	Options
}

const (
	trialTime   = 10 * time.Second // for one question to the cloud or a backend
	partingLook = 15 * time.Second // for the browser to fetch the last page

	// trialRate lets a trial's one request leave at once: a new client waits as if
	// another had just sent one, and a person who tries again has waited already.
	trialRate = 600
)

// Setup serves the form that makes the first configuration, and nothing else. It
// returns nil when the configuration is written, or ctx's error.
func Setup(ctx context.Context, o SetupOptions) error {
	s := &setup{SetupOptions: o, saved: make(chan struct{}), seen: make(chan struct{}, 1)}
	base, err := s.parse(page.Settings{Store: anyStore})
	if err != nil {
		return err
	}
	s.base = base
	s.Transport = transport(base, o.Options)
	place, err := location(base, o.Options)
	if err != nil {
		o.Log.Warn().Err(err).Msg("no time zone")
	}
	if base.Local.Listen == "" {
		return fmt.Errorf("cannot serve the setup page: local.listen is empty in the environment; write the configuration %s by hand", o.File)
	}
	code, err := page.NewCode(rand.Reader)
	if err != nil {
		return err
	}
	hash, err := page.HashCode(code)
	if err != nil {
		return err
	}
	access, err := page.NewAccess(func() []byte { return hash }, o.Now, rand.Reader)
	if err != nil {
		return err
	}
	s.hash = string(hash)
	p := page.New(page.Options{
		Setup: s, Access: access, Hosts: hostNames(base.Local.Listen), Language: base.Language,
		Location: place, Now: o.Now, Log: o.Log,
	})
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", base.Local.Listen)
	if err != nil {
		return fmt.Errorf("cannot serve the setup page: %w; free the address, or set another one as OSTATOK_LOCAL_LISTEN", err)
	}
	o.Say("http://"+l.Addr().String(), code)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last sync.WaitGroup
	last.Go(func() {
		select {
		case <-s.saved:
			s.part(ctx)
			cancel()
		case <-ctx.Done():
		}
	})
	err = page.Serve(ctx, l, s.watched(p), o.Log)
	last.Wait()
	if s.isSaved() {
		return nil
	}
	return cmp.Or(err, ctx.Err())
}

// watched notices when somebody has seen that all is saved.
func (s *setup) watched(p http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saved := s.isSaved()
		p.ServeHTTP(w, r)
		if saved && r.Method == http.MethodGet {
			select {
			case s.seen <- struct{}{}:
			default:
			}
		}
	})
}

// part waits until the browser has the last page, which leads it to the agent's.
func (s *setup) part(ctx context.Context) {
	patience := time.NewTimer(partingLook)
	defer patience.Stop()
	select {
	case <-s.seen:
	case <-patience.C:
	case <-ctx.Done():
	}
}

func (s *setup) isSaved() bool {
	select {
	case <-s.saved:
		return true
	default:
		return false
	}
}

// anyStore stands for the shop until one is chosen.
const anyStore = "20000101-0000-4000-8000-000000000000"

// setup is page.Setup: it tries what is entered and writes the files.
type setup struct {
	SetupOptions
	base *config.Config // of the environment and the defaults
	hash string         // of the access code

	once  sync.Once
	saved chan struct{}
	seen  chan struct{} // holds one
}

// Stores implements page.Setup.
func (s *setup) Stores(ctx context.Context, token string) ([]page.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	if token = strings.TrimSpace(token); strings.ContainsAny(token, " \t\r\n") {
		return nil, &page.TrialError{Why: page.Malformed, Err: errors.New("a token is one word")}
	}
	c, err := evotor.New(evotor.Options{
		URL: s.base.Evotor.URL, Token: token, Auth: s.base.Evotor.Auth, Transport: s.Transport,
		Version: s.Build.Version, Now: s.Now, Log: s.Log, MaxWait: trialTime,
	})
	if err != nil {
		return nil, &page.TrialError{Why: page.Malformed, Err: err}
	}
	defer c.Close()
	stores, err := c.Stores(ctx)
	if err != nil {
		return nil, tried(ctx, err)
	}
	list := make([]page.Store, len(stores))
	for i, store := range stores {
		list[i] = page.Store{ID: store.ID, Name: cmp.Or(store.Name, store.Address)}
	}
	return list, nil
}

// Try implements page.Setup.
func (s *setup) Try(ctx context.Context, b page.Backend) error {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	c, err := s.parse(page.Settings{Store: anyStore, Backends: []page.Backend{b}})
	if err == nil && strings.ContainsAny(strings.TrimSpace(b.Key), " \t\r\n") {
		err = errors.New("a key is one word")
	}
	if err != nil {
		return &page.TrialError{Why: page.Malformed, Err: err}
	}
	c.Targets[0].Key = config.NewSecret(strings.TrimSpace(b.Key))
	c.Targets[0].Rate = trialRate
	all, err := connect(c.Targets, clientOptions{version: s.Build.Version, transport: s.Transport, now: s.Now, log: s.Log})
	if err != nil {
		return &page.TrialError{Why: page.Malformed, Err: err}
	}
	defer all.Close()
	if _, err = all.list[0].check(ctx); err != nil {
		return tried(ctx, err)
	}
	return nil
}

// tried says what came of asking a system.
func tried(ctx context.Context, err error) error {
	why := page.Strange
	switch rest.KindOf(err) {
	case rest.Unauthorized:
		why = page.Refused
	case rest.Forbidden, rest.NotInstalled:
		why = page.NoRight
	case rest.NotFound, rest.Gone:
		why = page.NotThere
	case rest.Temporary, rest.RateLimited:
		why = page.Unreachable
	}
	if ctx.Err() != nil {
		why = page.Unreachable
	}
	return &page.TrialError{Why: why, Err: err}
}

// Save implements page.Setup: first the secrets, and then the configuration, whose
// presence says that all is there.
func (s *setup) Save(_ context.Context, settings page.Settings) error {
	if _, err := s.parse(settings); err != nil {
		return &page.TrialError{Why: page.Malformed, Err: err}
	}
	if err := s.write(settings); err != nil {
		return &page.TrialError{Why: page.NotSaved, Err: err}
	}
	s.Log.Info().Str("file", s.File).Msg("configuration written by the setup page")
	s.once.Do(func() { close(s.saved) })
	return nil
}

func (s *setup) write(settings page.Settings) error {
	switch _, err := os.Stat(s.File); {
	case err == nil:
		return fmt.Errorf("%s is there already: somebody else has made it; nothing was written", s.File)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.File), 0o750); err != nil {
		return err
	}
	files := [][2]string{
		{s.beside("access"), accessHead + s.hash + "\n"},
		{s.beside("evotor.token"), strings.TrimSpace(settings.Token) + "\n"},
	}
	for _, b := range settings.Backends {
		files = append(files, [2]string{s.keyFile(&b), strings.TrimSpace(b.Key) + "\n"})
	}
	files = append(files, [2]string{s.File, s.text(settings)})
	for _, f := range files {
		if err := writeSecret(f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

// beside is a file in the configuration's folder.
func (s *setup) beside(name string) string {
	file, err := filepath.Abs(s.File)
	if err != nil {
		file = s.File // then the check of the configuration says so
	}
	return filepath.Join(filepath.Dir(file), name)
}

func (s *setup) keyFile(b *page.Backend) string { return s.beside("target-" + b.Name + ".key") }

// parse is the configuration that the settings make, without its secrets.
func (s *setup) parse(settings page.Settings) (*config.Config, error) {
	return config.Parse(s.File, []byte(s.text(settings)), s.Environ)
}

// text is the configuration's file. What is not in it has its default.
func (s *setup) text(settings page.Settings) string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, quoted(value)) }
	fmt.Fprintf(&b, "# Made by the setup page, %s.\n# Every key and its meaning: ostatok config init\n", s.Now().UTC().Format(time.DateOnly))
	line("store", settings.Store)
	if s.File != config.DefaultFile {
		line("data_dir", s.beside("data"))
	}
	if settings.Language != "" {
		line("language", settings.Language)
	}
	b.WriteString("\n[evotor]\n")
	line("token_file", s.beside("evotor.token"))
	b.WriteString("\n[local]\n")
	line("access_file", s.beside("access"))
	for i := range settings.Backends {
		t := &settings.Backends[i]
		b.WriteString("\n[[target]]\n")
		line("name", t.Name)
		line("kind", t.Kind)
		line("url", t.URL)
		if t.Kind == config.Zelenka {
			line("username", t.Username)
		}
		line("key_file", s.keyFile(t))
		line("warehouse", t.Warehouse)
		line("match", t.Match)
	}
	return b.String()
}

// quoted is a text as TOML has it. Control characters are left out: they are
// part of no setting.
func quoted(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

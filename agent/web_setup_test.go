package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/platform/network/networktest"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
)

// first is a box without a configuration, with the cloud and a KeyCRM around it.
type first struct {
	*box
	folder string
	setup  agent.SetupOptions
	crm    string // address of KeyCRM
	told   chan [2]string
}

func newFirst(t testing.TB, shop *evotortest.Shop) *first {
	t.Helper()
	f := &first{box: boxOf(t, shop, evotortest.CloudOptions{}), folder: t.TempDir(), told: make(chan [2]string, 1)}
	crm := keycrmtest.New(keycrmtest.Options{Keys: []string{"crm-key"}, Rate: -1})
	crm.AddWarehouse(2, "Shop")
	for _, p := range f.shop.Products() {
		crm.AddOffer(p.Code)
	}
	server := httptest.NewServer(crm)
	t.Cleanup(server.Close)
	f.crm = server.URL + "/v1"
	began := time.Now() // a clock that goes on: KeyCRM's pace is kept by it
	f.options.Now = func() time.Time { return f.shop.Now().Add(time.Since(began)) }
	listen := f.config.Local.Listen
	f.setup = agent.SetupOptions{
		File: filepath.Join(f.folder, "etc", "ostatok.toml"), Options: f.options,
		Environ: []string{"OSTATOK_EVOTOR_URL=" + f.config.Evotor.URL, "OSTATOK_LOCAL_LISTEN=" + listen},
		Say:     func(address, code string) { f.told <- [2]string{address, code} },
	}
	return f
}

// run is `ostatok run`: setup where there is no configuration, and then the agent.
func (f *first) run(ctx context.Context) error {
	if err := agent.Setup(ctx, f.setup); err != nil {
		return err
	}
	c, err := config.Load(f.setup.File, f.setup.Environ)
	if err != nil {
		return err
	}
	_, err = agent.Serve(ctx, c, f.options)
	return err
}

// begin runs it until the test ends.
func (f *first) begin() (address, code string) {
	ctx, stop := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	f.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && ctx.Err() == nil {
			f.t.Error(err)
		}
	})
	select {
	case told := <-f.told:
		return told[0], told[1]
	case err := <-done:
		f.t.Fatal(err)
	}
	return "", ""
}

// From nothing to the first figures, by forms alone.
func TestSetup(t *testing.T) {
	f := newFirst(t, smallShop())
	f.setup.Environ[1] = "OSTATOK_LOCAL_LISTEN=" + networktest.FreeAddress(t)
	address, code := f.begin()
	v := visit(t, address)
	says := func(want string, status int, text string) {
		t.Helper()
		if !strings.Contains(text, want) {
			t.Fatalf("%d, and not %q:\n%s", status, want, text)
		}
		for _, secret := range []string{"a-token", "crm-key", code} {
			if strings.Contains(text, secret) {
				t.Errorf("a page holds %s", secret)
			}
		}
	}
	post := func(want, path string, pairs ...string) {
		t.Helper()
		status, text := v.post(path, pairs...)
		says(want, status, text)
	}
	v.has("/healthz", "ok")
	says("Код доступа", 0, v.get("/"))
	post("Код доступа", "/setup/token", "token", "a-token")
	post("Токен Эвотор", "/login", "code", code, "next", "/setup")
	post("не подходит", "/setup/token", "token", "another-token")
	post("неверно", "/setup/token", "token", "two words")
	post("Токен подошёл", "/setup/token", "token", " a-token\n")
	crm := func(change ...string) []string {
		form := []string{"name", "site", "kind", "keycrm", "url", f.crm, "key", "crm-key", "warehouse", "2", "match", "code"}
		for i := 0; i+1 < len(change); i += 2 {
			form = append(form, change[i], change[i+1])
		}
		return form
	}
	post("не подходит", "/setup/backend", crm("key", "wrong-key")...)
	post("никто не отвечает", "/setup/backend", crm("url", "http://"+networktest.FreeAddress(t)+"/v1")...)
	post("неверно", "/setup/backend", crm("warehouse", "two")...)
	post("неверно", "/setup/backend", crm("name", "a/b")...)
	post("неверно", "/setup/backend", crm("name", "evotor")...)
	post("KeyCRM", "/setup/backend", crm()...)
	if _, err := os.Stat(f.setup.File); err == nil {
		t.Fatal("something is written before it was said so")
	}
	post("Настройки сохранены", "/setup/save")

	until(t, "the agent has made its first sync", func() bool {
		resp, err := v.client.Get(v.url + "/?lang=en")
		if err != nil {
			return false // between the two
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == http.StatusOK && strings.Contains(v.get("/?lang=en"), "Approve what is written")
	})
	v.has("/targets", "site")
	// The code of the setup is the one of the page.
	if _, text := v.post("/login", "code", code); strings.Contains(text, `role="alert"`) {
		t.Errorf("the code is not the page's:\n%s", text)
	}
	f.judgeFiles(code, "site")
}

// judgeFiles looks at what was written: only the owner may read it, and nothing
// holds more secrets than it must.
func (f *first) judgeFiles(code, target string) {
	f.t.Helper()
	for name, holds := range map[string]string{
		"ostatok.toml": "", "evotor.token": "a-token\n", "access": "", "target-" + target + ".key": "crm-key\n",
	} {
		file := filepath.Join(filepath.Dir(f.setup.File), name)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			f.t.Fatalf("%s: %v, %v", name, info, err)
		}
		text, err := os.ReadFile(file)
		if err != nil || holds != "" && string(text) != holds {
			f.t.Errorf("%s holds %q, %v", name, text, err)
		}
		if holds == "" && regexp.MustCompile(`a-token|crm-key|`+regexp.QuoteMeta(code)).Match(text) {
			f.t.Errorf("%s holds a secret:\n%s", name, text)
		}
	}
}

// Nobody's configuration is ever written over.
func TestSetupLeavesAFileAlone(t *testing.T) {
	f := newFirst(t, smallShop())
	f.setup.Environ[1] = "OSTATOK_LOCAL_LISTEN=" + networktest.FreeAddress(t)
	address, code := f.begin()
	v := visit(t, address)
	v.post("/login", "code", code)
	v.post("/setup/token", "token", "a-token")
	if err := os.MkdirAll(filepath.Dir(f.setup.File), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.setup.File, []byte("# by hand\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, text := v.post("/setup/save"); !strings.Contains(text, "Настройки не записались") || !strings.Contains(text, "is there already") {
		t.Errorf("it says\n%s", text)
	}
	entries, err := os.ReadDir(filepath.Dir(f.setup.File))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestSetupStops(t *testing.T) {
	f := newFirst(t, smallShop())
	f.setup.Environ[1] = "OSTATOK_LOCAL_LISTEN=" + networktest.FreeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Setup(ctx, f.setup) }()
	<-f.told
	stop()
	if err := <-done; err == nil {
		t.Error("it says that a configuration was made")
	}
	f.setup.Environ = []string{"OSTATOK_LOCAL_LISTEN=nowhere"}
	if err := agent.Setup(t.Context(), f.setup); err == nil || !strings.Contains(err.Error(), "OSTATOK_LOCAL_LISTEN") {
		t.Errorf("a wrong environment: %v", err)
	}
}

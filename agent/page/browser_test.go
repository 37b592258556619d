//go:build browser

package page_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"

	"ostatok/agent/page"
)

// browser starts the system's chromium; OSTATOK_SHOTS names a folder for
// pictures of the screens.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.* , EXCLUDE localhost"),
		chromedp.Flag("lang", "ru"))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return limited
}

// serve runs a page on a port of its own and returns its address.
func serve(t *testing.T, o page.Options) (string, *page.Page) {
	t.Helper()
	p := build(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- page.Serve(ctx, l, p, zerolog.Nop()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String(), p
}

type step = chromedp.Action[chromedp.Void]

func shot(name string) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		folder := os.Getenv("OSTATOK_SHOTS")
		if folder == "" {
			return none, nil
		}
		picture, err := chromedp.FullScreenshot(100)(ctx, t)
		if err != nil {
			return none, err
		}
		return none, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644)
	}
}

// until asks the page until it says yes.
func until(condition string) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		for {
			yes, err := chromedp.Evaluate[bool](condition)(ctx, t)
			if err == nil && yes {
				return none, nil
			}
			select {
			case <-ctx.Done():
				return none, fmt.Errorf("never: %s (%w)", condition, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func inspect(complaints *[]string) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		*complaints, err = chromedp.Evaluate[[]string](sound)(ctx, t)
		return none, err
	}
}

func screen(wide, high int64) step {
	if wide < 600 {
		return chromedp.EmulateViewport(wide, high, chromedp.EmulatePortrait, chromedp.EmulateMobile)
	}
	return chromedp.EmulateViewport(wide, high)
}

func call[P any](command cdp.Command[P, cdp.Empty], params P) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, command, params)
		return none, err
	}
}

// sound is what axe would look at first, as a script that returns complaints.
const sound = `(() => {
  const bad = [];
  const visible = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
  if (!document.documentElement.lang) bad.push('no language');
  if (!document.title) bad.push('no title');
  if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
    const n = +h.tagName[1];
    if (n > level + 1) bad.push('heading skips a level: ' + h.textContent);
    level = n;
  }
  for (const e of document.querySelectorAll('input:not([type=hidden]),select,textarea')) {
    if (!e.labels?.length && !e.getAttribute('aria-label')) bad.push('field without a label: ' + e.name);
  }
  for (const e of document.querySelectorAll('a,button')) {
    if (visible(e) && !(e.textContent.trim() || e.getAttribute('aria-label'))) bad.push('control without a name: ' + e.outerHTML);
    if (e.tabIndex > 0) bad.push('order of focus forced: ' + e.outerHTML);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) bad.push('an id twice');
  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + '.' + e.className);
    bad.push('wider than the screen: ' + wide.slice(0, 5).join(' '));
  }
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255]; };
  for (const e of document.querySelectorAll('body *')) {
    if (!visible(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.closest('svg,.hidden,.skip')) continue;
    const style = getComputedStyle(e), a = light(rgba(style.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && +style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.push('contrast ' + ratio.toFixed(2) + ': ' + e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40));
  }
  return [...new Set(bad)];
})()`

var widths = []struct {
	name       string
	wide, high int64
}{{"desktop", 1280, 800}, {"phone", 390, 844}}

var screens = []struct{ name, path string }{
	{"overview", "/"}, {"stock", "/stock"}, {"negative", "/stock?show=negative"}, {"product", "/product?id=p-kefir"},
	{"count", "/count"}, {"plan", "/plan"}, {"targets", "/targets"}, {"events", "/events"}, {"login", "/login"}, {"missing", "/nowhere"},
}

func TestEveryScreenIsSoundInABrowser(t *testing.T) {
	ctx := browser(t)
	full, _ := serve(t, page.Options{Shop: busy()})
	calm, _ := serve(t, page.Options{Shop: corner()})
	look := func(address, name string, wide, high int64, dark bool) {
		t.Helper()
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		var complaints []string
		err := chromedp.Do(ctx, screen(wide, high),
			call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
			chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")), inspect(&complaints), shot(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range complaints {
			t.Errorf("%s: %s", name, c)
		}
	}
	for _, w := range widths {
		for _, language := range []string{"ru", "en"} {
			for _, s := range screens {
				join := "?"
				if strings.Contains(s.path, "?") {
					join = "&"
				}
				look(full+s.path+join+"lang="+language, fmt.Sprintf("%s-%s-%s", s.name, language, w.name), w.wide, w.high, false)
			}
			look(calm+"/?lang="+language, fmt.Sprintf("calm-%s-%s", language, w.name), w.wide, w.high, false)
		}
		for _, s := range screens {
			look(full+s.path, fmt.Sprintf("%s-dark-%s", s.name, w.name), w.wide, w.high, true)
		}
	}
}

func TestSearchFilterExplainAndApproveInABrowser(t *testing.T) {
	ctx := browser(t)
	s := busy()
	address, p := serve(t, page.Options{Shop: s})
	run := func(what string, actions ...step) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Do(limited, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// The browser's first target must not end with the first of these limits.
	if err := chromedp.Do(ctx, chromedp.Navigate(address+"/stock")); err != nil {
		t.Fatal(err)
	}
	only := func(n int) step {
		return until(fmt.Sprintf(`document.querySelectorAll('tbody tr').length === %d`, n))
	}
	run("search as one types, found by the keyboard", only(11),
		chromedp.KeyEvent("/"), until(`document.activeElement.id === "q"`), until(`(document.querySelector("#q").value = "") === ""`), chromedp.SendKeys(chromedp.CSS("#q"), "кефир"), only(1),
		until(`location.search.includes('q=')`))
	run("live figures", chromedp.Func(func(context.Context, *chromedp.Target) error {
		s.set(func(s *shop) { s.products[len(s.products)-1].Quantity = q("15") })
		p.Changed("p-kefir")
		return nil
	}), until(`document.querySelector('td.big').textContent.startsWith('15')`))
	run("filter", chromedp.Navigate(address+"/stock"), chromedp.Click(chromedp.CSS(`.chips a[href*=negative]`)), only(1))
	run("explain", chromedp.Navigate(address+"/stock?q=208"), chromedp.Click(chromedp.CSS("td.title a")), chromedp.WaitVisible(chromedp.CSS(".chart svg")),
		chromedp.WaitVisible(chromedp.CSS("tr.outside")))
	run("approve", chromedp.Navigate(address+"/plan"), chromedp.Click(chromedp.CSS("input[name=assumed]")), chromedp.Click(chromedp.CSS("button.main")),
		chromedp.WaitVisible(chromedp.CSS("#code")), chromedp.SendKeys(chromedp.CSS("#code"), code+"\r"),
		chromedp.WaitVisible(chromedp.CSS(".decision")), chromedp.Click(chromedp.CSS("input[name=assumed]")), chromedp.Click(chromedp.CSS("button.main")), chromedp.WaitVisible(chromedp.CSS(".said")))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.decided) != 1 || s.decided[0] != "approve b7c1d2e3 assumed=true" {
		t.Errorf("decided %q", s.decided)
	}
}

func TestSetupInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			ctx := browser(t)
			var done setup
			address, _ := serve(t, page.Options{Setup: &done})
			var complaints []string
			look := func(name string) []step { // at both widths
				var steps []step
				for _, w := range widths {
					steps = append(steps, screen(w.wide, w.high), inspect(&complaints), shot("setup-"+name+"-"+language+"-"+w.name))
				}
				return steps
			}
			do := func(what string, steps ...step) {
				t.Helper()
				limited, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := chromedp.Do(limited, steps...); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				for _, c := range complaints {
					t.Errorf("%s: %s", what, c)
				}
				complaints = nil
			}
			shown := func(name string) step { return chromedp.WaitVisible(chromedp.CSS(name)) }
			keys := func(name, text string) step { return chromedp.SendKeys(chromedp.CSS(name), text) }
			if err := chromedp.Do(ctx, chromedp.Navigate(address+"/?lang="+language)); err != nil { // it is the browser's context too
				t.Fatal(err)
			}
			do("come", shown("#code"))
			do("see the code's form", look("0-code")...)
			do("give the code", keys("#code", code+"\r"), shown("#token"))
			do("see the token's form", look("1-token")...)
			do("give a wrong token", keys("#token", "wrong\r"), shown(".problem"))
			do("see that it is wrong", look("2-refused")...)
			do("give the token", keys("#token", "right-token\r"), shown("input[name=store]"))
			do("see the shops", look("3-shops")...)
			do("choose a shop", chromedp.Click(chromedp.CSS("input[name=store]")), chromedp.Click(chromedp.CSS(`form[action="/setup/store"] button`)), shown("#kind"))
			do("see the systems", look("4-systems")...)
			do("add a system", chromedp.SetValue(chromedp.CSS("#kind"), "keycrm"), keys("#name", "site"), keys("#url", "https://openapi.keycrm.app/v1"),
				keys("#key", "right-key"), keys("#warehouse", "2"), chromedp.Click(chromedp.CSS(`form[action="/setup/backend"] button`)), shown(".marks form"))
			do("see that it answers", look("5-system")...)
			do("save", chromedp.Click(chromedp.CSS(`form[action="/setup/save"] button`)), until(`!document.querySelector('#token')`), shown("main h1"))
			do("see that it is saved", look("6-saved")...)
			done.mu.Lock()
			defer done.mu.Unlock()
			if done.saved == nil || done.saved.Token != "right-token" || done.saved.Language != language ||
				len(done.saved.Backends) != 1 || done.saved.Backends[0].Key != "right-key" {
				t.Errorf("saved %+v", done.saved)
			}
		})
	}
}

func TestReadableWithoutScripts(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, page.Options{Shop: busy()})
	err := chromedp.Do(ctx, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(address+"/stock"),
		chromedp.SendKeys(chromedp.CSS("#q"), "кефир\r"), chromedp.WaitReady(chromedp.CSS(`input[value="кефир"]`)))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("tbody")))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rows, "Кефир") || strings.Contains(rows, "Хлеб") {
		t.Errorf("without scripts: %s", rows)
	}
}

var _ http.Handler = (*page.Page)(nil)

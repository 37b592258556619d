//go:build browser

package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ostatok/platform/network/networktest"
	"ostatok/sync/evotor/evotortest"
)

// chromium starts the system's browser, which reaches nothing but this machine.
func chromium(t *testing.T) context.Context {
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

type (
	step = chromedp.Action[chromedp.Void]
	css  = chromedp.CSS
)

// shot keeps a picture of the screen in the folder that OSTATOK_SHOTS names.
func shot(name string) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		folder := os.Getenv("OSTATOK_SHOTS")
		if folder == "" {
			return none, nil
		}
		picture, err := chromedp.CaptureScreenshot()(ctx, t)
		if err != nil {
			return none, err
		}
		return none, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644)
	}
}

// comes waits until the page says yes, over reloads and restarts of the server.
func comes(condition string) step {
	return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		for {
			yes, err := chromedp.Evaluate[bool](condition)(ctx, t)
			if err == nil && yes {
				return none, nil
			}
			select {
			case <-ctx.Done():
				return none, fmt.Errorf("never: %s (%w)", condition, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func shows(text string) step { return comes(fmt.Sprintf("document.body.innerText.includes(%q)", text)) }

// One box from nothing to figures in the cloud, by mouse and keyboard alone: set
// it up, watch the first sync, find a product, see why, approve the plan.
func TestABoxIsSetUpAndUsedInABrowser(t *testing.T) {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f := newFirst(t, evotortest.NewShop(evotortest.Settings{
		Seed: 11, Products: 60, Documents: 4000, Terminals: 2, From: to.AddDate(0, -4, 0), To: to, Download: 4 * time.Hour, PartialCounts: 3,
	}))
	f.setup.Environ[1] = "OSTATOK_LOCAL_LISTEN=" + networktest.FreeAddress(t)
	address, code := f.begin()
	ctx := chromium(t)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	do := func(what string, actions ...step) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := chromedp.Do(limited, actions...); err != nil {
			_ = chromedp.Do(ctx, shot("failed"))
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("give the code", chromedp.WaitVisible(css("#code")), chromedp.SendKeys(css("#code"), code+"\r"))
	do("give the token", chromedp.WaitVisible(css("#token")), chromedp.SendKeys(css("#token"), "a-token\r"))
	do("the one shop is chosen, add a system", chromedp.WaitVisible(css("#kind")), chromedp.SetValue(css("#kind"), "keycrm"),
		chromedp.SendKeys(css("#name"), "Сайт"), chromedp.SendKeys(css("#url"), f.crm), chromedp.SendKeys(css("#key"), "crm-key"),
		chromedp.SendKeys(css("#warehouse"), "2"), chromedp.SetValue(css("#match"), "code"),
		chromedp.Click(css(`form[action="/setup/backend"] button`)), chromedp.WaitVisible(css(".marks form")), shot("setup"))
	do("save", chromedp.Click(css(`form[action="/setup/save"] button`)), shows("Настройки сохранены"))
	do("the agent takes over by itself", shows("Что сделать"), shows("Облако Эвотор"))
	do("find a product", chromedp.Navigate(address+"/stock"), chromedp.WaitVisible(css("tbody tr")), shot("stock"),
		chromedp.SendKeys(css("#q"), f.shop.Products()[3].Code), comes(`location.search.includes('q=') && document.querySelectorAll('tbody tr').length < 20`))
	do("see why", chromedp.Click(css("td.title a")), chromedp.WaitVisible(css(".chart svg")), shot("product"))
	do("look at the plan", chromedp.Navigate(address+"/plan"), chromedp.WaitVisible(css(`form[action="/plan/approve"] button`)), shot("plan"))
	if len(f.shop.Patches()) != 0 {
		t.Fatal("figures were written before somebody said so")
	}
	do("approve", chromedp.Click(css(`form[action="/plan/approve"] button`)), chromedp.WaitVisible(css("#code")),
		chromedp.SendKeys(css("#code"), code+"\r"), chromedp.WaitVisible(css(`form[action="/plan/approve"] button`)),
		chromedp.Click(css(`form[action="/plan/approve"] button`)), chromedp.WaitVisible(css(".said")))
	until(t, "figures are in the cloud", func() bool { return len(f.shop.Patches()) > 0 })
	do("be reminded of the terminals", chromedp.Navigate(address), shows("Загрузите товары"), shot("overview"))
	f.judgeFiles(code, "Сайт")
	body, err := chromedp.Run(ctx, chromedp.OuterHTML(css("html")))
	if err != nil || strings.Contains(body, "a-token") || strings.Contains(body, code) {
		t.Errorf("a secret is in the page, %v", err)
	}
}

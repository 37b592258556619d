package zelenka_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"ostatok/sync/rest"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

func (b *bench) logins(logins, refreshes int) {
	b.t.Helper()
	if l, r := b.sim.Logins(); l != logins || r != refreshes {
		b.t.Errorf("%d logins and %d refreshes, want %d and %d", l, r, logins, refreshes)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]zelenka.Options{
		"no name":     {Key: "k"},
		"no key":      {Username: "u"},
		"broken key":  {Username: "u", Key: "se\ncret"},
		"bad address": {Username: "u", Key: "secret", URL: "api.zelenka.ru"},
	} {
		if _, err := zelenka.New(o); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "abc", "3.4", "99999999999999999999"} {
		if _, err := zelenka.ParseWarehouse(text); err == nil {
			t.Errorf("%q is a point of sale", text)
		}
	}
	if w, err := zelenka.ParseWarehouse(" 341 "); w != 341 || err != nil {
		t.Error(w, err)
	}
}

// api_docs_auth: the form of the login and of the calls after it.
func TestLoginAsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var compact bytes.Buffer
			_ = json.Compact(&compact, body)
			sent = append(sent, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+compact.String())
			w.Header().Set("Content-Type", "application/json")
			switch r.URL.Path {
			case "/auth/login":
				_, _ = w.Write(sample(t, "samples/zelenka-auth-login.response.json"))
			case "/auth/refresh":
				_, _ = w.Write(sample(t, "samples/zelenka-auth-refresh.response.json"))
			default:
				_, _ = io.WriteString(w, `{"success":1}`)
			}
		}), func(o *zelenka.Options) { o.Key = "key123" })
		to := c.Target(zelenka.TargetOptions{Warehouse: 1})
		for range 2 {
			if _, err := to.Write(t.Context(), rows(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(23*time.Hour + 45*time.Minute)
		}
		login, refresh := new(bytes.Buffer), new(bytes.Buffer)
		_ = json.Compact(login, sample(t, "samples/zelenka-auth-login.request.json"))
		_ = json.Compact(refresh, sample(t, "samples/zelenka-auth-refresh.request.json"))
		const stock = ` [{"id":"ЦБ-00000001","warehouse_id":1,"quantity":1}]`
		want := []string{
			"POST /auth/login application/json  " + login.String(),
			"POST /onhand/batch-update application/json Bearer " + strings.Repeat("0", 32) + stock,
			"POST /auth/refresh application/json  " + refresh.String(),
			"POST /onhand/batch-update application/json Bearer " + strings.Repeat("2", 32) + stock,
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
	})
}

// A token lives 24 hours and is refreshed before it ends; the refresh token lives
// a month, after which the key is needed again.
func TestSessionOverMonths(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		for range 60 * 4 {
			b.takes(row("a", 1))
			time.Sleep(6 * time.Hour)
		}
		logins, refreshes := b.sim.Logins()
		if logins < 2 || logins > 3 || refreshes < 55 || refreshes > 62 {
			t.Errorf("%d logins and %d refreshes in 60 days", logins, refreshes)
		}
	})
}

// A refresh token that the server forgot early: 401 «Refresh token not found or
// expired», and a login.
func TestRefreshTokenDead(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("a", 1))
		b.sim.Withdraw(true)
		time.Sleep(23*time.Hour + 45*time.Minute)
		b.takes(row("a", 2))
		b.logins(2, 0)
	})
}

// A pause longer than everything lives.
func TestSessionAfterALongOutage(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("a", 1))
		time.Sleep(100 * 24 * time.Hour)
		b.takes(row("a", 2))
		b.logins(2, 0)
	})
}

// A 401 at any moment costs one login and no figure.
func TestTokenWithdrawn(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("a", 1))
		b.sim.Withdraw(false)
		b.takes(row("a", 2))
		b.logins(2, 0)
		b.sim.Fail("/onhand/batch-update", zelenkatest.Refused, 0, 1)
		b.takes(row("a", 3))
		b.logins(3, 0)
	})
}

// A token that is refused again right after the login is an error, not a loop.
func TestRefusedTwice(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.sim.Fail("/onhand/batch-update", zelenkatest.Refused, 0, -1)
		_, err := b.write(row("a", 1))
		if rest.KindOf(err) != rest.Unauthorized {
			t.Error(err)
		}
		b.logins(2, 0)
	})
}

// Two agents with one account where each login withdraws the other's token: each
// change of hands costs one login, and every figure arrives.
func TestTwoAgentsOneAccount(t *testing.T) {
	play(t, func(o *zelenkatest.Options) { o.OneToken = true }, func(t *testing.T, b *bench) {
		second := connect(t, b.sim, nil).Target(zelenka.TargetOptions{Warehouse: 342})
		for n := range int64(3) {
			b.takes(row("a", n))
			if out, err := second.Write(t.Context(), rows(1)); err != nil || out[0].Err != nil {
				t.Fatal(out, err)
			}
		}
		b.logins(6, 0)
	})
}

// However many callers find the token gone, one of them logs in.
func TestOneLoginForAllCallers(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		for round := range 3 {
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if _, err := b.client.Update(t.Context(), warehouse, row("a", int64(i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			b.logins(round+1, 0)
			b.sim.Withdraw(true)
		}
	})
}

// A caller that gives up does not wait for the login of another.
func TestLoginIsCancelled(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.sim.Fail("/auth/login", zelenkatest.Silent, 0, 1)
		ctx, cancel := withTimeout(t, time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := b.client.Update(ctx, warehouse, row("a", 1)); !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.takes(row("a", 1))
	})
}

// A wrong key is not tried again by everybody at once, and is after a minute.
func TestWrongKey(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		tried := 0
		c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tried++
			b.sim.ServeHTTP(w, r)
		}), func(o *zelenka.Options) { o.Key = "another-key" })
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := c.Update(t.Context(), warehouse, row("a", 1))
				if rest.KindOf(err) != rest.Unauthorized || !strings.Contains(err.Error(), "key_file") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Minute)
		_, _ = c.Update(t.Context(), warehouse, row("a", 1))
		if tried != 2 {
			t.Errorf("the wrong key was tried %d times", tried)
		}
	})
}

// While a token is still good, a server that cannot renew it right now does not
// stop the figures.
func TestRenewalFailsForAWhile(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("a", 1))
		time.Sleep(23*time.Hour + 45*time.Minute)
		b.sim.Fail("/auth/refresh", zelenkatest.Broken, 0, -1)
		b.sim.Fail("/auth/login", zelenkatest.Broken, 0, -1)
		b.takes(row("a", 2))
		b.logins(1, 0)
		time.Sleep(20 * time.Minute)
		if _, err := b.write(row("a", 3)); rest.KindOf(err) != rest.Temporary {
			t.Error(err)
		}
		b.sim.ClearFaults()
		b.takes(row("a", 4))
	})
}

// What stands between us and the server must not be taken for it.
func TestLoginAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		fault zelenkatest.Fault
		kind  rest.Kind
	}{
		"a login page of the network": {zelenkatest.HTML, rest.Protocol},
		"… with a lying header":       {zelenkatest.HTMLAsJSON, rest.Protocol},
		"no token":                    {zelenkatest.Empty, rest.Protocol},
		"a cut answer":                {zelenkatest.Short, rest.Temporary},
		"a broken server":             {zelenkatest.Broken, rest.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				b.sim.Fail("/auth/login", c.fault, 0, -1)
				if _, err := b.write(row("a", 1)); rest.KindOf(err) != c.kind || !rest.Retryable(err) {
					t.Errorf("%q: %v", rest.KindOf(err), err)
				}
				b.sim.ClearFaults()
				b.takes(row("a", 1))
			})
		})
	}
}

// Numbers as texts, which PHP writes at times, also in the login.
func TestNumbersAsTexts(t *testing.T) {
	play(t, func(o *zelenkatest.Options) { o.Texts = true }, func(t *testing.T, b *bench) {
		b.takes(row("a", 1), row("b", 2))
		if taken, err := b.client.Update(t.Context(), warehouse, row("a", 3)); err != nil || taken.Quantity != 3000 {
			t.Error(taken, err)
		}
		time.Sleep(23*time.Hour + 45*time.Minute)
		b.takes(row("a", 4))
		b.logins(1, 1)
	})
}

// Neither the key nor a token stands in a log, an error or an address, whatever
// the server says; the simulator quotes tokens and refuses to be discreet.
func TestSecretsStaySecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var texts, secrets []string
		sim := zelenkatest.New(zelenkatest.Options{Username: username, Key: apikey, Warehouses: []int64{warehouse}})
		quote := ""
		c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			texts = append(texts, r.URL.String())
			if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
				secrets = append(secrets, token)
				if quote != "" && quote != "login" {
					w.Header().Set("Content-Type", "application/json")
					status := http.StatusOK
					if strings.HasPrefix(quote, "denied") {
						status = http.StatusForbidden
					}
					w.WriteHeader(status)
					_, _ = io.WriteString(w, strings.ReplaceAll(quote, "TOKEN", token))
					return
				}
			}
			if r.URL.Path == "/auth/login" && quote == "login" {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.Copy(w, r.Body)
				return
			}
			sim.ServeHTTP(w, r)
		}), func(o *zelenka.Options) { o.Log = zerolog.New(&log).Level(zerolog.DebugLevel) })
		to := c.Target(zelenka.TargetOptions{Warehouse: warehouse})
		note := func(err error) {
			for ; err != nil; err = errors.Unwrap(err) {
				texts = append(texts, err.Error())
			}
		}
		for _, say := range []string{
			"", "denied to TOKEN", `{"success":0,"errors":{"ЦБ-00000001":"TOKEN is not allowed"}}`,
			`{"success":0,"errors":["TOKEN"]}`, `{"success":"TOKEN"}`, `{"name":"TOKEN"}`, `TOKEN`, `{"success":TOKEN}`, `{"quantity":"TOKEN"}`,
		} {
			quote = say
			out, err := to.Write(t.Context(), rows(1))
			note(err)
			for _, o := range out {
				note(o.Err)
			}
			_, err = c.Update(t.Context(), warehouse, row("a", 1))
			note(err)
		}
		quote = ""
		sim.Withdraw(true)
		sim.Fail("/onhand/batch-update", zelenkatest.Refused, 0, -1)
		_, err := to.Write(t.Context(), rows(1))
		note(err)
		quote = "login"
		sim.Withdraw(true)
		_, err = c.Update(t.Context(), warehouse, row("a", 1))
		note(err)
		if len(secrets) < 10 || len(texts) < 10 {
			t.Fatalf("only %d tokens and %d texts were looked at", len(secrets), len(texts))
		}
		all := strings.Join(texts, "\n") + log.String()
		for _, secret := range append(secrets, apikey) {
			if strings.Contains(all, secret) {
				t.Errorf("%s was told:\n%s", secret, all)
			}
		}
	})
}

package page_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"ostatok/agent/local"
	"ostatok/agent/page"
	"ostatok/agent/stock"
)

const code = "7K4M2-QX9PA"

// build makes a page with what the test does not care for filled in.
func build(t *testing.T, o page.Options) *page.Page {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	if o.Location == nil {
		o.Location = time.FixedZone("MSK", 3*3600)
	}
	if o.Access == nil {
		o.Access = access(t, o.Now)
	}
	return page.New(o)
}

// access knows the tests' code by the cheapest hash that there is.
func access(t *testing.T, now func() time.Time) *page.Access {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("7K4M2QX9PA"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	a, err := page.NewAccess(func() []byte { return hash }, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// visitor is a browser without a screen, at the box itself or on the LAN.
type visitor struct {
	t    *testing.T
	page http.Handler
	from string
	jar  *cookiejar.Jar
}

func at(t *testing.T, p http.Handler, from string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, p, from, jar}
}

var here = &url.URL{Scheme: "http", Host: "192.168.1.5:8480", Path: "/"}

func (v *visitor) do(method, path string, form url.Values, change func(*http.Request)) *httptest.ResponseRecorder {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.Host, r.RemoteAddr = here.Host, v.from
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range v.jar.Cookies(here) {
		r.AddCookie(c)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	v.page.ServeHTTP(w, r)
	v.jar.SetCookies(here, w.Result().Cookies())
	return w
}

func (v *visitor) get(path string) *httptest.ResponseRecorder {
	return v.do(http.MethodGet, path, nil, nil)
}

func (v *visitor) post(path string, pairs ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.do(http.MethodPost, path, form, nil)
}

const box, lan = "127.0.0.1:50000", "192.168.1.77:50000"

func contains(t *testing.T, w *httptest.ResponseRecorder, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(w.Body.String(), s) {
			t.Errorf("page lacks %q:\n%s", s, w.Body)
		}
	}
}

func lacks(t *testing.T, w *httptest.ResponseRecorder, unwanted ...string) {
	t.Helper()
	for _, s := range unwanted {
		if strings.Contains(w.Body.String(), s) {
			t.Errorf("page holds %q", s)
		}
	}
}

// words is a page's text without its tags.
func words(w *httptest.ResponseRecorder) string {
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(w.Body.String(), " ")
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "\u00a0", " ")), " ")
}

func TestVerdictSaysHowItIs(t *testing.T) {
	cases := []struct {
		name   string
		change func(*shop)
		want   string
	}{
		{"well", func(*shop) {}, "Всё в порядке, остатки сходятся. Последняя проверка: сегодня, 14:59."},
		{"first sync", func(s *shop) { s.status.LastSuccess, s.status.Percent = nil, 43; s.status.Counts.Documents = 21 },
			"Идёт первая загрузка. Готово на 43 %, загружено: 21 документ."},
		{"token", func(s *shop) {
			s.status.Problems = []local.Problem{{Kind: "token_refused", Blocks: true}}
		}, "Облако Эвотор не принимает токен. Возьмите новый токен"},
		{"unknown problem", func(s *shop) {
			s.status.Problems = []local.Problem{{Kind: "new_kind", Message: "Something new.", Do: "Wait.", Blocks: true}}
		}, "Something new. Wait."},
		{"clock", func(s *shop) { s.status.Clock = "before the build" }, "Часы устройства идут неверно."},
		{"count", func(s *shop) { s.products[0].State, s.products[0].Quantity = stock.Unknown, nil },
			"Остатки посчитаны. Вас ждёт 1 дело."},
		{"a service of the cloud is away", func(s *shop) { s.status.Problems = []local.Problem{{Kind: "cloud_unreachable"}} },
			"Нет связи с Облаком Эвотор. Проверьте интернет"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := corner()
			c.change(s)
			w := at(t, build(t, page.Options{Shop: s}), box).get("/")
			if w.Code != http.StatusOK || !strings.Contains(words(w), c.want) {
				t.Errorf("%d, no %q in:\n%s", w.Code, c.want, words(w))
			}
		})
	}
}

// Whatever the first sentence speaks of, nothing else that is wrong is left out,
// and nothing is said twice.
func TestOverviewSaysEveryProblemOnce(t *testing.T) {
	aside := local.Problem{Kind: "kind a", Message: "Some items were set aside.", Do: "Look."}
	refused := local.Problem{Kind: "kind b", Message: "The token is refused.", Do: "Copy it.", Blocks: true}
	clock := "Часы устройства идут неверно."
	for name, c := range map[string]struct {
		change func(*shop)
		first  string
		others []string
	}{
		"one that blocks comes second": {func(s *shop) { s.status.Problems = []local.Problem{aside, refused} },
			refused.Message, []string{aside.Message}},
		"one that blocks comes first": {func(s *shop) { s.status.Problems = []local.Problem{refused, aside} },
			refused.Message, []string{aside.Message}},
		"the clock too": {func(s *shop) { s.status.Problems, s.status.Clock = []local.Problem{aside, refused}, "before the build" },
			refused.Message, []string{aside.Message, clock}},
		"the clock, and nothing blocks": {func(s *shop) { s.status.Problems, s.status.Clock = []local.Problem{aside}, "before the build" },
			clock, []string{aside.Message}},
		"in the first download": {func(s *shop) { s.status.Problems, s.status.LastSuccess = []local.Problem{aside}, nil },
			"Идёт первая загрузка.", []string{aside.Message}},
	} {
		t.Run(name, func(t *testing.T) {
			s := corner()
			c.change(s)
			w := at(t, build(t, page.Options{Shop: s}), box).get("/")
			if title := regexp.MustCompile(`<h1>([^<]*)`).FindStringSubmatch(w.Body.String()); len(title) == 0 || title[1] != c.first {
				t.Errorf("it begins with %q, want %q", title, c.first)
			}
			for _, said := range append(c.others, c.first) {
				if n := strings.Count(words(w), said); n != 1 {
					t.Errorf("%q is said %d times in %s", said, n, words(w))
				}
			}
		})
	}
}

func TestOverviewListsWhatNeedsAHand(t *testing.T) {
	v := at(t, build(t, page.Options{Shop: busy()}), box)
	w := v.get("/")
	got := words(w)
	for _, want := range []string{
		"Утвердить запись: Облако Эвотор 3 изменения", "Запись остановлена: склад", "Не все остатки приняты: склад 2 товара",
		"Пересчитать товары 3 товара", "Терминал молчит: Касса у окна", "Загрузите товары на терминалах", "загрузил Касса у входа", "ещё нет Касса у окна",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if got := words(v.get("/?lang=en")); !strings.Contains(got, "Count products 3 products") {
		t.Errorf("no English in:\n%s", got)
	}
	if got := words(v.get("/")); !strings.Contains(got, "Count products") {
		t.Error("the choice of the language is forgotten")
	}
}

func TestStockIsSortedAsPeopleLook(t *testing.T) {
	w := at(t, build(t, page.Options{Shop: corner()}), box).get("/stock")
	got := words(w)
	last := -1
	for _, name := range []string{"Ёлка", "Молоко", "Сахар", "Сыр", "Хлеб", "Чай"} {
		i := strings.Index(got, name)
		if i <= last {
			t.Errorf("%s is not in its place", name)
		}
		last = i
	}
	for _, want := range []string{"7,236 кг", "1204 шт", "сегодня, 13:00"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestFiltersCountAndChoose(t *testing.T) {
	v := at(t, build(t, page.Options{Shop: busy()}), box)
	all := words(v.get("/stock"))
	if !strings.Contains(all, "Все 11 Точные 8 Под вопросом 1 Неизвестно 2 Меньше нуля 1 Расходится с Облаком 1") {
		t.Errorf("counts: %s", all)
	}
	for filter, want := range map[string]string{
		"negative": "Соль", "drift": "Кефир", "unsure": "Рис", "unknown": "Магнит",
	} {
		w := v.get("/stock?show=" + filter)
		contains(t, w, want)
		lacks(t, w, "Хлеб")
	}
	w := v.get("/stock?q=%D0%BA%D0%B5%D1%84%D0%B8%D1%80&show=negative")
	contains(t, w, "Ничего не нашлось")
}

func large(n int) *shop {
	s := corner()
	s.products = nil
	for i := range n {
		s.products = append(s.products, page.Product{Measure: "шт", Row: local.Row{Item: local.Item{
			Product: fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i), Code: fmt.Sprint(i),
			Name: fmt.Sprintf("Товар с довольно длинным названием, как это бывает, № %d", i*7919%n), State: stock.Known,
			Quantity: q(fmt.Sprint(i % 100)), Cloud: q("5"), AsOf: ago(time.Hour)}}})
	}
	return s
}

// Pages are walked to their end while products come and go: every product that
// stayed is seen once.
func TestPagesSkipAndRepeatNothing(t *testing.T) {
	s := large(1050)
	v := at(t, build(t, page.Options{Shop: s}), box)
	seen := make(map[string]int)
	row := regexp.MustCompile(`<tr data-product="([^"]+)"`)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	pages := 0
	for path := "/stock"; path != ""; pages++ {
		w := v.get(path)
		for _, m := range row.FindAllStringSubmatch(w.Body.String(), -1) {
			seen[m[1]]++
		}
		path = ""
		if m := next.FindStringSubmatch(w.Body.String()); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if pages == 4 { // somebody adds one at the very beginning
			s.set(func(s *shop) {
				s.products = append(s.products, page.Product{Row: local.Row{Item: local.Item{Product: "new", Name: "А", State: stock.Known, Quantity: q("1")}}})
			})
		}
	}
	if pages != 11 || len(seen) != 1050 {
		t.Errorf("%d pages, %d products", pages, len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s seen %d times", id, n)
		}
	}
}

func TestStockOfALargeShopIsSmall(t *testing.T) {
	w := at(t, build(t, page.Options{Shop: large(20_000)}), box).get("/stock")
	if n := w.Body.Len(); n > 200_000 {
		t.Errorf("the first page has %d bytes", n)
	}
	if n := strings.Count(w.Body.String(), "<tr data-product"); n != 100 {
		t.Errorf("%d rows", n)
	}
}

func TestStockCSV(t *testing.T) {
	s := busy()
	s.products[0].Name = `=HYPERLINK("http://evil")`
	v := at(t, build(t, page.Options{Shop: s}), box)
	w := v.get("/stock.csv")
	text, ok := bytes.CutPrefix(w.Body.Bytes(), []byte("\uFEFF"))
	if !ok {
		t.Error("no byte order mark")
	}
	in := csv.NewReader(bytes.NewReader(text))
	in.Comma = ';'
	rows, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 12 || rows[10][3] != "7,236" || rows[1][1] != `'=HYPERLINK("http://evil")` {
		t.Errorf("rows %q", rows)
	}
	contains(t, v.get("/stock.csv?lang=en"), "7.236")
	s.set(func(s *shop) { s.fail = errors.New("disk") })
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a list that broke off looks whole")
		}
	}()
	v.get("/stock.csv")
}

func TestProductTellsItsChain(t *testing.T) {
	v := at(t, build(t, page.Options{Shop: busy()}), box)
	w := v.get("/product?id=p-kefir")
	got := words(w)
	for _, want := range []string{
		"Кефир 1 % 0,9 л", "16 точно", "Остаток изменили без документа: +6.", "Остаток записала эта программа.",
		"Терминал показывал", "Облако Эвотор 11 16", "site 13", "Меняли без документа 1 раз", "История загружена с 21.05.2026.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(w.Body.String(), "<svg"); n != 1 {
		t.Errorf("%d charts", n)
	}
	for before, want := range map[string]string{"18": "первое известное показание", "68": "Пересчитано."} {
		if got := words(v.get("/product?id=p-kefir&before=" + before)); !strings.Contains(got, want) {
			t.Errorf("page before %s lacks %q: %s", before, want, got)
		}
	}
	if w := v.get("/product?id=gone"); w.Code != http.StatusNotFound || !strings.Contains(words(w), "Такого товара нет.") {
		t.Errorf("%d %s", w.Code, words(w))
	}
}

func TestCountListIsByGroup(t *testing.T) {
	w := at(t, build(t, page.Options{Shop: busy()}), box).get("/count")
	got := words(w)
	order := []string{"Бакалея", "Рис", "Терминалы показывали разные остатки", "Соль", "Остаток меньше нуля.", "Сувениры", "Магнит"}
	last := -1
	for _, s := range order {
		i := strings.Index(got, s)
		if i <= last {
			t.Errorf("%q is not in its place in %s", s, got)
		}
		last = i
	}
	lacks(t, w, "Кружка", "Хлеб") // older months may still tell of the mug
	contains(t, at(t, build(t, page.Options{Shop: corner()}), box).get("/count"), "Пересчитывать нечего")
}

// crowd notes how many visitors go through its catalogue at the same time.
type crowd struct {
	*shop
	now, most atomic.Int32
}

func (c *crowd) Briefs(ctx context.Context, text string) iter.Seq2[page.Brief, error] {
	return func(yield func(page.Brief, error) bool) {
		n := c.now.Add(1)
		defer c.now.Add(-1)
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		for b, err := range c.shop.Briefs(ctx, text) {
			runtime.Gosched()
			if !yield(b, err) {
				return
			}
		}
	}
}

// Many who look at long lists need the memory of one.
func TestOneGoesThroughTheCatalogueAtATime(t *testing.T) {
	c := &crowd{shop: busy()}
	p := build(t, page.Options{Shop: c})
	var work sync.WaitGroup
	for n := range 40 {
		work.Go(func() {
			v := at(t, p, box)
			if w := v.get([]string{"/stock", "/count", "/stock.csv", "/", "/stock?q=хлеб"}[n%5]); w.Code != http.StatusOK {
				t.Errorf("%d", w.Code)
			}
		})
	}
	work.Wait()
	if n := c.most.Load(); n != 1 {
		t.Errorf("%d at the same time", n)
	}
}

func TestSystemThatIsOnlyCompared(t *testing.T) {
	s := corner()
	s.status.Targets[1].ShownOnly = true
	w := at(t, build(t, page.Options{Shop: s}), box).get("/targets")
	if got := words(w); !strings.Contains(got, "site сравниваем Запись нет, только сравниваем") || !strings.Contains(got, "Облако Эвотор работает Запись после утверждения") {
		t.Errorf("%s", got)
	}
}

func TestPlanIsDecidedWithTheCodeOnly(t *testing.T) {
	s := busy()
	v := at(t, build(t, page.Options{Shop: s}), box)
	w := v.get("/plan")
	got := words(w)
	for _, want := range []string{"Слишком много товаров упало бы до нуля.", "Кефир 1 % 0,9 л 208 11 → 16 точно", "— → 7,236", "Не нашли пару в этой системе: 1 товар", "Кружка с видом города — the product has no article"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if w := v.post("/plan/approve", "id", "b7c1d2e3"); w.Code != http.StatusSeeOther || len(s.decided) != 0 {
		t.Fatalf("approved without a code: %d %q", w.Code, s.decided)
	}
	if w := v.post("/login", "code", "7k4m2 qx9pa", "next", "/plan?id=b7c1d2e3"); w.Header().Get("Location") != "/plan?id=b7c1d2e3" {
		t.Fatalf("login: %d %s", w.Code, w.Header())
	}
	if w := v.post("/plan/approve", "id", "older"); w.Code != http.StatusConflict {
		t.Errorf("an older plan: %d", w.Code)
	}
	if w := v.post("/plan/approve", "id", "b7c1d2e3", "assumed", "1"); w.Code != http.StatusSeeOther {
		t.Errorf("approve: %d", w.Code)
	}
	if len(s.decided) != 1 || s.decided[0] != "approve b7c1d2e3 assumed=true" {
		t.Errorf("decided %q", s.decided)
	}
	contains(t, v.get("/plan?said=approved"), "План утверждён")
	lacks(t, v.get("/plan?said=<script>"), "<script>")
}

func TestErrorsShowNothingOfTheInside(t *testing.T) {
	s := corner()
	s.fail = errors.New("cannot open /var/lib/ostatok/mirror.db: secret-token")
	v := at(t, build(t, page.Options{Shop: s}), box)
	for _, path := range []string{"/", "/stock", "/product?id=p-milk", "/count", "/plan", "/targets", "/events"} {
		w := v.get(path)
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d", path, w.Code)
		}
		lacks(t, w, "secret-token", "mirror.db")
	}
	if w := v.get("/healthz"); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "mirror.db") {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
}

// A text that is missing in one language would be a hole in the page.
func TestBothLanguagesSayEverything(t *testing.T) {
	ru, en := page.Words("ru"), page.Words("en")
	var same func(path string, a, b reflect.Value)
	same = func(path string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.String:
			if a.Len() == 0 || b.Len() == 0 {
				t.Errorf("%s is empty", path)
			}
		case reflect.Func:
			if a.IsNil() || b.IsNil() {
				t.Errorf("%s is missing", path)
			}
		case reflect.Array:
			for i := range a.Len() {
				same(fmt.Sprint(path, i), a.Index(i), b.Index(i))
			}
		case reflect.Struct:
			for i := range a.NumField() {
				same(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
		case reflect.Map:
			if a.Len() == 0 || a.Len() != b.Len() {
				t.Errorf("%s has %d and %d entries", path, a.Len(), b.Len())
			}
			for _, k := range a.MapKeys() {
				if !b.MapIndex(k).IsValid() {
					t.Errorf("%s[%v] is missing in English", path, k)
					continue
				}
				same(fmt.Sprintf("%s[%v]", path, k), a.MapIndex(k), b.MapIndex(k))
			}
		}
	}
	same("words", reflect.ValueOf(ru).Elem(), reflect.ValueOf(en).Elem())
}

// The language is asked for in an address; who is sent on to another screen reads
// that one in it too.
func TestTheLanguageIsKeptOnTheWay(t *testing.T) {
	var done setup
	for name, v := range map[string]*visitor{
		"to the code":  at(t, build(t, page.Options{Shop: busy()}), lan),
		"to the setup": at(t, build(t, page.Options{Setup: &done}), lan),
	} {
		w := v.get("/?lang=en")
		if w.Code != http.StatusSeeOther {
			t.Fatalf("%s: %d", name, w.Code)
		}
		if w = v.get("/login"); !strings.Contains(w.Body.String(), `<html lang="en"`) {
			t.Errorf("%s it is forgotten:\n%s", name, words(w))
		}
	}
}

func TestSetupFromNothing(t *testing.T) {
	var done setup
	v := at(t, build(t, page.Options{Setup: &done, Log: zerolog.Nop()}), box)
	if w := v.get("/"); w.Header().Get("Location") != "/setup" {
		t.Fatalf("first visit: %d %s", w.Code, w.Header())
	}
	if w := v.get("/setup"); w.Code != http.StatusSeeOther {
		t.Fatalf("setup without the code: %d", w.Code)
	}
	v.post("/login", "code", code)
	contains(t, v.post("/setup/save"), "Сначала нужны токен и магазин")
	contains(t, v.post("/setup/token", "token", "bad-token-text"), "токен или ключ не подходит")
	contains(t, v.post("/setup/token", "token", "empty-token"), "магазинов он не видит")
	v.post("/setup/token", "token", "right-token")
	contains(t, v.post("/setup/store", "store", "not-listed"), "Заполните все поля")
	v.post("/setup/store", "store", "20180222-D58C-40E0-8051-B53ADFF38860")
	backend := []string{"kind", "zelenka", "name", "склад", "url", "https://z.example", "key", "wrong-key", "warehouse", "3", "match", "code"}
	contains(t, v.post("/setup/backend", backend...), "Заполните все поля") // Zelenka asks for a user name
	backend = append(backend, "username", "u")
	w := v.post("/setup/backend", backend...)
	contains(t, w, "токен или ключ не подходит", "the key was refused", `value="https://z.example"`)
	lacks(t, w, "wrong-key", "right-token")
	backend[7] = "right-key"
	v.post("/setup/backend", backend...)
	w = v.get("/setup")
	contains(t, w, "склад", "У дома", "На вокзале")
	lacks(t, w, "right-key", "right-token")
	if w := v.post("/setup/save"); w.Code != http.StatusSeeOther || done.saved == nil {
		t.Fatalf("save: %d", w.Code)
	}
	if s := done.saved; s.Token != "right-token" || s.Store != "20180222-D58C-40E0-8051-B53ADFF38860" || len(s.Backends) != 1 ||
		s.Backends[0].Username != "u" || s.Language != "ru" {
		t.Errorf("saved %+v", done.saved)
	}
	contains(t, v.get("/setup"), "Настройки сохранены")
}

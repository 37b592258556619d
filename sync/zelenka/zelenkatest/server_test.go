package zelenkatest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
)

// What PHP 7.1 makes of a decoded JSON value by (int).
func TestPHPInt(t *testing.T) {
	for text, want := range map[string]int64{
		"8.1": 8, "8.9": 8, "0.9": 0, "-0.5": 0, "-8.9": -8, "7.999999999": 7, "12": 12, "0.00": 0, "1e3": 1000, "9223372036854775807": 9223372036854775807, "1e30": 0, "1e999": 0,
		`"8,1"`: 8, `"8.9"`: 8, `"abc"`: 0, `""`: 0, `" 5"`: 5, `"5 "`: 5, `"12abc"`: 12, `"1e3"`: 1000, `"1e"`: 1, `".5"`: 0, `"-3"`: -3, `"+3"`: 3, `"."`: 0, `"0x1A"`: 0,
		"true": 1, "false": 0, "null": 0, "[]": 0, "[0]": 1, "{}": 1,
	} {
		if got := phpInt(jsontext.Value(text)); got != want {
			t.Errorf("(int) %s is %d, want %d", text, got, want)
		}
	}
}

func TestPHPArrays(t *testing.T) {
	for want, ids := range map[string][]string{
		`[]`: nil, `["x"]`: {"0"}, `["x","x"]`: {"0", "1"}, `{"1":"x"}`: {"1"}, `{"1":"x","0":"x"}`: {"1", "0"}, `{"ЦБ-1":"x"}`: {"ЦБ-1", "ЦБ-1"}, `{"00":"x"}`: {"00"},
	} {
		list := newTexts()
		for _, id := range ids {
			list.set(id, "x")
		}
		if got, err := json.Marshal(list); err != nil || string(got) != want {
			t.Errorf("%v: %s, want %s (%v)", ids, got, want, err)
		}
	}
}

// play is a server and a caller that is logged in.
func play(t *testing.T, adjust func(*Options)) (*Server, func(path, body string) (int, string)) {
	t.Helper()
	o := Options{Username: "u", Key: "k", Warehouses: []int64{341, 342}, Now: func() time.Time { return time.Unix(0, 0) }}
	if adjust != nil {
		adjust(&o)
	}
	s := New(o)
	token := ""
	call := func(path, body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	status, answer := call("/auth/login", `{"username":"u","apikey":"k"}`)
	var in struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &in); status != 200 || err != nil || in.Token == "" {
		t.Fatal(status, answer)
	}
	token = in.Token
	return s, call
}

// The vendor's own requests get the vendor's own answers, and break the rules
// where the vendor's examples do.
func TestVendorsRequests(t *testing.T) {
	s, call := play(t, nil)
	status, answer := call("/onhand/batch-update", `[{"id":"ЦБ-00004897","warehouse_id":341,"quantity":8.1},{"id":"ЦБ-00004898","warehouse_id":341,"quantity":12},{"id":"ЦБ-00004899","warehouse_id":3411,"quantity":0.00}]`)
	if status != 200 || answer != `{"errors":{"ЦБ-00004899":"Warehouse not found"},"success":2}` {
		t.Error(status, answer)
	}
	if got, _ := s.Holds(341, "ЦБ-00004897"); got != 8*stock.Unit {
		t.Error(got)
	}
	for _, want := range []int{201, 200} {
		if status, answer := call("/onhand/update", `{"id":7,"warehouse_id":341,"quantity":8.1}`); status != want || answer != `{"id":"7","quantity":8,"warehouse_id":"341"}` {
			t.Error(status, answer)
		}
	}
	status, _ = call("/onhand/batch-update?isfull=1", "[\n{\"id\":\"a\",\"warehouse_id\":342,\"quantity\":3}\n{\"id\":\"b\",\"warehouse_id\":342,\"quantity\":9}\n]")
	if _, there := s.Holds(342, "a"); status != 400 || there {
		t.Errorf("a list that is not JSON: %d", status)
	}
	if v := strings.Join(s.Violations(), "; "); !strings.Contains(v, "8.1") || !strings.Contains(v, "not strict JSON") {
		t.Error(v)
	}
}

// A body whose sender is gone before its end was never sent: it breaks no rule
// and is no request.
func TestASenderIsGone(t *testing.T) {
	for _, path := range []string{"/onhand/batch-update", "/onhand/batch-update?isfull=1", "/onhand/update"} {
		s, call := play(t, nil)
		call("/onhand/batch-update", `[{"id":"a","warehouse_id":341,"quantity":1}]`)
		before := len(s.Requests())
		r := httptest.NewRequest(http.MethodPost, path, io.MultiReader(strings.NewReader(`[{"id":"b","wareh`), iotest.ErrReader(io.ErrUnexpectedEOF)))
		for id, token := range s.tokens {
			if !token.refresh {
				r.Header.Set("Authorization", "Bearer "+id)
			}
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
		if v, n := s.Violations(), len(s.Requests())-before; len(v) > 0 || n > 0 {
			t.Errorf("%s: %d requests, %q", path, n, v)
		}
	}
}

// One item at two unknown points of sale has one entry.
func TestErrorsFallTogether(t *testing.T) {
	_, call := play(t, nil)
	if _, answer := call("/onhand/batch-update", `[{"id":"a","warehouse_id":1,"quantity":1},{"id":"a","warehouse_id":2,"quantity":1},{"id":"b","warehouse_id":341,"quantity":1}]`); answer != `{"errors":{"a":"Warehouse not found"},"success":1}` {
		t.Error(answer)
	}
}

func TestIsFull(t *testing.T) {
	for effect, want := range map[Effect][3]stock.Quantity{ZeroNamed: {0, 7000, 0}, ZeroAll: {0, 0, 0}, MarkOnly: {5000, 7000, 4000}} {
		s, call := play(t, func(o *Options) { o.Absent = effect })
		s.Set(341, "gone", 5)
		s.Set(342, "elsewhere", 7)
		s.Set(341, "refused", 4)
		s.Refuse("refused", "no")
		call("/onhand/batch-update?isfull=1", `[{"id":"a","warehouse_id":341,"quantity":1},{"id":"refused","warehouse_id":341,"quantity":9}]`)
		var got [3]stock.Quantity
		got[0], _ = s.Holds(341, "gone")
		got[1], _ = s.Holds(342, "elsewhere")
		got[2], _ = s.Holds(341, "refused")
		if got != want {
			t.Errorf("%q: %v, want %v", effect, got, want)
		}
	}
}

// An empty full list wipes everything under one of the readings: it is what must
// never be sent.
func TestEmptyFullList(t *testing.T) {
	s, call := play(t, func(o *Options) { o.Absent, o.OversizeEmpty = ZeroAll, true })
	for name, body := range map[string]string{"empty": "[]", "above the limit": "[" + strings.Repeat(" ", BodyLimit) + `{"id":"a","warehouse_id":341,"quantity":1}]`} {
		s.Set(341, "a", 5)
		call("/onhand/batch-update?isfull=1", body)
		if got, _ := s.Holds(341, "a"); got != 0 || len(s.Violations()) == 0 {
			t.Errorf("%s: %v %v", name, got, s.Violations())
		}
	}
}

func TestBodyLimit(t *testing.T) {
	s, call := play(t, nil)
	if status, _ := call("/onhand/batch-update", "["+strings.Repeat(" ", BodyLimit)+"]"); status != 413 || len(s.Violations()) != 1 {
		t.Error(status, s.Violations())
	}
}

func TestTokens(t *testing.T) {
	now := time.Unix(0, 0)
	s, call := play(t, func(o *Options) { o.Now = func() time.Time { return now } })
	const one = `[{"id":"a","warehouse_id":341,"quantity":1}]`
	now = now.Add(24*time.Hour - time.Second)
	if status, _ := call("/onhand/batch-update", one); status != 200 {
		t.Error(status)
	}
	now = now.Add(time.Second)
	if status, _ := call("/onhand/batch-update", one); status != 401 {
		t.Error(status)
	}
	refresh := ""
	for id, token := range s.tokens {
		if token.refresh {
			refresh = id
		}
	}
	if status, answer := call("/auth/refresh", `{"refresh_token":"`+refresh+`"}`); status != 200 || strings.Contains(answer, "refresh_token") {
		t.Error(status, answer)
	}
	now = now.AddDate(0, 0, 30)
	if status, answer := call("/auth/refresh", `{"refresh_token":"`+refresh+`"}`); status != 401 || !strings.Contains(answer, "Refresh token not found or expired") {
		t.Error(status, answer)
	}
	if status, _ := call("/auth/login", `{"username":"u","apikey":"wrong"}`); status != 401 {
		t.Error(status)
	}
}

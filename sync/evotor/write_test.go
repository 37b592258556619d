package evotor_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// recorded is a request as the cloud got it.
type recorded struct{ Line, Type, Body string }

func record(r *http.Request) recorded {
	body, _ := io.ReadAll(r.Body)
	return recorded{r.Method + " " + r.URL.RequestURI(), r.Header.Get("Content-Type"), string(body)}
}

func TestSetQuantity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []recorded
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) { got = append(got, record(r)) }, nil)
		for _, q := range []stock.Quantity{0, -4934000, 236} {
			if err := c.SetQuantity(context.Background(), shop, "p/1", q); err != nil {
				t.Error(err)
			}
		}
		line, typ := "PATCH /stores/"+shop+"/products/p%2F1", "application/vnd.evotor.v2+json"
		want := []recorded{{line, typ, `{"quantity":0}`}, {line, typ, `{"quantity":-4934}`}, {line, typ, `{"quantity":0.236}`}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWithQuantity(t *testing.T) {
	card := `{"id":"p","quantity":12,"name":"\"Сыр\"","store_id":"s","user_id":"u","created_at":"c","updated_at":"u","mark":null,"barcodes":["1"],"x":{"quantity":5}}`
	got, err := evotor.WithQuantity([]byte(card), 1500)
	want := `{"quantity":1.5,"id":"p","name":"\"Сыр\"","barcodes":["1"],"x":{"quantity":5}}`
	if err != nil || string(got) != want || !got.IsValid() {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{`[]`, `{`, ``, `null`} {
		if _, err := evotor.WithQuantity([]byte(bad), 0); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestReplaceProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got recorded
		polls := 0
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				got = record(r)
				w.WriteHeader(http.StatusAccepted)
				answer(`{"id":"t 1","type":"product","status":"ACCEPTED","modified_at":"2018-01-01T00:00:00.000Z"}`)(w, r)
				return
			}
			if polls++; polls < 4 {
				answer(`{"id":"t 1","status":"RUNNING"}`)(w, r)
				return
			}
			w.Write(sample(t, "19-bulk-task-failed-documented.json"))
		}, nil)
		task, err := c.ReplaceProducts(context.Background(), shop, []jsontext.Value{jsontext.Value(`{"id":"a"}`), jsontext.Value(`{"id":"b"}`)})
		if err != nil || task.ID != "t 1" || task.Done() || task.Err() != nil {
			t.Fatalf("%+v, %v", task, err)
		}
		want := recorded{"PUT /stores/" + shop + "/products", "application/vnd.evotor.v2+bulk+json", `[{"id":"a"},{"id":"b"}]`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		start := time.Now()
		task, err = c.WaitTask(context.Background(), task.ID)
		if err != nil || !task.Done() || time.Since(start) != 7*time.Second {
			t.Errorf("%+v, %v after %v", task, err, time.Since(start))
		}
		failures := []evotor.TaskFailure{{Product: "1009017d-5f3d-422a-964b-3ff11ee2d183", Code: "validation_failed",
			Reason: "validation failed for specified payload; name must not be null"}}
		if diff := cmp.Diff(failures, task.Failures); diff != "" || task.Err() == nil {
			t.Error(diff, task.Err())
		}
	})
}

func TestCompletedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, answer(string(sample(t, "06-bulk-task-completed.json"))), nil)
		if task, err := c.Task(context.Background(), "t"); err != nil || !task.Done() || task.Err() != nil {
			t.Errorf("%+v, %v", task, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if _, err := cloud(t, answer(`{}`), nil).Task(context.Background(), "t"); rest.KindOf(err) != rest.Protocol {
			t.Error(err)
		}
	})
}

func TestReplaceProductsKeepsTheLimits(t *testing.T) {
	c := cloud(t, answer(`{}`), nil)
	big := jsontext.Value(`"` + strings.Repeat("x", 6<<20) + `"`)
	for name, cards := range map[string][]jsontext.Value{
		"none": nil, "too many": make([]jsontext.Value, evotor.BulkRows+1), "too large": {big, big},
	} {
		if _, err := c.ReplaceProducts(context.Background(), shop, cards); err == nil || rest.KindOf(err) != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cards is a cloud that holds figures.
type cards struct {
	figures map[string]string // id → quantity as JSON, "" has none
	refuse  map[string]int    // id → status of a PATCH
	lines   []string
}

func (s *cards) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lines = append(s.lines, r.Method+" "+r.URL.RequestURI())
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	card := func(id string) string {
		if s.figures[id] == "" {
			return `{"id":"` + id + `"}`
		}
		return `{"id":"` + id + `","quantity":` + s.figures[id] + `}`
	}
	_, known := s.figures[id]
	switch {
	case id == "products" && r.URL.Query().Get("cursor") == "":
		answer(`{"items":[`+card("a")+`,{"name":"broken"}],"paging":{"next_cursor":"2"}}`)(w, r)
	case id == "products":
		answer(`{"items":[`+card("b")+`,`+card("none")+`,{"id":"other","quantity":9}]}`)(w, r)
	case r.Method == "PATCH" && s.refuse[id] != 0:
		w.WriteHeader(s.refuse[id])
	case !known:
		w.WriteHeader(http.StatusNotFound)
	default:
		answer(card(id))(w, r)
	}
}

func TestTargetReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cards{figures: map[string]string{"a": "1.5", "b": "-3", "none": ""}}
		shopTarget := cloud(t, s.ServeHTTP, nil).Target(shop)
		want := map[string]target.Observation{
			"a": {Key: "a", Quantity: 1500, Found: true}, "b": {Key: "b", Quantity: -3000, Found: true},
			"none": {Key: "none"}, "gone": {Key: "gone"},
		}
		few := []string{"b", "gone", "a", "none"}
		many := append([]string{}, few...)
		for i := range 60 {
			many = append(many, strings.Repeat("x", i+1))
		}
		for name, c := range map[string]struct {
			keys     []string
			requests int
		}{"few, one by one": {few, 4}, "many, as a listing": {many, 2}} {
			s.lines = nil
			got, err := shopTarget.Read(context.Background(), c.keys)
			if err != nil || len(got) != len(c.keys) || len(s.lines) != c.requests {
				t.Errorf("%s: %d of %d in %v: %v", name, len(got), len(c.keys), s.lines, err)
			}
			for _, o := range got[:len(few)] {
				if o.At != time.Now().UnixMilli() {
					t.Errorf("%s: read at %d", name, o.At)
				}
				o.At = 0
				if o != want[o.Key] {
					t.Errorf("%s: %+v", name, o)
				}
			}
		}
	})
}

// An incomplete listing must not read as "the rest is not there".
func TestTargetReadsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") != "" {
				w.WriteHeader(http.StatusPaymentRequired)
				return
			}
			answer(`{"items":[],"paging":{"next_cursor":"2"}}`)(w, r)
		}, nil)
		if got, err := c.Target(shop).Read(context.Background(), make([]string, 100)); rest.KindOf(err) != rest.NotInstalled || got != nil {
			t.Error(got, err)
		}
	})
}

func TestTargetWrites(t *testing.T) {
	rows := []target.Row{{Key: "a", Quantity: 1}, {Key: "gone", Quantity: 2}, {Key: "bad", Quantity: 3}, {Key: "b", Quantity: 4}}
	synctest.Test(t, func(t *testing.T) {
		s := &cards{figures: map[string]string{"a": "0", "b": "0", "bad": "0"}, refuse: map[string]int{"bad": 400}}
		got, err := cloud(t, s.ServeHTTP, nil).Target(shop).Write(context.Background(), rows)
		if err != nil || len(got) != 4 {
			t.Fatal(got, err)
		}
		for i, kind := range []rest.Kind{"", rest.NotFound, rest.Invalid, ""} {
			if got[i].Key != rows[i].Key || rest.KindOf(got[i].Err) != kind || rest.Retryable(got[i].Err) {
				t.Errorf("%+v", got[i])
			}
		}
	})
	for status, kind := range map[int]rest.Kind{401: rest.Unauthorized, 402: rest.NotInstalled, 403: rest.Forbidden, 500: rest.Temporary} {
		synctest.Test(t, func(t *testing.T) {
			s := &cards{figures: map[string]string{"a": "0", "b": "0", "bad": "0"}, refuse: map[string]int{"bad": status}}
			got, err := cloud(t, s.ServeHTTP, nil).Target(shop).Write(context.Background(), rows)
			if rest.KindOf(err) != kind || len(got) != 2 {
				t.Errorf("%d: %v, %v", status, got, err)
			}
		})
	}
}

func TestTargetKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cards{figures: map[string]string{"a": "0", "b": "0", "c": "0"}}
		shopTarget := cloud(t, s.ServeHTTP, func(o *evotor.Options) { o.WritePace = 2 * time.Second }).Target(shop)
		start := time.Now()
		if _, err := shopTarget.Write(context.Background(), []target.Row{{Key: "a"}, {Key: "b"}, {Key: "c"}}); err != nil || time.Since(start) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if got, err := shopTarget.Write(ctx, []target.Row{{Key: "a"}}); !errors.Is(err, context.DeadlineExceeded) || len(got) != 0 {
			t.Error(got, err)
		}
	})
}

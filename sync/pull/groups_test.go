package pull_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/sync/pull"
)

func (g *rig) groups() map[string]string {
	g.t.Helper()
	groups, err := g.mirror.Groups(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	names := make(map[string]string)
	for id, group := range groups {
		names[id] = group.Name
	}
	return names
}

func TestGroups(t *testing.T) {
	shop := func() *desk {
		d := newDesk()
		d.products, d.page = cards(3), 2
		d.groups = []string{`{"id":"g1","name":"Напитки"}`, `{"id":"g2","name":"Соки","parent_id":"g1"}`,
			`{"name":"без номера"}`, `{"id":"g3","name":"Хлеб","attributes":[{"id":"a"}]}`}
		d.add(receipt{closed: ago(1), lines: "p000 1 10"})
		return d
	}
	named := map[string]string{"g1": "Напитки", "g2": "Соки", "g3": "Хлеб"}
	bubble(t, "read with the catalogue, to their end", func(t *testing.T) {
		d := shop()
		g := bring(t, d, nil)
		g.complete()
		if have := g.groups(); !maps.Equal(have, named) {
			t.Errorf("%v", have)
		}
		if all, err := g.mirror.Groups(t.Context()); err != nil || all["g2"] != (mirror.Group{ID: "g2", Name: "Соки", Parent: "g1"}) {
			t.Errorf("%+v, %v", all, err)
		}
		d.requests("")
		g.complete()
		if n := len(d.requests("/product-groups")); n != 0 {
			t.Errorf("asked %d times though the catalogue was not due", n)
		}
		d.set(func() { d.groups = []string{`{"id":"g1","name":"Вода"}`} })
		g.cycle(pull.Cycle{Catalogue: true})
		if have := g.groups(); have["g1"] != "Вода" || have["g2"] != "Соки" {
			t.Errorf("%v", have)
		}
	})
	for name, fault := range map[string]http.HandlerFunc{
		"no right": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusForbidden) },
		"no such":  http.NotFound,
		"broken":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusInternalServerError) },
		"limited":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusTooManyRequests) },
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"cut off":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in a circle": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"items":[],"paging":{"next_cursor":"x"}}`))
		},
	} {
		bubble(t, "figures do not rest on them: "+name, func(t *testing.T) {
			d := shop()
			g := bring(t, d, nil)
			g.complete()
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/product-groups") {
					return false
				}
				fault(w, r)
				return true
			}
			if r := g.cycle(pull.Cycle{Catalogue: true}); !r.Complete || len(r.Problems) != 0 {
				t.Errorf("%+v", r)
			}
			if have := g.groups(); !maps.Equal(have, named) {
				t.Errorf("names that were here are %v", have)
			}
		})
	}
}

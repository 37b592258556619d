package evotortest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ostatok/sync/evotor/evotortest"
)

func TestEachFault(t *testing.T) {
	checks := map[evotortest.Fault]func(*testing.T, *http.Response, string, error){
		evotortest.Limited:      wantStatus(429),
		evotortest.Broken:       wantStatus(500),
		evotortest.Refused:      wantStatus(401),
		evotortest.NotInstalled: wantStatus(402),
		evotortest.Unavailable: func(t *testing.T, r *http.Response, text string, _ error) {
			wantStatus(503)(t, r, text, nil)
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				t.Error("a gateway speaks HTML")
			}
		},
		evotortest.Cut: func(t *testing.T, _ *http.Response, text string, err error) {
			if !errors.Is(err, io.ErrUnexpectedEOF) || text == "" {
				t.Errorf("%d bytes came, then %v", len(text), err)
			}
		},
		evotortest.Slow: func(t *testing.T, r *http.Response, text string, err error) {
			if r.StatusCode != 200 || err != nil || !json.Valid([]byte(text)) {
				t.Errorf("a slow body is whole in the end: %v", err)
			}
		},
		evotortest.HTML: func(t *testing.T, r *http.Response, text string, _ error) {
			wantStatus(200)(t, r, text, nil)
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || !strings.HasPrefix(text, "<!DOCTYPE") {
				t.Errorf("not a portal: %s", text)
			}
		},
		evotortest.EmptyObject: func(t *testing.T, _ *http.Response, text string, _ error) {
			if text != "{}" {
				t.Errorf("body %.40s", text)
			}
		},
		evotortest.EmptyList: wantItems(0, true, 0),
		evotortest.HalfList:  wantItems(50, true, 0),
		evotortest.BadItem:   wantItems(100, false, 1),
		evotortest.BadJSON: func(t *testing.T, _ *http.Response, text string, err error) {
			if err != nil || json.Valid([]byte(text)) || !strings.HasSuffix(text, "}}") {
				t.Errorf("want a whole body with one item that is no JSON, %v", err)
			}
		},
	}
	s := newSite(t, evotortest.CloudOptions{PageSize: 100, SlowFor: 20 * time.Millisecond})
	for fault, check := range checks {
		t.Run(string(fault), func(t *testing.T) {
			s.cloud.Fail("/documents", fault, 1, 1)
			s.status(200, s.documentsPath()) // let pass
			s.status(200, "/stores")         // not meant
			response, text, err := s.do("GET", s.documentsPath(), "", "")
			check(t, response, text, err)
			if s.cloud.Faults()[fault] != 1 {
				t.Error("the fault was not counted")
			}
			s.status(200, s.documentsPath()) // over
		})
	}
}

func wantStatus(code int) func(*testing.T, *http.Response, string, error) {
	return func(t *testing.T, r *http.Response, text string, _ error) {
		if r == nil || r.StatusCode != code {
			t.Errorf("answer %v: %.80s", r, text)
		}
	}
}

func wantItems(items int, last bool, bad int) func(*testing.T, *http.Response, string, error) {
	return func(t *testing.T, _ *http.Response, text string, _ error) {
		var p listPage
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for _, item := range p.Items {
			if json.Unmarshal(item, &wire{}) != nil {
				wrong++
			}
		}
		if len(p.Items) != items || (p.Paging.Next == "") != last || wrong != bad {
			t.Errorf("%d items, %d of them bad, cursor %q", len(p.Items), wrong, p.Paging.Next)
		}
	}
}

// A write that got through is a write, also when its answer was lost.
func TestFaultsOnWrites(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	product, _ := s.tracked()
	path := s.productsPath() + "/" + product
	s.cloud.Fail(product, evotortest.HTML, 0, 1) // befalls reading only
	s.cloud.Fail(product, evotortest.Broken, 0, 1)
	s.cloud.Fail(product, evotortest.Cut, 0, 1)
	if response, _, err := s.do("PATCH", path, v2, `{"quantity":1}`); err != nil || response.StatusCode != 500 {
		t.Errorf("want 500: %v", err)
	}
	if n := len(s.cloud.Patched(product)); n != 0 {
		t.Errorf("%d writes by a request that did not get through", n)
	}
	if _, _, err := s.do("PATCH", path, v2, `{"quantity":2}`); err == nil {
		t.Error("the answer is whole")
	}
	if p := s.cloud.Patched(product); len(p) != 1 || p[0].Quantity != 2000 {
		t.Errorf("writes %v", p)
	}
	s.cloud.ClearFaults()
	s.status(200, path)
}

func TestFaultsAtRandomAreTheSeeds(t *testing.T) {
	run := func(seed uint64) string {
		s := newSite(t, evotortest.CloudOptions{Faults: evotortest.ManyFaults(), FaultSeed: seed, PageSize: 10, SlowFor: time.Millisecond})
		var outcome strings.Builder
		for range 120 {
			response, _, err := s.do("GET", s.productsPath(), "", "")
			switch {
			case err != nil:
				outcome.WriteString("cut ")
			default:
				outcome.WriteString(response.Status + " ")
			}
		}
		return outcome.String()
	}
	one := run(1)
	if one != run(1) {
		t.Error("the same seed gave other faults")
	}
	if one == run(2) {
		t.Error("the seed changes nothing")
	}
	if !strings.Contains(one, "429") || !strings.Contains(one, "200") || !strings.Contains(one, "cut") {
		t.Errorf("outcomes %s", one)
	}
}

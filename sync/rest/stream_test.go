package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"ostatok/sync/rest"
)

// A body that is made as it is sent is made anew for each attempt, and goes out
// with its length.
func TestStreamedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		var got []string
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			got = append(got, fmt.Sprintf("%d %s %v", r.ContentLength, body, err))
			if len(got) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}, nil)
		_, err := read(c, rest.Request{Method: "PUT", Path: "/x", Length: 6, Open: func() (io.Reader, error) {
			opened++
			return io.MultiReader(strings.NewReader("one"), strings.NewReader("two")), nil
		}})
		if err != nil || len(got) != 2 || got[0] != "6 onetwo <nil>" || got[1] != got[0] || opened < 2 {
			t.Errorf("%q, opened %d times: %v", got, opened, err)
		}
	})
}

func TestBodyThatCannotBeOpened(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }, nil)
	_, err := read(c, rest.Request{Method: "PUT", Path: "/x", Open: func() (io.Reader, error) { return nil, io.ErrClosedPipe }})
	if rest.KindOf(err) != rest.Invalid {
		t.Error(err)
	}
}

func TestClean(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) {}, nil)
	if got := c.Clean("no item for " + secret); got != "no item for ***" {
		t.Errorf("%q", got)
	}
}

package virtpos_test

import (
	"context"
	"strings"
	"testing"

	"ostatok/sync/rest"
	"ostatok/sync/virtpos"
)

// Whatever comes is rows, a refusal or an error of the HTTP layer, and ends.
func FuzzStore(f *testing.F) {
	for _, name := range []string{"store.response.xml", "store.hypothetical-a.json", "store.hypothetical-b.json", "error.hypothetical.xml"} {
		f.Add(sample(f, name))
	}
	f.Add(rowXML)
	f.Add(`{"success":1,"warehouses":{"0":[[{"id":3,"items":[null,{},"",{"item":{"id":1,"quantity":"-0.5"}}]}]]}}`)
	f.Add("\ufeff<root>&#0;</root>")
	f.Fuzz(func(t *testing.T, body string) {
		rows, err := rowsOf(saying(t, 200, "", body))
		if err != nil {
			if rest.KindOf(err) == "" {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		for _, r := range rows {
			if r.Err == nil && (r.Item == "" || r.Warehouse == "") {
				t.Fatalf("a row of nothing: %+v", r)
			}
			if r.Err != nil && r.Quantity != 0 {
				t.Fatalf("a figure that could not be read: %+v", r)
			}
		}
		if !strings.Contains(strings.ToLower(body), "success") && !strings.ContainsAny(body, `\&`) {
			t.Fatal("a success that nobody spoke of")
		}
	})
}

// Small answers likewise; a version is above zero or an error.
func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"updateOnhand.response.xml", "getOnhandVersion.hypothetical.xml", "item.response.fragment.xml", "error.hypothetical.xml"} {
		f.Add(sample(f, name))
	}
	f.Add(`{"success":true,"version":"5","quantity_before":1e3,"isnew":"1"}`)
	f.Fuzz(func(t *testing.T, body string) {
		c, ctx, at := saying(t, 200, "", body), context.Background(), virtpos.Ref{ID: "1"}
		if v, err := c.OnhandVersion(ctx, at); (err == nil) != (v > 0) || err != nil && rest.KindOf(err) == "" {
			t.Fatal(v, err)
		}
		_, err := c.UpdateOnhand(ctx, virtpos.Update{Warehouse: at, Item: at})
		if zero := c.SetZeroOnhand(ctx, at, 1); rest.KindOf(err) != rest.KindOf(zero) {
			t.Fatalf("one answer is two things: %v, %v", err, zero)
		}
		_ = c.Items(ctx, nil, func(e virtpos.Entry) {
			if e.ID == "" {
				t.Fatal("an item of nothing")
			}
		})
	})
}

package evotor

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
)

func TestMoment(t *testing.T) {
	for text, want := range map[string]int64{
		`"2017-01-10T09:33:19.757+0000"`:     1484040799757,
		`"2017-01-10T09:33:19.757Z"`:         1484040799757,
		`"2017-01-10T12:33:19.757+03:00"`:    1484040799757,
		`"2017-01-10T12:33:19.757+03"`:       1484040799757,
		`"2017-01-10T04:03:19.757-0530"`:     1484040799757,
		`"2017-01-10T09:33:19Z"`:             1484040799000,
		`"2017-01-10 09:33:19.7+0000"`:       1484040799700,
		`"2017-01-10T09:33:19.757999999Z"`:   1484040799757,
		`"2016-12-31T23:59:60.000+0000"`:     1483228800000,
		`"2024-02-29T00:00:00Z"`:             1709164800000,
		`"2023-02-29T00:00:00Z"`:             -1,
		`"2017-13-10T09:33:19Z"`:             -1,
		`"2017-01-10T24:33:19Z"`:             -1,
		`"2017-01-10T09:33:19"`:              -1,
		`"2017-01-10T09:33:19.Z"`:            -1,
		`"2017-01-10T09:33:19+9900"`:         -1,
		`"2017-01-10"`:                       -1,
		`"tomorrow at nine in the morning"`:  -1,
		`1484040799757`:                      -1,
		`{"a":"2017-01-10T09:33:19.757Z"}`:   -1,
		`"2017-01-10T09:33:19.757+0000junk"`: -1,
	} {
		got, err := moment([]byte(text))
		if (err != nil) != (want == -1) || (err == nil && got != want) {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

// Every form of every moment reads as the same one.
func TestMomentForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 4e12).Draw(t, "ms")
		zone := time.FixedZone("", 900*rapid.IntRange(-48, 48).Draw(t, "quarters"))
		for _, layout := range []string{"2006-01-02T15:04:05.000-0700", "2006-01-02T15:04:05.000Z07:00", time.RFC3339Nano} {
			text := time.UnixMilli(ms).In(zone).Format(layout)
			if got, err := moment([]byte(`"` + text + `"`)); err != nil || got != ms {
				t.Fatalf("%s: %d, %v, want %d", text, got, err, ms)
			}
		}
	})
}

// A figure that went through binary fractions is recognised; no other fourth
// decimal is.
func TestNearQuantity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(-1e9, 1e9).Draw(t, "a")
		b := rapid.Int64Range(-1e9, 1e9).Draw(t, "b")
		literal, err := json.Marshal(float64(a)/1000 + float64(b)/1000)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := quantity(literal); got != stock.Quantity(a+b) || !ok || err != nil {
			t.Fatalf("%s: %v, %v", literal, got, err)
		}
	})
	for _, text := range []string{"0.1234", "0.00001", "1.9995", "1e300", "99999999.00000000001", `"NaN"`, `"0x1p3"`, `"Infinity"`} {
		if got, _, err := quantity([]byte(text)); err == nil {
			t.Errorf("%s reads %v", text, got)
		}
	}
}

// FuzzCursor checks the cursor against the checked decoder: the same members with
// the same texts, and no panic on what is no JSON at all.
func FuzzCursor(f *testing.F) {
	files, err := filepath.Glob("testdata/samples/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"a\u0022b":"c\\","d":[1,{"e":null}], "f" : -1.5e3 }`))
	f.Add([]byte(`["`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		walk(&cursor{text: raw}, 0)
		if check(raw) != nil {
			return
		}
		dec := jsontext.NewDecoder(bytes.NewReader(raw), tolerant()...)
		c := cursor{text: raw}
		if dec.PeekKind() != '{' {
			value, err := dec.ReadValue()
			if got := c.skip(); err != nil || !bytes.Equal(got, value) {
				t.Errorf("%q is read as %q", value, got)
			}
			return
		}
		if _, err := dec.ReadToken(); err != nil {
			t.Fatal(err)
		}
		for c.enter(); c.more(); {
			token, err := dec.ReadToken()
			if err != nil || token.Kind() != '"' {
				t.Fatal(token, err)
			}
			want := token.String()
			if got := string(bytes.ToValidUTF8(c.name(), []byte("\uFFFD"))); got != string(bytes.ToValidUTF8([]byte(want), []byte("\uFFFD"))) && isASCII(raw) {
				t.Errorf("name %q is read as %q", want, got)
			}
			value, err := dec.ReadValue()
			if got := c.skip(); err != nil || !bytes.Equal(got, value) {
				t.Errorf("%q is read as %q", value, got)
			}
		}
		if dec.PeekKind() != '}' || c.kind() != 0 {
			t.Errorf("ended at %d of %q", c.at, raw)
		}
	})
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c > 127 {
			return false
		}
	}
	return true
}

// walk visits everything.
func walk(c *cursor, depth int) {
	switch c.kind() {
	case '{':
		for c.enter(); c.more(); {
			c.name()
			if depth < 100 {
				walk(c, depth+1)
			} else {
				c.skip()
			}
		}
	case '[':
		for c.enter(); c.more(); {
			if depth < 100 {
				walk(c, depth+1)
			} else {
				c.skip()
			}
		}
	default:
		value := c.skip()
		text(value)
		quantity(value)
		moment(value)
	}
}

// FuzzPage checks that a page which is accepted was JSON, and that what is not a
// page is never taken for an empty one.
func FuzzPage(f *testing.F) {
	for _, page := range []string{
		`{"items":[{"id":"a","quantity":1}],"paging":{"next_cursor":"n"}}`, `[{"id":"a"}]`, `{}`, `{"items":null}`, `[]`, `{"items":[]}`,
		`{"items":[{"id":"a","barcodes":["1",2,null]},5],"paging":{}}`,
	} {
		f.Add([]byte(page))
	}
	addSamples(f, "0*-page*.json", "36-*.json")
	f.Fuzz(func(t *testing.T, raw []byte) {
		rd := newReader()
		calls := 0
		p, err := rd.page(bytes.NewReader(raw), func(item []byte) error {
			calls++
			rd.document(item)
			if product, err := rd.product(item); err == nil && product.ID == "" {
				t.Errorf("accepted a card without id: %q", item)
			}
			if g, err := rd.group(item); err == nil && g.ID == "" {
				t.Errorf("accepted a group without id: %q", item)
			}
			if s, err := rd.store(item); err == nil && s.ID == "" {
				t.Errorf("accepted a shop without id: %q", item)
			}
			if d, err := rd.device(item); err == nil && d.ID == "" {
				t.Errorf("accepted a terminal without id: %q", item)
			}
			return nil
		})
		if p.Items != calls {
			t.Errorf("%d items, %d calls", p.Items, calls)
		}
		if err != nil {
			return
		}
		if check(raw) != nil {
			t.Errorf("accepted what is not JSON: %q", raw)
		}
		if c := (&cursor{text: raw}); c.kind() != '[' && !bytes.Contains(raw, []byte("items")) && !bytes.Contains(raw, []byte(`\u`)) {
			t.Errorf("accepted without items: %q", raw)
		}
	})
}

// FuzzTask checks that a task that is accepted can be told apart from others, and
// that its failures can be shown.
func FuzzTask(f *testing.F) {
	addSamples(f, "*-bulk-task-*.json")
	f.Add([]byte(`{"id":"t","status":"FAILED","details":[{"product_id":"p","code":"c","violations":[{"reason":"r","subject":"s"},"x"]},7,null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		task, err := decodeTask(raw)
		if err == nil && (task.ID == "" || task.Status == "") {
			t.Errorf("accepted without identity: %+v", task)
		}
		if err == nil && task.Err() != nil && task.Err().Error() == "" {
			t.Errorf("failed for no reason: %+v", task)
		}
	})
}

// addSamples seeds a target with public samples.
func addSamples(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join("testdata", "samples", pattern))
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
}

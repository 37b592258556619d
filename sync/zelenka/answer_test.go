package zelenka_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/sync/zelenka"
)

func TestDecodeAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		success  int64
		failures []zelenka.Failure
		bad      bool
	}{
		"no errors, as PHP writes an empty map": {body: `{"success":3,"errors":[]}`, success: 3},
		"no errors, as an object":               {body: `{"success":3,"errors":{}}`, success: 3},
		"errors null":                           {body: `{"errors":null,"success":3}`, success: 3},
		"errors absent":                         {body: `{"success":3}`, success: 3},
		"nothing taken":                         {body: `{"success":0,"errors":{"a":"no"}}`, failures: []zelenka.Failure{{"a", -1, "no"}}},
		"a count as text":                       {body: `{"success":"12","errors":[]}`, success: 12},
		"a byte order mark":                     {body: "\ufeff{\"success\":1}", success: 1},
		"blanks around":                         {body: "\r\n {\"success\":1}\n\n", success: 1},
		"errors as a list":                      {body: `{"success":1,"errors":["no","never"]}`, success: 1, failures: []zelenka.Failure{{"", 0, "no"}, {"", 1, "never"}}},
		"a list with ids":                       {body: `{"success":1,"errors":[{"id":7,"message":"no"},{"item_id":"ЦБ-1","error":"never"}]}`, success: 1, failures: []zelenka.Failure{{"7", 0, "no"}, {"ЦБ-1", 1, "never"}}},
		"words in a list":                       {body: `{"success":0,"errors":{"a":["no","never"],"b":{"quantity":["bad"]},"c":5,"d":null}}`, failures: []zelenka.Failure{{"a", -1, `["no","never"]`}, {"b", -1, `{"quantity":["bad"]}`}, {"c", -1, "5"}, {"d", -1, "null"}}},
		"words on lines":                        {body: `{"success":0,"errors":{"a":" no \n\t never "}}`, failures: []zelenka.Failure{{"a", -1, "no never"}}},
		"escaped ids":                           {body: `{"success":0,"errors":{"\u0426\u0411-1":"no"}}`, failures: []zelenka.Failure{{"ЦБ-1", -1, "no"}}},
		"members that are new":                  {body: `{"queue":{"id":[1,{"success":9}]},"success":2,"took":0.5}`, success: 2},
		"a name twice":                          {body: `{"success":0,"errors":{"a":"no","a":"never"}}`, failures: []zelenka.Failure{{"a", -1, "no"}, {"a", -1, "never"}}},

		"nothing":               {body: ``, bad: true},
		"null":                  {body: `null`, bad: true},
		"an array":              {body: `[]`, bad: true},
		"no count":              {body: `{"errors":[]}`, bad: true},
		"an empty object":       {body: `{}`, bad: true},
		"a count of null":       {body: `{"success":null}`, bad: true},
		"true":                  {body: `{"success":true}`, bad: true},
		"less than none":        {body: `{"success":-1}`, bad: true},
		"a fraction":            {body: `{"success":1.5}`, bad: true},
		"too many":              {body: `{"success":99999999999999999999}`, bad: true},
		"errors as a text":      {body: `{"success":1,"errors":"Database error"}`, bad: true},
		"a web page":            {body: `<html></html>`, bad: true},
		"a warning before":      {body: "<br />\n<b>Notice</b>{\"success\":1}", bad: true},
		"something after":       {body: `{"success":1}{"success":2}`, bad: true},
		"cut":                   {body: `{"success":1,"errors":{"a":"n`, bad: true},
		"cut between":           {body: `{"success":1,`, bad: true},
		"an error of the frame": {body: `{"name":"Unauthorized","message":"no","code":0,"status":401}`, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			success, failures, err := zelenka.DecodeAnswer(strings.NewReader(c.body))
			if (err != nil) != c.bad {
				t.Fatalf("%d %v %v", success, failures, err)
			}
			if diff := cmp.Diff(c.failures, failures); !c.bad && (success != c.success || diff != "") {
				t.Errorf("%d\n%s", success, diff)
			}
		})
	}
}

// The vendor's samples and the derived ones, which are what its text leaves open.
func TestDecodeSamples(t *testing.T) {
	for name, want := range map[string]struct {
		success  int64
		failures []zelenka.Failure
	}{
		"samples/zelenka-onhand-batch.response.json":               {2, []zelenka.Failure{{"ЦБ-00004899", -1, "Warehouse not found"}}},
		"derived/zelenka-onhand-batch-no-errors.hypothetical.json": {2, nil},
		"derived/zelenka-onhand-batch-collision.hypothetical.json": {1, []zelenka.Failure{{"ЦБ-00004897", -1, "Warehouse not found"}}},
	} {
		success, failures, err := zelenka.DecodeAnswer(bytes.NewReader(sample(t, name)))
		if diff := cmp.Diff(want.failures, failures); err != nil || success != want.success || diff != "" {
			t.Errorf("%s: %d %v\n%s", name, success, err, diff)
		}
	}
	if q, err := zelenka.DecodeUpdate(bytes.NewReader(sample(t, "samples/zelenka-onhand-update.response.json"))); err != nil || q != 8000 {
		t.Error(q, err)
	}
	access, refresh, life, err := zelenka.DecodeTokens(bytes.NewReader(sample(t, "samples/zelenka-auth-login.response.json")))
	if access != strings.Repeat("0", 32) || refresh != strings.Repeat("1", 32) || life != 86400 || err != nil {
		t.Error(access, refresh, life, err)
	}
	access, refresh, _, err = zelenka.DecodeTokens(bytes.NewReader(sample(t, "samples/zelenka-auth-refresh.response.json")))
	if access != strings.Repeat("2", 32) || refresh != "" || err != nil {
		t.Error(access, refresh, err)
	}
}

func TestDecodeTokens(t *testing.T) {
	for body, want := range map[string]struct {
		access string
		life   float64
	}{
		`{"access_token":"abc"}`: {"abc", 86400},
		`{"access_token":"abc","token_type":"Bearer","expires_in":"3600"}`:      {"abc", 3600},
		`{"access_token":"abc","expires_in":0}`:                                 {"abc", 86400},
		`{"access_token":"abc","expires_in":-5}`:                                {"abc", 86400},
		`{"access_token":"abc","expires_in":99999999999}`:                       {"abc", 86400},
		`{"access_token":"abc","expires_in":null,"refresh_token":"has spaces"}`: {"abc", 86400},
		`{"access_token":12345}`:                                                {"12345", 86400},
		`{"access_token":"abc","token_type":"mac"}`:                             {},
		`{"access_token":""}`:                                                   {},
		`{"access_token":"a b"}`:                                                {},
		`{"access_token":"a\r\nHost: other"}`:                                   {},
		`{"access_token":["abc"]}`:                                              {},
		`{"refresh_token":"abc"}`:                                               {},
		`{`:                                                                     {},
	} {
		access, refresh, life, err := zelenka.DecodeTokens(strings.NewReader(body))
		if access != want.access || (err == nil) != (want.access != "") || (err == nil && life != want.life) || refresh == "has spaces" {
			t.Errorf("%s: %q %q %v %v", body, access, refresh, life, err)
		}
	}
}

func TestDecodeUpdate(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":44,"warehouse_id":"341","quantity":8}`: "8",
		`{"quantity":"8"}`:                            "8",
		`{"quantity":8.00}`:                           "8",
		`{"quantity":-3}`:                             "-3",
		`{"quantity":null}`:                           "",
		`{"quantity":[8]}`:                            "",
		`{"id":44}`:                                   "",
		`{"quantity":"abc"}`:                          "",
		`[8]`:                                         "",
	} {
		q, err := zelenka.DecodeUpdate(strings.NewReader(body))
		if (err == nil) != (want != "") || (err == nil && q.String() != want) {
			t.Errorf("%s: %v %v", body, q, err)
		}
	}
}

func seed(f *testing.F) {
	for _, folder := range []string{"samples", "derived"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
		if err != nil || len(files) == 0 {
			f.Fatal(files, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Add([]byte(`{"success":"2","errors":["a",{"id":1,"message":"b"},[]]}`))
	f.Add([]byte("\ufeff{\"success\":0,\"errors\":{\"\\ud800\":\"\xff\"}}"))
}

// An answer that is taken has a count, and its entries are readable text,
// however it is cut into reads.
func FuzzDecodeAnswer(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		success, failures, err := zelenka.DecodeAnswer(bytes.NewReader(body))
		if err == nil && success < 0 {
			t.Errorf("a count of %d", success)
		}
		for _, one := range failures {
			if len(one.Text) > 220 || strings.ContainsAny(one.Text, "\n\r") || one.Text != strings.ToValidUTF8(one.Text, "") {
				t.Errorf("%q", one.Text)
			}
		}
		again, more, err2 := zelenka.DecodeAnswer(dribble{bytes.NewReader(body)})
		if (err == nil) != (err2 == nil) || (err == nil && (again != success || cmp.Diff(failures, more) != "")) {
			t.Errorf("%d %v, byte by byte %d %v", success, err, again, err2)
		}
	})
}

func FuzzDecodeTokens(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		access, refresh, life, err := zelenka.DecodeTokens(bytes.NewReader(body))
		if err == nil && (access == "" || strings.ContainsAny(access+refresh, " \r\n") || life <= 0 || life > 86400) {
			t.Errorf("%q %q %v", access, refresh, life)
		}
	})
}

func FuzzDecodeUpdate(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if q, err := zelenka.DecodeUpdate(bytes.NewReader(body)); err != nil && q != 0 {
			t.Error(q, err)
		}
	})
}

// dribble gives a byte at a time.
type dribble struct{ in io.Reader }

func (d dribble) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return d.in.Read(p[:1])
}

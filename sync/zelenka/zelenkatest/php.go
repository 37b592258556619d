package zelenkatest

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// phpInt is PHP 7.1's (int) of a decoded JSON value: fractions are cut off
// towards zero, of a text the number it begins with counts, and what is not a
// number is 0 without an error.
func phpInt(value jsontext.Value) int64 {
	switch value.Kind() {
	case '0':
		return number(string(value))
	case '"':
		plain, _ := jsontext.AppendUnquote(nil, value)
		return number(numberPrefix(strings.TrimLeft(string(plain), " \t\n\r\v\f")))
	case 't':
		return 1
	case '[', '{':
		if strings.Trim(string(value), "[]{} \t\r\n") != "" || value.Kind() == '{' {
			return 1 // an empty array is 0, anything else is 1
		}
	}
	return 0
}

func number(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && math.IsInf(f, 0) || math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return 0 // undefined; 0 on the platforms that matter
	}
	return int64(f)
}

// numberPrefix is the longest beginning of a text that is a number.
func numberPrefix(text string) string {
	i := 0
	digits := func() bool {
		start := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	some := digits()
	if i < len(text) && text[i] == '.' {
		i++
		some = digits() || some
	}
	if !some {
		return ""
	}
	end := i
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		if digits() {
			end = i
		}
	}
	return text[:end]
}

// phpString is PHP's (string) of an id.
func phpString(value jsontext.Value) string {
	if value.Kind() == '"' {
		plain, _ := jsontext.AppendUnquote(nil, value)
		return string(plain)
	}
	return string(value)
}

// texts is a PHP array of texts by id, in the order in which they were set.
type texts struct {
	ids  []string
	text map[string]string
}

func newTexts() *texts { return &texts{text: make(map[string]string)} }

func (t *texts) set(id, text string) {
	if _, had := t.text[id]; !had {
		t.ids = append(t.ids, id)
	}
	t.text[id] = text
}

// MarshalJSON writes what json_encode writes: [] for nothing, a list when the ids
// are 0, 1, 2, an object otherwise.
func (t *texts) MarshalJSON() ([]byte, error) {
	list := true
	for i, id := range t.ids {
		list = list && id == strconv.Itoa(i)
	}
	out := []byte{'{'}
	if list {
		out[0] = '['
	}
	for i, id := range t.ids {
		if i > 0 {
			out = append(out, ',')
		}
		if !list {
			out, _ = jsontext.AppendQuote(out, id)
			out = append(out, ':')
		}
		out, _ = jsontext.AppendQuote(out, t.text[id])
	}
	if list {
		return append(out, ']'), nil
	}
	return append(out, '}'), nil
}

// write answers with JSON. That the client is gone is the client's matter.
func write(w http.ResponseWriter, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// fail answers an error in the form that the vendor's framework uses, and returns
// the status.
func fail(w http.ResponseWriter, status int, message string) int {
	write(w, status, map[string]any{"name": http.StatusText(status), "message": message, "code": 0, "status": status})
	return status
}

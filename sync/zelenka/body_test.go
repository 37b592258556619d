package zelenka_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"ostatok/sync/zelenka"
)

// A body is as long as was told, and the same in each attempt.
func TestBody(t *testing.T) {
	keys := make([]string, 5000)
	for i := range keys {
		keys[i] = rows(i%7 + 1)[i%7].Key + string(rune('a'+i%26))
	}
	request, err := zelenka.Body(341, keys...)
	if err != nil {
		t.Fatal(err)
	}
	if len(request.Header) != 2 || request.Header.Get("Content-Type") != "application/json" || request.Header.Get("Accept") == "" {
		t.Errorf("headers %v", request.Header)
	}
	var first []byte
	for attempt := range 3 {
		in, err := request.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if attempt == 0 {
			first = text
		}
		if int64(len(text)) != request.Length || !bytes.Equal(text, first) {
			t.Errorf("attempt %d: %d bytes, %d were told", attempt, len(text), request.Length)
		}
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(first, &list); err != nil || len(list) != len(keys) || list[4999].ID != keys[4999] {
		t.Errorf("%d rows: %v", len(list), err)
	}
}

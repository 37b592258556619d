package zelenka

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
)

// tokens is what /auth/login and /auth/refresh answer.
type tokens struct {
	access, refresh string
	life            time.Duration
}

// decodeTokens reads the answer; its errors never quote it.
func decodeTokens(in io.Reader) (tokens, error) {
	t := tokens{life: tokenLife}
	kind := "bearer"
	err := members(in, func(d *jsontext.Decoder, name string) error {
		switch name {
		case "access_token":
			return text(d, &t.access)
		case "refresh_token":
			return text(d, &t.refresh)
		case "token_type":
			return text(d, &kind)
		case "expires_in":
			var seconds string
			if err := text(d, &seconds); err != nil {
				return err
			}
			if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && n > 0 && n < int64(tokenLife/time.Second) {
				t.life = time.Duration(n) * time.Second
			}
			return nil
		}
		return d.SkipValue()
	})
	switch {
	case err != nil:
		return tokens{}, err
	case !strings.EqualFold(kind, "bearer"):
		return tokens{}, errors.New("the token is not of the type bearer")
	case !sendable(t.access):
		return tokens{}, errors.New("the answer holds no usable access_token")
	case t.refresh != "" && !sendable(t.refresh):
		t.refresh = ""
	}
	return t, nil
}

// sendable tells whether a token can stand in a header.
func sendable(token string) bool {
	return token != "" && len(token) <= 8<<10 && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// failure is one entry of errors.
type failure struct {
	id   string // "" when the entry does not name one
	at   int    // place in a list, -1 when errors is an object
	text string // the server's own words, shortened
}

var errNoCount = errors.New("the answer has no count of what was taken (success)")

// decodeAnswer reads what batch-update answers: {"success": n, "errors": …}.
// errors is an object by item id, a list as PHP writes an empty map or ids 0, 1,
// 2, null or absent (backends §2.8). It is read as a stream: there may be as many
// entries as there are rows.
func decodeAnswer(in io.Reader, failed func(failure)) (success int64, err error) {
	success = -1
	err = members(in, func(d *jsontext.Decoder, name string) error {
		switch name {
		case "success":
			var n string
			if err := text(d, &n); err != nil {
				return err
			}
			success, err = strconv.ParseInt(n, 10, 64)
			if err != nil || success < 0 {
				return errors.New("success is not a count")
			}
			return nil
		case "errors":
			return decodeErrors(d, failed)
		}
		return d.SkipValue()
	})
	if err == nil && success < 0 {
		err = errNoCount
	}
	return success, err
}

func decodeErrors(d *jsontext.Decoder, failed func(failure)) error {
	opening, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch opening.Kind() {
	case 'n':
		return nil
	case '{', '[':
	default:
		return errors.New("errors is neither a list nor an object")
	}
	list := opening.Kind() == '['
	for at := 0; d.PeekKind() != '}' && d.PeekKind() != ']'; at++ {
		f := failure{at: -1}
		if list {
			f.at = at
		} else {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			f.id = name.String()
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		f.read(value)
		failed(f)
	}
	_, err = d.ReadToken()
	return err
}

// read takes the words of an entry, and its id when it holds one itself.
func (f *failure) read(value jsontext.Value) {
	switch value.Kind() {
	case '"':
		f.text = unquote(value)
	case '{':
		// A broken object would not have been read as a value.
		_ = members(strings.NewReader(string(value)), func(d *jsontext.Decoder, name string) error {
			switch name {
			case "id", "item_id":
				if k := d.PeekKind(); f.id == "" && (k == '"' || k == '0') {
					return text(d, &f.id)
				}
			case "message", "error", "text":
				if d.PeekKind() == '"' {
					return text(d, &f.text)
				}
			}
			return d.SkipValue()
		})
	}
	if f.text == "" {
		f.text = string(value)
	}
	f.text = clip(strings.Join(strings.Fields(strings.ToValidUTF8(f.text, "?")), " "))
}

func clip(s string) string {
	const longest = 200
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// decodeUpdate reads what /onhand/update answers: the quantity that was taken.
// The id in the vendor's example is not the one that was sent, so it is not
// looked at.
func decodeUpdate(in io.Reader) (stock.Quantity, error) {
	taken, told := stock.Quantity(0), false
	err := members(in, func(d *jsontext.Decoder, name string) error {
		if name != "quantity" {
			return d.SkipValue()
		}
		var n string
		if err := text(d, &n); err != nil {
			return err
		}
		q, err := stock.ParseQuantity(n)
		if err != nil {
			return errors.New("the quantity that was taken cannot be read") // without it: a server may quote anything
		}
		taken, told = q, true
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case !told:
		return 0, errors.New("the answer does not tell the quantity that was taken")
	}
	return taken, nil
}

// members reads one object and hands each member to read, which must read its
// value to the end. Nothing but blanks may follow the object.
func members(in io.Reader, read func(d *jsontext.Decoder, name string) error) error {
	buffered := bufio.NewReader(in)
	if start, err := buffered.Peek(3); err == nil && string(start) == "\uFEFF" {
		_, _ = buffered.Discard(3) // a PHP file saved with a byte order mark; what was peeked is there
	}
	// Names are ids of items and the words are people's: the decoder need not
	// remember the first nor judge the second.
	d := jsontext.NewDecoder(buffered, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	opening, err := d.ReadToken()
	if err != nil {
		return err
	}
	if opening.Kind() != '{' {
		return errors.New("the answer is not an object")
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := read(d, name.String()); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		if err == nil {
			err = errors.New("something follows the answer")
		}
		return err
	}
	return nil
}

// text reads a string, or a number as its text: PHP writes both for the same.
func text(d *jsontext.Decoder, into *string) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case '"':
		*into = strings.TrimSpace(unquote(value))
	case '0':
		*into = string(value)
	case 'n':
		*into = ""
	default:
		return fmt.Errorf("a member of the answer is a %s, not a text or a number", value.Kind())
	}
	return nil
}

func unquote(value jsontext.Value) string {
	plain, _ := jsontext.AppendUnquote(nil, value) // invalid UTF-8 is replaced
	return string(plain)
}

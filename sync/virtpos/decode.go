package virtpos

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// verdict is what every answer has: success, and info when there is none.
type verdict struct {
	success bool
	told    bool
	info    string
}

// errNoSuccess is for an answer without the one field that every answer must
// have: whatever it holds counts for nothing.
var errNoSuccess = errors.New("the answer does not say whether the call succeeded")

// decode reads a whole answer. See Client.do.
func decode(in io.Reader, child func(d *decoder, name string) error) (verdict, error) {
	t, err := newTree(in)
	if err != nil {
		return verdict{}, err
	}
	d := &decoder{tree: t}
	if _, err := d.tree.next(); err != nil { // opens the root
		return verdict{}, err
	}
	var v verdict
	if err := d.root(&v, child); err != nil {
		return v, err
	}
	switch _, err := d.tree.next(); {
	case err == nil:
		return v, errors.New("something follows the answer")
	case err != io.EOF:
		return v, err
	}
	if !v.told {
		return v, errNoSuccess
	}
	return v, nil
}

func (d *decoder) root(v *verdict, child func(d *decoder, name string) error) error {
	_, err := d.children(func(name string) error {
		switch name {
		case "root": // the XML transcribed with its root
			return d.root(v, child)
		case "success":
			text, err := d.leaf()
			if err != nil {
				return err
			}
			return v.tell(text)
		case "info":
			text, err := d.leaf()
			v.info = text
			return err
		}
		return child(d, name)
	})
	return err
}

// tell takes the field success. Only 1 is a success, in the ways to write it.
func (v *verdict) tell(text string) error {
	if v.told {
		return errors.New("the answer says twice whether the call succeeded")
	}
	v.told = true
	switch strings.ToLower(text) {
	case "1", "true":
		v.success = true
	case "0", "false":
	default:
		return fmt.Errorf("%w: success is %q", errNoSuccess, clip(text))
	}
	return nil
}

// decoder reads nodes; every method reads the node that is open to its end.
type decoder struct {
	tree  tree
	depth int
}

// children calls fn for every child of the open node and returns the node's own
// text. fn must read the child to its end.
func (d *decoder) children(fn func(name string) error) (string, error) {
	if d.depth++; d.depth > depthMost {
		return "", errors.New("the answer is nested too deeply")
	}
	defer func() { d.depth-- }()
	text := ""
	for {
		n, err := d.tree.next()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		switch n.kind {
		case shutNode:
			return strings.TrimSpace(text), nil
		case textNode:
			text += n.text
		default:
			if err := fn(n.name); err != nil {
				return "", err
			}
		}
	}
}

// leaf returns the text of the open node.
func (d *decoder) leaf() (string, error) {
	return d.children(func(string) error { return d.skip() })
}

// skip reads over the open node.
func (d *decoder) skip() error {
	_, err := d.leaf()
	return err
}

// listed tells whether a child is one of a list: an element of an array, one
// under its name in the singular, or one that PHP numbered because its array had
// gaps.
func listed(name, singular string) bool {
	return name == element || name == singular || number(name)
}

func number(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// list is what an answer says of the list that it holds.
type list struct {
	came      bool  // the list itself, may be empty
	announced int64 // how many it should hold, -1 when that is not said
}

// count reads how many of something an answer announces. What cannot be read is
// not a hint.
func (l *list) count(d *decoder) error {
	text, err := d.leaf()
	if err != nil {
		return err
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		l.announced = n
	}
	return nil
}

// check says what is missing: whoever goes by a short list takes what is missing
// for sold out.
func (l *list) check(what string, have int64) error {
	switch {
	case !l.came && l.announced != 0:
		return fmt.Errorf("the answer holds no list of %s", what)
	case have < l.announced:
		return fmt.Errorf("the answer announces %d %s and holds %d", l.announced, what, have)
	}
	return nil
}

// fieldsMost bounds what a small answer may hold.
const fieldsMost = 100

// fields reads a small answer: its scalars by name.
func fields(into map[string]string) func(d *decoder, name string) error {
	return func(d *decoder, name string) error {
		text, err := d.leaf()
		if len(into) < fieldsMost {
			into[name] = text
		}
		return err
	}
}

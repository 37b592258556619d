package virtpos

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// An answer is read as a stream of nodes that is the same for XML and for every
// form of JSON: a member of an object is a named child, an element of an array a
// child named element. What a name means is then decided by position.
type node struct {
	kind nodeKind
	name string // of an open node
	text string // of a text node
}

type nodeKind byte

const (
	openNode nodeKind = iota
	textNode
	shutNode
)

// element is the name of what stands in a JSON array.
const element = "#"

// tree is a stream of nodes: one root, and then io.EOF.
type tree interface {
	next() (node, error)
}

// depthMost is more than any answer needs; a deeper one is not from VirtPOS.
const depthMost = 24

var errShape = errors.New("the answer is neither XML with a root nor a JSON object")

// newTree looks at what came, not at what was asked for: a server that ignores
// the format is understood all the same.
func newTree(in io.Reader) (tree, error) {
	r := bufio.NewReaderSize(in, 16<<10)
	for {
		c, size, err := r.ReadRune()
		switch {
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case c == ' ', c == '\n', c == '\r', c == '\t', c == '\uFEFF' && size > 1:
			continue
		}
		if err := r.UnreadRune(); err != nil {
			return nil, err
		}
		switch c {
		case '<':
			d := xml.NewDecoder(r)
			d.Entity = xml.HTMLEntity // names are typed by people into web pages
			return &xmlTree{in: d}, nil
		case '{':
			return &jsonTree{in: jsontext.NewDecoder(r, jsontext.AllowInvalidUTF8(true))}, nil
		}
		return nil, errShape
	}
}

type xmlTree struct {
	in    *xml.Decoder
	depth int
	ended bool
}

func (t *xmlTree) next() (node, error) {
	for {
		token, err := t.in.Token()
		if err != nil {
			if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok && syntax.Msg == "unexpected EOF" {
				err = io.ErrUnexpectedEOF
			}
			if err == io.EOF && !t.ended {
				err = io.ErrUnexpectedEOF
			}
			return node{}, err
		}
		switch v := token.(type) {
		case xml.StartElement:
			if t.depth == 0 && (t.ended || v.Name.Local != "root") {
				return node{}, fmt.Errorf("the answer is not a <root> but a <%s>", clip(v.Name.Local))
			}
			t.depth++
			return node{kind: openNode, name: v.Name.Local}, nil
		case xml.EndElement:
			t.depth--
			t.ended = t.depth == 0
			return node{kind: shutNode}, nil
		case xml.CharData:
			if t.depth > 0 {
				return node{kind: textNode, text: string(v)}, nil
			}
		}
	}
}

type jsonTree struct {
	in     *jsontext.Decoder
	arrays []bool // what is open; an array or an object
	name   string // of the next value in an object
	named  bool
	queue  [2]node
	queued int
}

func (t *jsonTree) next() (node, error) {
	if t.queued > 0 {
		t.queued--
		return t.queue[t.queued], nil
	}
	for {
		token, err := t.in.ReadToken()
		if err != nil {
			return node{}, err
		}
		depth := len(t.arrays)
		switch kind := token.Kind(); {
		case kind == '}' || kind == ']':
			t.arrays = t.arrays[:depth-1]
			return node{kind: shutNode}, nil
		case depth > 0 && !t.arrays[depth-1] && !t.named:
			t.name, t.named = token.String(), true
		default:
			open := node{kind: openNode, name: t.name}
			switch {
			case depth == 0:
				open.name = "root"
			case t.arrays[depth-1]:
				open.name = element
			}
			t.named = false
			switch kind {
			case '{', '[':
				t.arrays = append(t.arrays, kind == '[')
			case 'n': // as if it were empty
				t.queue[0], t.queued = node{kind: shutNode}, 1
			default:
				t.queue[0], t.queue[1], t.queued = node{kind: shutNode}, node{kind: textNode, text: token.String()}, 2
			}
			return open, nil
		}
	}
}

// clip keeps a foreign text short in errors.
func clip(s string) string {
	const longest = 64
	if len(s) <= longest {
		return s
	}
	s = s[:longest]
	for !utf8.ValidString(s) && s != "" {
		s = s[:len(s)-1]
	}
	return s + "…"
}

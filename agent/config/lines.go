package config

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines maps each key of a TOML text ("evotor.poll", "target[0].url") to the
// line it is written on. The decoder itself tells lines only of values that it
// refuses; a value that is well formed and out of our limits needs its line too.
func lines(text []byte) map[string]int {
	index := make(map[string]int)
	var p unstable.Parser
	p.Reset(text)
	walk := lineWalk{parser: &p, index: index, tables: make(map[string]int)}
	section := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			section = walk.key("", e.Key())
		case unstable.ArrayTable:
			name := walk.key("", e.Key())
			section = element(name, walk.tables[name])
			walk.tables[name]++
			parts := e.Key()
			parts.Next()
			index[section] = p.Shape(parts.Node().Raw).Start.Line
		case unstable.KeyValue:
			walk.pair(section, e)
		}
	}
	return index
}

type lineWalk struct {
	parser *unstable.Parser
	index  map[string]int
	tables map[string]int // array tables met so far
}

// key notes the line of every part of a dotted key and returns the whole.
func (w *lineWalk) key(section string, parts unstable.Iterator) string {
	path := section
	for parts.Next() {
		n := parts.Node()
		if path != "" {
			path += "."
		}
		path += string(n.Data)
		if _, ok := w.index[path]; !ok {
			w.index[path] = w.parser.Shape(n.Raw).Start.Line
		}
	}
	return path
}

func (w *lineWalk) pair(section string, e *unstable.Node) {
	w.value(w.key(section, e.Key()), e.Value())
}

func (w *lineWalk) value(path string, v *unstable.Node) {
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			w.pair(path, children.Node())
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			if c := children.Node(); c.Kind == unstable.InlineTable {
				w.index[element(path, i)] = w.index[path]
				w.value(element(path, i), c)
			}
		}
	}
}

// element names the i-th element of an array.
func element(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

// section is the part of a key before its last name, "" at the top.
func section(key string) string {
	return key[:max(0, strings.LastIndexByte(key, '.'))]
}

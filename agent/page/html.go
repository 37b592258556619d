package page

import (
	"bytes"
	"html"
	"strings"
)

// Pages are put together from typed pieces instead of html/template: the
// template packages call methods by name, which keeps the linker from leaving
// anything out and costs the agent 2.7 MB on arm. What html/template promises
// is kept by construction: every text and attribute is escaped here, element
// and attribute names are constants of this package, addresses are checked, and
// scripts and styles are files of their own.

// A part is an attribute or a child of an element; nil is nothing.
type part interface{ put(e *element) }

type attr struct{ name, value string }

func (a attr) put(e *element) {
	if a.name == "class" {
		for i := range e.attrs {
			if e.attrs[i].name == "class" {
				e.attrs[i].value += " " + a.value
				return
			}
		}
	}
	e.attrs = append(e.attrs, a)
}

// A node writes itself.
type node func(*bytes.Buffer)

func (n node) put(e *element) {
	if n != nil {
		e.children = append(e.children, n)
	}
}

// parts are several in place of one.
type parts []part

func (list parts) put(e *element) {
	for _, p := range list {
		if p != nil {
			p.put(e)
		}
	}
}

type nodes []node

func (list nodes) put(e *element) { e.children = append(e.children, list...) }

// attrs are several attributes in place of one.
type attrs []attr

func (list attrs) put(e *element) {
	for _, a := range list {
		a.put(e)
	}
}

type element struct {
	attrs    attrs
	children nodes
}

func el(name string, content ...part) node {
	var e element
	parts(content).put(&e)
	return func(b *bytes.Buffer) {
		b.WriteByte('<')
		b.WriteString(name)
		for _, a := range e.attrs {
			b.WriteByte(' ')
			b.WriteString(a.name)
			b.WriteString(`="`)
			b.WriteString(escape(a.value))
			b.WriteByte('"')
		}
		b.WriteByte('>')
		switch name {
		case "input", "link", "meta", "br":
			return // these have no end
		}
		for _, c := range e.children {
			if c != nil {
				c(b)
			}
		}
		b.WriteString("</")
		b.WriteString(name)
		b.WriteByte('>')
	}
}

func text(s string) node {
	return func(b *bytes.Buffer) { b.WriteString(escape(s)) }
}

// name is a text from outside. It is isolated, so that one with right-to-left
// marks cannot turn round what stands beside it.
func name(s string) node { return el("bdi", text(s)) }

func escape(s string) string { return html.EscapeString(strings.ToValidUTF8(s, "\uFFFD")) }

func class(names string) attr     { return attr{"class", names} }
func id(s string) attr            { return attr{"id", s} }
func data(key, value string) attr { return attr{"data-" + key, value} }
func label(s string) attr         { return attr{"aria-label", s} }

// href takes addresses of this page only.
func href(address string) attr {
	if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.HasPrefix(address, `/\`) {
		address = "#"
	}
	return attr{"href", address}
}

// when is the part if the condition holds.
func when(condition bool, p part) part {
	if condition {
		return p
	}
	return nil
}

// each makes one node of every item.
func each[T any](items []T, show func(T) node) nodes {
	list := make(nodes, 0, len(items))
	for i := range items {
		list = append(list, show(items[i]))
	}
	return list
}

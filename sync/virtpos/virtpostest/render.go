package virtpostest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
)

const portal = "<!DOCTYPE html><html><head><title>Авторизация</title></head><body><p>Подключение к сети</p></body></html>"

// tree is an answer before it has a format.
type tree struct {
	name     string
	text     string
	number   bool
	list     string // the name of its elements, "" when it is not a list
	children []tree
	failed   bool
}

func text(name, value string) tree   { return tree{name: name, text: value} }
func number(name, value string) tree { return tree{name: name, text: value, number: true} }

func (t *tree) add(children ...tree) { t.children = append(t.children, children...) }

func success(kind string) tree {
	t := tree{name: "root"}
	t.add(number("success", "1"))
	if kind != "" {
		t.add(text("type", kind))
	}
	return t
}

func failure(info string) tree {
	return tree{name: "root", failed: true, children: []tree{number("success", "0"), text("info", info)}}
}

// without is the answer without a member.
func (t tree) without(name string) tree {
	kept := tree{name: t.name}
	for _, c := range t.children {
		if c.name != name {
			kept.add(c)
		}
	}
	return kept
}

// shorten takes the last element of the first list that has any, deepest first.
func (t *tree) shorten() bool {
	for i := range t.children {
		if t.children[i].shorten() {
			return true
		}
	}
	if t.list == "" || len(t.children) == 0 {
		return false
	}
	t.children = t.children[:len(t.children)-1]
	return true
}

// send writes an answer with what goes wrong with it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, c *exchange, answer tree, fault Fault) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	status := http.StatusOK
	if answer.failed && s.settings.ErrorStatus != 0 {
		status = s.settings.ErrorStatus
	}
	switch {
	case down:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case fault == Broken || fault == BrokenAfter:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	case fault == Limited:
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	case fault == Moved:
		http.Redirect(w, r, "https://elsewhere.test"+r.URL.Path, http.StatusMovedPermanently)
		return
	case fault == Lost:
		panic(http.ErrAbortHandler)
	case fault == Hang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		panic(http.ErrAbortHandler)
	case fault == HTML || fault == Disguised:
		w.Header().Set("Content-Type", map[Fault]string{HTML: "text/html; charset=utf-8", Disguised: "application/json"}[fault])
		w.Write([]byte(portal))
		return
	case fault == Silent:
		answer = answer.without("success")
	case fault == Short:
		answer.shorten()
	}
	var body []byte
	if c.get("format") == "json" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		body = s.settings.JSON.render(answer)
	} else {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		body = renderXML(answer)
	}
	switch fault {
	case Empty:
		body = nil
	case CutClean:
		body = body[:len(body)/2]
	case Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush() // the connection is about to be cut anyway
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	w.Write(body)
}

func renderXML(t tree) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	t.xml(&b, "")
	return b.Bytes()
}

func (t tree) xml(b *bytes.Buffer, indent string) {
	switch {
	case len(t.children) > 0:
		b.WriteString(indent + "<" + t.name + ">\n")
		for _, c := range t.children {
			c.xml(b, indent+"    ")
		}
		b.WriteString(indent + "</" + t.name + ">\n")
	case t.text == "":
		b.WriteString(indent + "<" + t.name + "/>\n")
	default:
		b.WriteString(indent + "<" + t.name + ">")
		_ = xml.EscapeText(b, []byte(t.text)) // a buffer takes everything
		b.WriteString("</" + t.name + ">\n")
	}
}

func (f JSON) render(t tree) []byte {
	var b bytes.Buffer
	if f.Root {
		b.WriteString(`{"root":`)
	}
	f.object(&b, t)
	if f.Root {
		b.WriteByte('}')
	}
	return b.Bytes()
}

func (f JSON) value(b *bytes.Buffer, t tree) {
	switch {
	case t.list != "":
		f.array(b, t)
	case len(t.children) > 0:
		f.object(b, t)
	case t.name == "success" && t.text == "1" && f.Success != "":
		b.WriteString(f.Success)
	case t.number && f.Numbers:
		b.WriteString(plain(t.text))
	default:
		quoted, _ := json.Marshal(t.text) // text can always be marshalled
		b.Write(quoted)
	}
}

// plain prints a number as PHP does: 2.000 is 2.
func plain(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func (f JSON) object(b *bytes.Buffer, t tree) {
	b.WriteByte('{')
	for i, c := range t.children {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(c.name) + ":")
		f.value(b, c)
	}
	b.WriteByte('}')
}

func (f JSON) array(b *bytes.Buffer, t tree) {
	single := len(t.children) == 1 && (f.Tree || f.Single)
	switch {
	case len(t.children) == 0:
		b.WriteString(map[bool]string{true: "[]", false: f.Empty}[f.Empty == ""])
	case f.Tree && single:
		b.WriteString(`{"` + t.list + `":`)
		f.object(b, t.children[0])
		b.WriteByte('}')
	case single:
		f.object(b, t.children[0])
	default:
		open, shut := "[", "]"
		switch {
		case f.Tree:
			open, shut = `{"`+t.list+`":[`, "]}"
		case f.Keyed:
			open, shut = "{", "}"
		}
		b.WriteString(open)
		for i, c := range t.children {
			if i > 0 {
				b.WriteByte(',')
			}
			if f.Keyed && !f.Tree {
				b.WriteString(`"` + strconv.Itoa(i) + `":`)
			}
			f.object(b, c)
		}
		b.WriteString(shut)
	}
}

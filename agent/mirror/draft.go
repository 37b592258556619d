package mirror

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"ostatok/agent/stock"
)

// draft is a batch made ready for one transaction: decoded documents are large,
// and reading them may wait for the network, so neither is part of it.
type draft struct {
	m        *Mirror
	entries  []entry
	moves    []move
	groups   []group
	products []string // by the index that moves use
	index    map[string]int32
	devices  map[string]string // one copy of each text
	bad      []Bad
	notices  []DocumentNotice

	plain []byte // of the open group
}

// entry is a document without its lines.
type entry struct {
	header      stock.Document
	source      Source
	content     int64
	first, last int // its moves
	notices     int // end of its notices
}

// move is a movement without what its document says already.
type move struct {
	product          int32
	flags            uint8
	moved, low, high stock.Quantity
}

// group is a stretch of documents whose bodies make one chunk.
type group struct {
	first, last int
	packed      []byte
}

// mostProducts is how many products a document may name: more is not a shop's.
const mostProducts = 1<<16 - 1

func (m *Mirror) draft(b *Batch) *draft {
	d := &draft{m: m, index: make(map[string]int32), devices: make(map[string]string)}
	for i := range b.Documents {
		d.add(&b.Documents[i])
	}
	if b.More != nil {
		for document := range b.More {
			d.add(&document)
		}
	}
	if b.Close != nil {
		b.Close(b)
	}
	d.endGroup()
	d.index, d.plain = nil, nil
	return d
}

func (d *draft) add(document *Document) {
	if reason := d.refuse(document); reason != "" {
		d.setAside(document, reason)
		return
	}
	movements, notices := document.Movements(d.m.o.Rules)
	if len(movements) > mostProducts {
		d.setAside(document, fmt.Sprintf("it has %d products; at most %d can be kept", len(movements), mostProducts))
		return
	}
	for _, n := range notices {
		d.notices = append(d.notices, DocumentNotice{Notice: n, Document: document.ID})
	}
	e := entry{header: document.Document, source: document.Source, first: len(d.moves), notices: len(d.notices)}
	e.header.Lines = nil
	e.header.Device = d.single(document.Device)
	e.header.Type = stock.Type(d.single(string(document.Type)))
	e.header.Store = ""
	for i := range movements {
		d.moves = append(d.moves, d.move(&movements[i]))
	}
	e.last = len(d.moves)
	e.content = contentOf(document, movements)
	d.entries = append(d.entries, e)
	if document.Raw != nil {
		slot := len(d.entries) - 1 - d.groupStart()
		d.plain = appendBody(d.plain, slot, document.Raw)
	}
	if len(d.entries)-d.groupStart() >= chunkDocuments || len(d.plain) >= chunkBytes {
		d.endGroup()
	}
}

// refuse says why a document cannot be used.
func (d *draft) refuse(document *Document) string {
	switch {
	case document.ID == "":
		return "it has no id"
	case document.Closed <= 0:
		return "it has no close date, so it has no place in the order"
	case document.Store != "" && d.m.o.Store != "" && document.Store != d.m.o.Store:
		return "it belongs to store " + document.Store
	}
	return ""
}

func (d *draft) setAside(document *Document, reason string) {
	d.bad = append(d.bad, Bad{Where: WhereDocuments, ID: document.ID, Raw: bytes.Clone(document.Raw), Reason: reason})
}

func (d *draft) move(m *stock.Movement) move {
	i, ok := d.index[m.Product]
	if !ok {
		i = int32(len(d.products))
		d.products = append(d.products, m.Product)
		d.index[m.Product] = i
	}
	out := move{product: i, moved: m.Moved, low: m.Low, high: m.High}
	if m.HasStated {
		out.flags |= flagStated
	}
	return out
}

func (d *draft) single(text string) string {
	if have, ok := d.devices[text]; ok {
		return have
	}
	d.devices[text] = text
	return text
}

func (d *draft) groupStart() int {
	if n := len(d.groups); n > 0 {
		return d.groups[n-1].last
	}
	return 0
}

func (d *draft) endGroup() {
	start := d.groupStart()
	if start == len(d.entries) {
		return
	}
	g := group{first: start, last: len(d.entries)}
	if len(d.plain) > 0 {
		g.packed = d.m.packer.EncodeAll(d.plain, nil)
		d.plain = d.plain[:0]
	}
	d.groups = append(d.groups, g)
}

// contentOf is a hash of all in a document that bears on stock. It is taken of
// the decoded document: the same one may come in several spellings.
func contentOf(document *Document, movements []stock.Movement) int64 {
	h := fnv.New64a()
	b := make([]byte, 0, 512)
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(string(document.Type))
	text(document.Device)
	b = binary.AppendVarint(b, document.Number)
	b = binary.AppendVarint(b, document.Closed)
	if document.Type == stock.Inventory {
		b = append(b, byte(document.Complete))
	}
	for i := range movements {
		m := &movements[i]
		text(m.Product)
		for _, q := range [...]stock.Quantity{m.Moved, m.Low, m.High} {
			b = binary.AppendVarint(b, int64(q))
		}
		if m.HasStated {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	_, _ = h.Write(b) // a hash never fails
	return int64(h.Sum64())
}

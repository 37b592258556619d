package mirror

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"ostatok/agent/stock"
)

// What a chain taught is kept beside its level, so that it can be taken back
// from the shop's sum when the chain is folded again.

// taught is what one chain taught, nil for nothing.
func taught(f *stock.Fold) []byte {
	var e stock.Evidence
	e.Add(f)
	if len(e.Votes) == 0 && len(e.Downloads) == 0 {
		return nil
	}
	text := func(b []byte, s string) []byte {
		return append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b := binary.AppendUvarint(nil, uint64(len(e.Votes)))
	for _, t := range slices.Sorted(maps.Keys(e.Votes)) {
		b = text(b, string(t))
		b = binary.AppendVarint(b, e.Votes[t].Before)
		b = binary.AppendVarint(b, e.Votes[t].After)
	}
	for _, device := range slices.Sorted(maps.Keys(e.Downloads)) {
		b = text(b, device)
		d := e.Downloads[device]
		for _, counts := range [...][]int64{d.Ages[:], d.Stale[:]} {
			for _, n := range counts {
				b = binary.AppendVarint(b, n)
			}
		}
	}
	return b
}

// learn adds what a chain taught to the shop's sum, or takes it back.
func (m *Mirror) learn(evidence []byte, by int64) error {
	c := cursor{b: evidence}
	text := func() string {
		n := c.uint()
		if n > uint64(len(c.b)) {
			c.bad = true
			return ""
		}
		s := string(c.b[:n])
		c.b = c.b[n:]
		return s
	}
	sum := &m.sum
	if len(c.b) > 0 {
		for n := c.uint(); n > 0 && !c.bad; n-- {
			t := stock.Type(text())
			v := sum.Votes[t]
			v.Before += by * c.int()
			v.After += by * c.int()
			if sum.Votes == nil {
				sum.Votes = make(map[stock.Type]stock.Votes)
			}
			if sum.Votes[t] = v; v == (stock.Votes{}) {
				delete(sum.Votes, t)
			}
		}
	}
	for len(c.b) > 0 && !c.bad {
		device := text()
		d := sum.Downloads[device]
		for _, counts := range [...][]int64{d.Ages[:], d.Stale[:]} {
			for i := range counts {
				counts[i] += by * c.int()
			}
		}
		if sum.Downloads == nil {
			sum.Downloads = make(map[string]stock.Downloads)
		}
		if sum.Downloads[device] = d; d == (stock.Downloads{}) {
			delete(sum.Downloads, device)
		}
	}
	if c.bad {
		return fmt.Errorf("evidence: %w", errBody)
	}
	return nil
}

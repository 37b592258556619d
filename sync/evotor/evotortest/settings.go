// Package evotortest is a shop on the desk: a generator that plays a shop with
// Evotor terminals, and a cloud that serves what the shop did over HTTP in the
// shapes of the real one, with the faults of the real one.
//
// The generator is the judge of how right the computed stock is, so it knows
// three figures of each product and keeps them apart: what is on the shelf
// (Physical), what the cloud says (Cloud), and what a reader of the documents
// can know at all (Told).
//
// The same Settings give the same shop, to the byte.
package evotortest

import (
	"time"

	"ostatok/agent/stock"
)

// Settings describe a shop. Zero fields take the defaults written beside them.
type Settings struct {
	Seed  uint64
	Store string // "" makes an id that begins with the day of From

	Terminals int // 1; from the second on, the last one is activated in the middle of the period
	Products  int // 200
	Documents int // 2000, about, spread over From..To

	From, To time.Time // To: 2026-11-21 12:00 UTC; From: 14 months before To

	// Download is how often a terminal replaces its view of all products by the
	// cloud's figures; 0 is never after activation. DownloadJitter moves each
	// download by up to so much either way (Download/10).
	Download, DownloadJitter time.Duration

	// Outside is the mean number, per product over From..To, of changes of stock
	// that an accounting system makes without a document.
	Outside float64

	// LateShare is the share of time that a terminal spends without a network, in
	// stretches of an hour to three days.
	LateShare float64

	FullCounts, PartialCounts int // INVENTORY documents over From..To

	// AcceptReading says what initial_quantity means in ACCEPT documents (After,
	// as the vendor's guide reads it); Readings says it for other types (Before).
	AcceptReading stock.Reading
	Readings      map[stock.Type]stock.Reading

	// QuantityShown is false in a shop where an accounting app has never written:
	// the cloud then reports 0 for a product until somebody sets its quantity.
	QuantityShown bool

	// NoJSON leaves Document.JSON empty: faster where only figures are wanted.
	NoJSON bool
}

func (s Settings) withDefaults() Settings {
	if s.Terminals <= 0 {
		s.Terminals = 1
	}
	if s.Products <= 0 {
		s.Products = 200
	}
	if s.Documents <= 0 {
		s.Documents = 2000
	}
	if s.To.IsZero() {
		s.To = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	}
	if s.From.IsZero() {
		s.From = s.To.AddDate(0, -14, 0)
	}
	if s.DownloadJitter == 0 {
		s.DownloadJitter = s.Download / 10
	}
	if s.AcceptReading == "" {
		s.AcceptReading = stock.After
	}
	return s
}

// reading is what initial_quantity means in documents of a type.
func (s *Settings) reading(t stock.Type) stock.Reading {
	if t == stock.Accept {
		return s.AcceptReading
	}
	if r, ok := s.Readings[t]; ok {
		return r
	}
	return stock.Before
}

package keycrm

import "io"

// Page is what decodePage makes of an answer.
type Page struct {
	Offers        []Offer
	Total, Number int64
	More          bool
}

// DecodePage reads one page of a list.
func DecodePage(in io.Reader) (Page, error) {
	p, err := decodePage(in)
	return Page{p.offers, p.total, p.number, p.more}, err
}

// The decoders and the encoder that tests look at by themselves.
var (
	DecodeOrder = decodeOrder
	EncodeRows  = encodeRows
)

package ingest

import (
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// Judge is what a request's body comes to before anything is kept.
func Judge(store string, body []byte) (status int, usable []Document, err error) {
	items, err := evotor.DecodeDocuments(body)
	if err != nil {
		return 0, nil, err
	}
	v := (&server{Options: Options{Store: store}}).judge(items)
	return v.status, v.usable, nil
}

// ReadBack is what the mirror gets of a document that was kept.
func ReadBack(id string, raw []byte) (stock.Document, error) { return readBack(id, raw) }

// Ping tells whether a body is a check of the address.
func Ping(body []byte) bool { return ping(body) }

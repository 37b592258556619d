package evotor

import (
	"bytes"
	"os"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkDocumentsPage reads a page of a thousand real receipts of three lines,
// as the first synchronisation does a hundred times.
func BenchmarkDocumentsPage(b *testing.B) {
	raw, err := os.ReadFile("testdata/samples/13-sell-v2-real-2024-three-positions.json")
	if err != nil {
		b.Fatal(err)
	}
	one := jsontext.Value(raw)
	if err := one.Compact(); err != nil {
		b.Fatal(err)
	}
	page := []byte(`{"items":[`)
	for i := range 1000 {
		if i > 0 {
			page = append(page, ',')
		}
		page = append(page, one...)
	}
	page = append(page, `],"paging":{}}`...)
	rd := newReader()
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		lines := 0
		p, err := rd.page(bytes.NewReader(page), func(raw []byte) error {
			d, err := rd.document(raw)
			lines += len(d.Lines)
			return err
		})
		if err != nil || p.Items != 1000 || lines != 3000 {
			b.Fatal(err, p, lines)
		}
	}
}

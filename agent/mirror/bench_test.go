package mirror_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// What a first sync of a busy shop brings (design: budgets).
const (
	benchDocuments = 100_000
	benchLines     = 3
	benchProducts  = 20_000
	benchTills     = 3
	benchBatch     = 8_000
)

// history yields the sales of a shop as a first sync would: decoded documents
// with bodies of the size and sameness of real ones.
func history(documents int) iter.Seq[mirror.Document] {
	return func(yield func(mirror.Document) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		stocks := make([]stock.Quantity, benchProducts)
		var raw []byte
		for n := range documents {
			d := mirror.Document{Document: stock.Document{
				ID:   fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), n&0xffff, n&0xfff, n&0xfff, random.Uint64()>>16),
				Type: stock.Sell, Device: "2017022" + strconv.Itoa(n%benchTills) + "-D58C-40E0-8051-B53ADFF38860",
				Number: int64(n / benchTills), Closed: 1_700_000_000_000 + int64(n)*60_000,
			}}
			d.Arrived = d.Closed + 2000
			raw = fmt.Appendf(raw[:0], `{"id":"%s","type":"SELL","number":%d,"close_date":%d,"device_id":"%s","body":{"positions":[`,
				d.ID, d.Number, d.Closed, d.Device)
			for range benchLines {
				p := random.IntN(benchProducts)
				line := stock.Line{
					Product: fmt.Sprintf("%08x-0000-4000-8000-%012x", p, p), Quantity: stock.Unit,
					Stated: stocks[p], HasStated: true, Settlement: "CHECKOUT_FULL",
				}
				stocks[p] -= stock.Unit
				d.Lines = append(d.Lines, line)
				raw = fmt.Appendf(raw, `{"product_id":"%s","quantity":1,"initial_quantity":%d,"product_type":"NORMAL",`+
					`"mark":null,"mark_data":null,"alcohol_by_volume":0,"alcohol_product_kind_code":0,"tare_volume":0,"code":"%d",`+
					`"product_name":"Товар номер %d","measure_name":"шт","measure_precision":0,"id":%d,"uuid":"%08x-5a04-4b7c-9b2f-%012x",`+
					`"price":%d,"cost_price":0,"result_price":%d,"sum":%d,"tax":{"type":"NO_VAT","sum":0,"result_sum":0},"result_sum":%d,`+
					`"position_discount":null,"doc_distributed_discount":null,"splitted_positions":null,"attributes_choices":null,`+
					`"settlement_method":{"type":"CHECKOUT_FULL","amount":null},"sub_positions":[]},`,
					line.Product, int64(line.Stated)/1000, p, p, n, random.Uint32(), random.Uint64()>>16, p, p, p, p)
			}
			raw = append(raw, `],"payments":[]}}`...)
			d.Raw = raw
			if !yield(d) {
				return
			}
		}
	}
}

func loadHistory(b *testing.B, m *mirror.Mirror, documents int) (raw int64) {
	b.Helper()
	products := make([]stock.Product, benchProducts)
	for n := range products {
		products[n] = stock.Product{ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n), Type: "NORMAL",
			Name: fmt.Sprint("Товар номер ", n), Code: strconv.Itoa(n), Barcodes: []string{strconv.Itoa(4_600_000 + n)}}
	}
	for page := range slices.Chunk(products, 1000) {
		if err := m.PutProducts(b.Context(), 1, 1, page); err != nil {
			b.Fatal(err)
		}
	}
	next, stop := iter.Pull(history(documents))
	defer stop()
	for left := documents; left > 0; left -= benchBatch {
		_, err := m.PutDocuments(b.Context(), mirror.Batch{Defer: true, More: func(yield func(mirror.Document) bool) {
			for range min(benchBatch, left) {
				d, _ := next()
				raw += int64(len(d.Raw))
				if !yield(d) {
					return
				}
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	return raw
}

// written is what this process has caused to be written to storage, bytes.
func written() int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}

// peak is the largest resident size of this process so far, bytes.
func peak() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

func BenchmarkFirstLoad(b *testing.B) {
	for b.Loop() {
		m := open(b, testOptions(b.TempDir()))
		before := written()
		raw := loadHistory(b, m, benchDocuments)
		if _, err := m.Fold(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		size, _, err := m.DB().Size(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(raw)/benchDocuments, "body-B/document")
		b.ReportMetric(float64(size)/benchDocuments, "stored-B/document")
		b.ReportMetric(float64(written()-before)/float64(size), "written/stored")
		b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
	}
	b.ReportMetric(benchDocuments*float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}

// BenchmarkRefold is everything folded again, 300 k lines.
func BenchmarkRefold(b *testing.B) {
	m := open(b, testOptions(b.TempDir()))
	loadHistory(b, m, benchDocuments)
	if _, err := m.Fold(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	from := int64(1)
	for b.Loop() {
		// The history begins elsewhere, which every level may rest on.
		from++
		if _, err := m.PutDocuments(b.Context(), mirror.Batch{Coverage: &mirror.Coverage{From: from}, Defer: true}); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Fold(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOneDocument(b *testing.B) {
	m := open(b, testOptions(b.TempDir()))
	loadHistory(b, m, 20_000)
	if _, err := m.Fold(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		d := sale(n, fmt.Sprintf("%08x-0000-4000-8000-%012x", n%benchProducts, n%benchProducts), 1_800_000_000_000+int64(n), 1000, 5000)
		if _, err := m.PutDocuments(b.Context(), mirror.Batch{Documents: []mirror.Document{d}}); err != nil {
			b.Fatal(err)
		}
	}
}

package agent_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ostatok/sync/evotor/evotortest"
)

// BenchmarkStockPage makes the first page of Stock of a shop with 20 000 products
// (budget: 300 ms, 200 kB), and finds a part of a name in it.
func BenchmarkStockPage(b *testing.B) {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	x := boxOf(b, evotortest.NewShop(evotortest.Settings{
		Seed: 7, Products: 20_000, Documents: 20_000, From: to.AddDate(0, -2, 0), To: to,
	}), evotortest.CloudOptions{})
	a := x.open()
	defer x.close(a)
	if _, err := a.Sync(b.Context(), false, nil); err != nil {
		b.Fatal(err)
	}
	for name, path := range map[string]string{"all": "/stock", "search": "/stock?q=%D1%85%D0%BB%D0%B5%D0%B1", "overview": "/"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:8480"
				w := httptest.NewRecorder()
				a.Web().ServeHTTP(w, r)
				if size = w.Body.Len(); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
			b.ReportMetric(float64(size)/1000, "kB/page")
		})
	}
}

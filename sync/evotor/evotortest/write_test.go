package evotortest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

const v2 = "application/vnd.evotor.v2+json"

// tracked returns a product with stock, and a service.
func (s *site) tracked() (product, service string) {
	for _, p := range s.shop.Products() {
		if p.Service() {
			service = p.ID
		} else {
			product = p.ID
		}
	}
	return product, service
}

func TestCloudPatch(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	product, service := s.tracked()
	path := s.productsPath() + "/" + product
	for _, c := range []struct {
		path, content, body string
		want                int
	}{
		{path, v2, `{"quantity":12.345}`, 200},
		{path, v2, `{"quantity":-3,"price":10}`, 200},
		{path, v2, `{}`, 400},
		{path, v2, `not JSON`, 400},
		{path, v2, `{"quantity":null}`, 400},
		{path, v2, `{"quantity":"5"}`, 400},
		{path, v2, `{"quantity":1.2345}`, 400},
		{path, v2, `{"quantity":10000000}`, 400},
		{path, v2, `{"quantity":1,"name":"x"}`, 400},
		{path, "text/plain", `{"quantity":1}`, 415},
		{path, v2, `{"price":` + strings.Repeat(" ", 10<<20) + `1}`, 413},
		{s.productsPath() + "/" + service, v2, `{"quantity":1}`, 400},
		{s.productsPath() + "/none", v2, `{"quantity":1}`, 404},
	} {
		response, text, err := s.do("PATCH", c.path, c.content, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != c.want {
			t.Errorf("PATCH %.60s: %s, want %d: %s", c.body, response.Status, c.want, text)
		}
	}
	patched := s.cloud.Patched(product)
	if len(patched) != 2 || patched[0].Quantity != 12345 || patched[1].Quantity != -3000 || patched[1].At != s.shop.Now().UnixMilli() {
		t.Errorf("patched %v", patched)
	}
	_, text := s.get(path)
	var card struct{ Quantity stock.Quantity }
	if err := json.Unmarshal([]byte(text), &card); err != nil || card.Quantity != -3000 || s.shop.Cloud(product) != -3000 {
		t.Errorf("the card says %s, %v", card.Quantity, err)
	}
}

func TestCloudHidesQuantitiesUntilWritten(t *testing.T) {
	for _, shown := range []bool{false, true} {
		shop := evotortest.NewShop(evotortest.Settings{Seed: 34, Documents: 500, QuantityShown: shown})
		some := false
		for _, p := range shop.Products() {
			some = some || p.Cloud != 0
			if p.HasCloud == p.Service() {
				t.Errorf("product of type %s: HasCloud %v", p.Type, p.HasCloud)
			}
		}
		if some != shown {
			t.Errorf("quantities shown %v, want %v", some, shown)
		}
	}
}

func TestCloudBulk(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	product, service := s.tracked()
	put := func(content, body string) (int, string, string) {
		response, text, err := s.do("PUT", s.productsPath(), content, body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Header.Get("Location"), text
	}
	const bulk = "application/vnd.evotor.v2+bulk+json"
	row := `{"id":"%s","name":"x","price":1,"quantity":%s}`
	if code, _, _ := put(v2, "[]"); code != 415 {
		t.Errorf("single media type: %d", code)
	}
	for _, body := range []string{"[]", "{}", "[" + strings.Repeat(`{},`, 1000) + `{}]`} {
		if code, _, _ := put(bulk, body); code != 400 {
			t.Errorf("%.20s: %d", body, code)
		}
	}
	finish := func(location string) (statuses []string, details []json.RawMessage) {
		for range 3 {
			_, text := s.get(location)
			var task struct {
				Status  string
				Details []json.RawMessage
			}
			if err := json.Unmarshal([]byte(text), &task); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			statuses, details = append(statuses, task.Status), task.Details
		}
		return statuses, details
	}
	code, location, text := put(bulk, "["+fmt.Sprintf(row, product, "7.5")+"]")
	if code != 202 || !strings.Contains(text, `"status":"ACCEPTED"`) {
		t.Fatalf("%d %s", code, text)
	}
	if statuses, details := finish(location); fmt.Sprint(statuses) != "[RUNNING COMPLETED COMPLETED]" || len(details) != 1 {
		t.Errorf("statuses %v, details %s", statuses, details)
	}
	if q := s.shop.Cloud(product); q != 7500 {
		t.Errorf("the cloud says %s", q)
	}
	_, location, _ = put(bulk, "["+fmt.Sprintf(row, service, "1")+`,{"id":"`+product+`","name":"x","price":1}]`)
	if statuses, details := finish(location); statuses[2] != "FAILED" || !strings.Contains(string(details[0]), "violations") {
		t.Errorf("statuses %v, details %s", statuses, details)
	}
	if q := s.shop.Cloud(product); q != 0 {
		t.Errorf("the cloud says %s: a replaced card without a quantity has none", q)
	}
	if tasks, _, _ := s.all("/bulks"); len(tasks) != 2 {
		t.Errorf("%d tasks", len(tasks))
	}
	s.status(404, "/bulks/none")
}

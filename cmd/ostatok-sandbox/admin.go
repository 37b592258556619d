package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// furthest is how far one request may advance the clock.
const furthest = 400 * 24 * time.Hour

// admin serves what only a simulated shop can: the truth, and time and trouble
// on demand.
func admin(l *life) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sandbox/truth", l.truth)
	mux.HandleFunc("GET /sandbox/holds", l.backends.holds)
	mux.HandleFunc("GET /sandbox/mapping", l.backends.mapping)
	mux.HandleFunc("GET /sandbox/log", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.journal.newest()) })
	mux.HandleFunc("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.cloud.Faults()) })
	mux.HandleFunc("POST /sandbox/faults", l.setFaults)
	mux.HandleFunc("POST /sandbox/advance", l.advance)
	mux.HandleFunc("POST /sandbox/speed", l.setSpeed)
	return mux
}

// truth is what is known of a product that no client of the cloud can know.
type truth struct {
	Product  string           `json:"product_id"`
	Code     string           `json:"code"`
	Name     string           `json:"name"`
	Physical stock.Quantity   `json:"physical"`
	Told     *stock.Quantity  `json:"told"` // null when no document can tell
	OK       bool             `json:"ok"`
	Cloud    stock.Quantity   `json:"cloud"`
	Patched  []stock.Quantity `json:"patched"` // oldest first
}

func (l *life) truth(w http.ResponseWriter, _ *http.Request) {
	l.catchUp()
	products := l.shop.Products()
	rows := make([]truth, 0, len(products))
	for i := range products {
		p := &products[i]
		row := truth{Product: p.ID, Code: p.Code, Name: p.Name, Physical: l.shop.Physical(p.ID), Cloud: p.Cloud, Patched: []stock.Quantity{}}
		if told, ok := l.shop.Told(p.ID); ok {
			row.Told, row.OK = &told, true
		}
		for _, patch := range l.cloud.Patched(p.ID) {
			row.Patched = append(row.Patched, patch.Quantity)
		}
		rows = append(rows, row)
	}
	answer(w, struct {
		At       time.Time `json:"at"`
		Products []truth   `json:"products"`
	}{l.shop.Now(), rows})
}

// setFaults takes a named profile, which is every system's, rates by fault of the
// cloud, or one fault on demand of the cloud or of a named system.
func (l *life) setFaults(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Profile json.RawMessage  `json:"profile"`
		System  string           `json:"system"` // "" is the cloud
		Path    string           `json:"path"`
		Fault   evotortest.Fault `json:"fault"`
		Skip    int              `json:"skip"`
		Times   int              `json:"times"`
	}
	if !read(w, r, &ask) {
		return
	}
	if ask.Fault != evotortest.None {
		if err := l.fail(ask.System, ask.Path, ask.Fault, ask.Skip, max(ask.Times, 1)); err != nil {
			refuse(w, err)
			return
		}
		l.journal.say("fault %s ordered for %s %q", ask.Fault, cmp.Or(ask.System, evotor), ask.Path)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var name string
	var rates evotortest.Profile
	var err error
	if json.Unmarshal(ask.Profile, &name) == nil {
		rates, err = profile(name)
	} else if err = json.Unmarshal(ask.Profile, &rates); err == nil {
		err = rates.Check()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	l.cloud.ClearFaults()
	l.cloud.SetFaults(rates)
	l.backends.setFaults(shareOf(name))
	l.journal.say("faults set to %s", ask.Profile)
	w.WriteHeader(http.StatusNoContent)
}

// evotor is the cloud's name among the systems.
const evotor = "evotor"

func (l *life) fail(system, path string, fault evotortest.Fault, skip, times int) error {
	if system != "" && system != evotor {
		return l.backends.fail(system, path, string(fault), skip, times)
	}
	if !fault.Valid() {
		return fmt.Errorf("there is no fault %q", fault)
	}
	l.cloud.Fail(path, fault, skip, times)
	return nil
}

func (l *life) advance(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		By string `json:"by"`
	}
	if !read(w, r, &ask) {
		return
	}
	by, err := time.ParseDuration(ask.By)
	if err == nil && (by <= 0 || by > furthest) {
		err = fmt.Errorf("by must be above 0 and at most %v", furthest)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	l.clock.advance(by)
	l.catchUp()
	l.journal.say("the clock went %v ahead", by)
	answer(w, struct {
		At time.Time `json:"at"`
	}{l.shop.Now()})
}

// setSpeed lets the shop live faster or slower; 0 lets it stand still.
func (l *life) setSpeed(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Speed *float64 `json:"speed"`
	}
	if !read(w, r, &ask) {
		return
	}
	if ask.Speed == nil || *ask.Speed < 0 || *ask.Speed > fastest {
		refuse(w, fmt.Errorf("speed must be between 0 and %d", fastest))
		return
	}
	l.clock.run(*ask.Speed)
	l.catchUp()
	l.journal.say("the shop lives %g seconds a second", *ask.Speed)
	answer(w, struct {
		At time.Time `json:"at"`
	}{l.shop.Now()})
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, err)
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the client has gone
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

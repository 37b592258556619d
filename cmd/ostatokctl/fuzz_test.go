package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"ostatok/agent/message"
)

// Whatever a shop, or somebody in its place, says over the broker is read to the
// end; what is printed of it for people steers no terminal, and for programs it
// is JSON.
func FuzzHear(f *testing.F) {
	kinds := []string{"state", "status", "event", "command/result", "stock"}
	for kind, payloads := range map[uint8][]string{
		0: {`{"state":"ready","session":17,"version":"1.0.0","at":"2026-11-20T12:00:00Z"}`, `{"state":"lost","session":16}`, ``},
		1: {`{"schema":1,"session":17,"version":"1.0.0","store":"s","sync":{"phase":"idle","percent":100,"complete":true,"lag_seconds":3},` +
			`"levels":{"known":5,"unknown":1},"targets":[{"name":"site","policy":"auto","rejected":1,"last_error":"no"}],` +
			`"plans":[{"id":"a","target":"site","state":"open"}],"problems":[{"kind":"token","message":"refused"}]}`},
		2: {`{"id":"e1","seq":4,"at":"2026-11-20T12:00:00Z","kind":"token_refused","severity":"warning","message":"The cloud refused the token.","data":{}}`},
		3: {`{"id":"j","status":"done","result":{"a":1},"clock":"x"}`, `{"id":"j","status":"rejected","error":{"code":"expired","message":"too late"}}`},
		4: {`{"session":1,"seq":1,"full":true,"part":1,"last":true,"changes":[{"product_id":"p","code":"7","quantity":1.5,"reserved":null,"state":"known"}]}`,
			`{"changes":[{"product_id":"p","state":"removed"}]}`},
	} {
		for _, p := range payloads {
			f.Add(kind, []byte(p))
		}
	}
	now := func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		topic := "ostatok/v1/acme/shop-a/" + kinds[int(kind)%len(kinds)]
		heard := publication{topic, payload, false}
		var people, programs, said bytes.Buffer
		reader, program := &app{out: &people, err: &said, now: now}, &app{out: &programs, err: &said, now: now}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}

		fleet := newFleet(now)
		fleet.take(heard)
		must(reader.printFleet(fleet.list(), formatTable))
		must((&changes{told: make(map[string]string)}).print(&people, fleet.list(), now()))
		must(writeExport(&people, fleet.list(), formatCSV))
		must(program.printFleet(fleet.list(), formatJSON))
		for _, j := range fleet.list() {
			must(reader.show(j))
		}
		for _, p := range []*eventPrinter{
			{app: reader, seen: make(map[string]bool), came: make(chan struct{}, 1)},
			{app: program, json: true, seen: make(map[string]bool), came: make(chan struct{}, 1)},
		} {
			p.take(heard)
			p.take(heard) // it comes again
			must(p.failed())
		}
		if r, ok := readAnswer(heard); ok {
			must(reader.printAnswer(order{stores: []string{"a", "b"}}, r))
			must(program.printAnswer(order{format: formatJSON}, r))
		}
		if parts := new(assembly); strings.HasSuffix(topic, "/stock") && parts.take(payload) {
			for _, c := range parts.changes() {
				if c.State == message.Removed {
					t.Errorf("a product that is gone: %+v", c)
				}
			}
			must(reader.printStock(parts.changes(), formatTable))
			must(program.printStock(parts.changes(), formatJSON))
		}

		for _, r := range people.String() + said.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Fatalf("%q is printed in\n%q", r, people.String()+said.String())
			}
		}
		for in := json.NewDecoder(&programs); in.More(); {
			var any json.RawMessage
			must(in.Decode(&any))
		}
	})
}

package main

import (
	"encoding/json"
	"testing"

	"ostatok/agent/stock"
)

// The demo must not say that all is well when it is not.
func TestJudgeFindsWhatIsWrong(t *testing.T) {
	figure := func(thousandths stock.Quantity) *stock.Quantity { return &thousandths }
	known := []level{
		{Product: "weighed", Quantity: figure(8900), Reserved: figure(2000)},
		{Product: "below", Quantity: figure(-3000)},
		{Product: "absent", Quantity: figure(1000)},
	}
	var p plan
	text := `{"unmatched":[{"product_id":"absent"}],"rows":[{"product_id":"weighed","to":6,"state":"ready"},{"product_id":"guess","to":4,"state":"assumed"}]}`
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		held      map[string]stock.Quantity
		in, wrong int
	}{
		"all is well":         {map[string]stock.Quantity{"weighed": 6000, "below": 0}, 2, 0},
		"reserves forgotten":  {map[string]stock.Quantity{"weighed": 8000, "below": 0}, 1, 2},
		"less than nothing":   {map[string]stock.Quantity{"weighed": 6000, "below": -3000}, 1, 1},
		"not there any more":  {map[string]stock.Quantity{"weighed": 6000}, 1, 1},
		"nothing is there":    {nil, 0, 3},
		"fractions of pieces": {map[string]stock.Quantity{"weighed": 6900, "below": 0}, 1, 2},
	} {
		in, of, wrong := judge("zelenka", known, test.held, p)
		if in != test.in || of != 2 || len(wrong) != test.wrong {
			t.Errorf("%s: %d of %d in step, wrong: %q", name, in, of, wrong)
		}
	}
	for system, want := range map[string]stock.Quantity{"evotor": 8900, "virtpos": 8900, "zelenka": 6000, "keycrm": 8900} {
		if got := known[0].due(system); got != want {
			t.Errorf("%s: %v of 8.9 with 2 reserved, want %v", system, got, want)
		}
	}
}

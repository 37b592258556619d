package stock_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ostatok/agent/stock"
)

func TestParseQuantity(t *testing.T) {
	for text, want := range map[string]stock.Quantity{
		"0": 0, "-0": 0, "0.000": 0, "0.236": 236, "-4934": -4934000, "10": 10000, `"10"`: 10000,
		"1e3": 1000000, "1E3": 1000000, "1.5e1": 15000, "25e-1": 2500, "1.230": 1230, "1.2300000": 1230,
		"+7": 7000, `"2500.00"`: 2500000, "100.123": 100123, "0.001": 1, "-0.001": -1,
		"1000000000000": 1_000_000_000_000_000, "0e999": 0, "10.0": 10000, "1200e-2": 12000,
		"0.0010": 1, "100e-5": 1,
	} {
		if got, err := stock.ParseQuantity(text); err != nil || got != want {
			t.Errorf("ParseQuantity(%s) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseQuantityRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":                    "not a decimal",
		`""`:                  "not a decimal",
		"abc":                 "not a decimal",
		"1,5":                 "not a decimal",
		".5":                  "not a decimal",
		"5.":                  "not a decimal",
		"1.2.3":               "not a decimal",
		"--1":                 "not a decimal",
		"NaN":                 "not a decimal",
		"null":                "not a decimal",
		"1e":                  "exponent",
		"1e99999":             "exponent",
		"0.0001":              "three decimals",
		"1e-4":                "three decimals",
		"0.1234":              "three decimals",
		"1000000000000.001":   "too large",
		"9223372036854775807": "too large",
		"1e400":               "too large",
	} {
		_, err := stock.ParseQuantity(text)
		if !errors.Is(err, stock.ErrQuantity) || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseQuantity(%q): %v, want one that says %q", text, err, reason)
		}
		if err != nil && !strings.Contains(err.Error(), strings.Trim(text, `"`)) {
			t.Errorf("ParseQuantity(%q): %v does not name the value", text, err)
		}
	}
}

func TestQuantityPrintsAndReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := stock.Quantity(rapid.Int64Range(-1_000_000_000_000_000, 1_000_000_000_000_000).Draw(t, "q"))
		if back, err := stock.ParseQuantity(q.String()); err != nil || back != q {
			t.Fatalf("%d prints as %s and reads as %d, %v", int64(q), q, int64(back), err)
		}
		text, err := json.Marshal(q)
		if err != nil || string(text) != q.String() {
			t.Fatalf("%d as JSON: %s, %v", int64(q), text, err)
		}
	})
}

func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"0.236", "-4934", `"10"`, "1e3", "0.0001", "1e-999", "00012.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := stock.ParseQuantity(text)
		if err != nil {
			return
		}
		if again, err := stock.ParseQuantity(q.String()); err != nil || again != q {
			t.Fatalf("%q reads as %s, which reads as %s, %v", text, q, again, err)
		}
	})
}

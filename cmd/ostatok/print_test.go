package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

func TestTableFitsTheTerminal(t *testing.T) {
	rows := [][]string{{"1", "Молоко деревенское 3,2 %", "-12.5"}, {"00-00000017", "茶", "100"}}
	print := func(columns string) string {
		var out bytes.Buffer
		a := &app{out: &out, format: formatTable, environ: []string{"COLUMNS=" + columns}}
		l := a.list(column{title: "CODE"}, column{title: "NAME", cut: true}, column{title: "STOCK", right: true})
		for _, r := range rows {
			l.add(r...)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for columns, want := range map[string]string{
		"80": "CODE         NAME                      STOCK\n" +
			"1            Молоко деревенское 3,2 %  -12.5\n" +
			"00-00000017  茶                          100\n",
		"35": "CODE         NAME             STOCK\n" +
			"1            Молоко деревен…  -12.5\n" +
			"00-00000017  茶                 100\n",
	} {
		if diff := cmp.Diff(want, print(columns)); diff != "" {
			t.Errorf("%s columns (-want +got):\n%s", columns, diff)
		}
	}
}

func TestCutToWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, width := rapid.String().Draw(t, "text"), rapid.IntRange(1, 20).Draw(t, "width")
		got := cutTo(text, width)
		if uniseg.StringWidth(got) > width {
			t.Fatalf("%q is %d wide, want at most %d", got, uniseg.StringWidth(got), width)
		}
		if uniseg.StringWidth(text) <= width && got != text {
			t.Fatalf("%q fits and became %q", text, got)
		}
	})
}

func TestStockJSONShape(t *testing.T) {
	q, cloud := stock.Quantity(-12500), stock.Quantity(236)
	var out bytes.Buffer
	array := jsonArray{w: &out}
	for _, item := range []local.Item{
		{Product: "p", Code: "7", Name: "Сыр", Quantity: &q, Available: &q, State: stock.Known,
			Source: &local.Source{Document: "d", Type: stock.Sell}, Cloud: &cloud},
		{Product: "u", State: stock.Unknown},
	} {
		if err := array.add(item); err != nil {
			t.Fatal(err)
		}
	}
	if err := array.end(); err != nil {
		t.Fatal(err)
	}
	want := `[
 {"product_id":"p","code":"7","name":"Сыр","quantity":-12.5,"reserved":null,"available":-12.5,"state":"known","as_of":null,"source":{"document_id":"d","type":"SELL"},"cloud_quantity":0.236},
 {"product_id":"u","code":"","name":"","quantity":null,"reserved":null,"available":null,"state":"unknown","as_of":null,"source":null,"cloud_quantity":null}
]
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !json.Valid(out.Bytes()) {
		t.Error("not JSON")
	}
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("something"), exitUnexpected},
		{usage("no"), exitUsage},
		{&config.InvalidError{}, exitUsage},
		{&exitError{code: exitIncomplete}, exitIncomplete},
		{fmt.Errorf("wrapped: %w", &local.Error{Code: local.NotFound}), exitNotFound},
		{&local.Error{Code: local.Refused}, exitUsage},
		{verdict([]local.Check{{Status: local.OK}}), 0},
		{verdict([]local.Check{{Status: local.Warning}, {Status: local.OK}}), exitWarnings},
		{verdict([]local.Check{{Status: local.Failed}, {Status: local.Warning}}), exitErrors},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v ends with %d, want %d", test.err, got, test.want)
		}
	}
}

// Every state and reason has its words: a new one must not show as a blank.
func TestEveryStateHasWords(t *testing.T) {
	for _, r := range []stock.Reason{stock.ReasonReading, stock.ReasonDisagree, stock.ReasonAlone, stock.ReasonWindow, stock.ReasonCount, stock.ReasonLate} {
		if got := stateWords(local.Row{Item: local.Item{State: stock.Assumed}, Reason: r}); got == "assumed" {
			t.Errorf("%s has no words", r)
		}
	}
	for _, rule := range []stock.Rule{stock.RuleFirst, stock.RuleOwnView, stock.RuleAgree, stock.RuleLate, stock.RuleOutside, stock.RuleCount, stock.RuleWrite, stock.RuleUnstated} {
		if got := ruleWords(local.Step{Rule: rule}); got == string(rule) {
			t.Errorf("%s has no words", rule)
		}
	}
}

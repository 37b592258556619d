package local_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/local"
	"ostatok/sync/match"
)

// mapper is an agent with a mapping.
type mapper struct {
	local.Shop
	target  string
	entries []match.Entry
	options local.MappingOptions
}

func (m *mapper) Mapping(_ context.Context, target string) ([]match.Entry, error) {
	m.target = target
	return m.entries, nil
}

func (m *mapper) SetMapping(_ context.Context, target string, entries []match.Entry, o local.MappingOptions) (local.MappingResult, error) {
	m.target, m.entries, m.options = target, entries, o
	if target == "nobody" {
		return local.MappingResult{}, &local.Error{Code: local.NotFound, Message: "there is no target \"nobody\""}
	}
	return local.MappingResult{Added: len(entries), Left: []string{"7"}}, nil
}

func (m *mapper) CheckMapping(_ context.Context, target string) (local.MappingReport, error) {
	m.target = target
	return local.MappingReport{Target: target, Match: "article", Asked: true, Report: match.Report{
		Matched: 3, LookAlike: []match.Finding{{Product: "p1", Name: "Сыр", Key: "АВ", Reason: "looks", Suggestion: "AB"}},
	}}, nil
}

func TestMappingGoesThrough(t *testing.T) {
	m := new(mapper)
	client, _ := serve(t, &shop{Shop: m})
	// More than a form would hold.
	many := make([]match.Entry, 5000)
	for i := range many {
		many[i] = match.Entry{Line: i + 2, Product: "20170222-D58C-40E0-8051-B53ADFF38860", Name: "Сыр & ко", Barcode: "4607025392408", Key: "k"}
	}
	for _, o := range []local.MappingOptions{{}, {Replace: true}, {DryRun: true}} {
		result, err := client.SetMapping(t.Context(), "site & shop", many, o)
		if err != nil || result.Added != len(many) || !cmp.Equal(result.Left, []string{"7"}) || m.options != o || m.target != "site & shop" {
			t.Fatalf("%+v, %v: asked for %q with %+v", result, err, m.target, m.options)
		}
	}
	if diff := cmp.Diff(many, m.entries); diff != "" {
		t.Error(diff)
	}
	m.target = ""
	entries, err := client.Mapping(t.Context(), "site")
	if err != nil || m.target != "site" {
		t.Errorf("%v of %q", err, m.target)
	}
	if diff := cmp.Diff(many, entries); diff != "" {
		t.Error(diff)
	}
	want, _ := m.CheckMapping(t.Context(), "crm")
	report, err := client.CheckMapping(t.Context(), "crm")
	if diff := cmp.Diff(want, report); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := client.SetMapping(t.Context(), "nobody", nil, local.MappingOptions{}); local.CodeOf(err) != local.NotFound {
		t.Errorf("error %v", err)
	}
}

package main

import (
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	for written, want := range map[string]string{
		"":                                     ``,
		"product=10234 limit=2":                `{"limit":2,"product":"10234"}`,
		"query=49 state=known":                 `{"query":"49","state":"known"}`,
		"id=8a596dd00bcb assumed=true":         `{"assumed":true,"id":"8a596dd00bcb"}`,
		"backfill=true":                        `{"backfill":true}`,
		"backfill:=true":                       `{"backfill":true}`,
		"lines=5":                              `{"lines":5}`,
		"limit=some":                           `{"limit":"some"}`, // the shop says what is wrong
		"version=1.4 now=true":                 `{"now":true,"version":"1.4"}`,
		`values:={"evotor.poll":"30s"} for=2h`: `{"for":"2h","values":{"evotor.poll":"30s"}}`,
		`{"product":"1"}`:                      `{"product":"1"}`,
	} {
		got, err := readArguments(strings.Fields(written))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", written, got, err, want)
		}
	}
	for _, written := range []string{"product", "=x", "a=1 a=2", "a:=x", "{"} {
		if got, err := readArguments(strings.Fields(written)); err == nil {
			t.Errorf("%s: %s", written, got)
		}
	}
}

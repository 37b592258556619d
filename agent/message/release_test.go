package message_test

import (
	"testing"

	"ostatok/agent/message"
)

func TestReleaseGoesThroughText(t *testing.T) {
	for text, r := range map[string]message.Release{
		"":            {},
		"trial 1.4.0": {State: message.OnTrial, Version: "1.4.0"},
		"staged 1.4.0-rc.1: not now: it is early": {State: message.Staged, Version: "1.4.0-rc.1", Text: "not now: it is early"},
		"preparing: verifying a release":          {State: message.Preparing, Text: "verifying a release"},
	} {
		if got := r.String(); got != text {
			t.Errorf("%+v is %q, want %q", r, got, text)
		}
		if got := message.ParseRelease(text); got != r {
			t.Errorf("%q is %+v, want %+v", text, got, r)
		}
	}
}

package virtpos_test

import (
	"strings"
	"testing"

	"ostatok/agent/stock"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

// VirtPOS as a target of the engine, in every form in which it may be spoken to.
func TestConformance(t *testing.T) {
	for _, test := range []struct {
		name     string
		format   string
		settings virtpostest.Settings
		options  virtpos.TargetOptions
	}{
		{"XML, own numbers", virtpos.FormatXML, virtpostest.Settings{}, virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}}},
		{"JSON, external codes", virtpos.FormatJSON, virtpostest.Settings{HideZero: true, JSON: virtpostest.JSON{Tree: true, Numbers: true, Empty: `""`}},
			virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: whExt, External: true}, External: true}},
		{"flat JSON, lots, errors with a status", virtpos.FormatJSON, virtpostest.Settings{Lots: true, ErrorStatus: 422},
			virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pushtest.RunTarget(t, func(t *testing.T) pushtest.Subject {
				o := open(t, test.settings, func(v *virtpos.Options) { v.Format = test.format })
				own := func(key string) string { return strings.TrimPrefix(key, "ext-") }
				keys := items(12)
				if test.options.External {
					for i := range keys {
						keys[i] = "ext-" + keys[i]
					}
				}
				return pushtest.Subject{
					Kind: "virtpos", Target: o.client.Target(test.options), Keys: keys,
					Holds: func(key string) (stock.Quantity, bool) { return o.Holds(wh, own(key)) },
					Set:   func(key string, q stock.Quantity) { o.Set(wh, own(key), q) },
					Writes: func() int {
						n := 0
						for _, times := range o.Written() {
							n += times
						}
						return n
					},
					Refuse: func(key string) { o.Refuse(own(key)) },
					Down:   o.Down,
				}
			})
		})
	}
}

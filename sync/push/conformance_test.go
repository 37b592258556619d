package push_test

import (
	"fmt"
	"testing"

	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

func keys(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("product-%02d", i)
	}
	return list
}

// The kinds of targets there are: read row by row like the Evotor cloud, written
// in batches and never read like Zelenka, both in batches like KeyCRM, row by
// row without a word about single rows.
func TestConformance(t *testing.T) {
	for _, test := range []struct {
		name   string
		kind   string
		traits target.Traits
		strict bool
	}{
		{"one by one, read", push.KindEvotor, target.Traits{Name: "cloud", Reads: true, Batch: 1, Precision: 1}, false},
		{"batches, whole numbers, not read", "zelenka", target.Traits{Name: "z", Batch: 1000, BatchBytes: 100, Precision: stock.Unit, Sells: true}, false},
		{"batches, read", "keycrm", target.Traits{Name: "k", Reads: true, Batch: 5, ReadBatch: 7, Precision: 1}, false},
		{"batches refused as a whole", "strict", target.Traits{Name: "s", Reads: true, Batch: 12, Precision: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			pushtest.RunTarget(t, func(*testing.T) pushtest.Subject {
				m := pushtest.NewMemory(test.traits, keys(12)...)
				m.Strict = test.strict
				return m.Subject(test.kind, keys(12))
			})
		})
	}
}

package virtpos_test

import (
	"slices"
	"testing"

	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

func listed(t *testing.T, w target.Target) (known []target.Known, err error) {
	t.Helper()
	for k, err := range w.(target.Lister).List(t.Context()) {
		if err != nil {
			return known, err
		}
		known = append(known, k)
	}
	return known, nil
}

func TestListOfItems(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	o.AddItem(virtpostest.Item{ID: "200", Name: "No code"})
	o.AddItem(virtpostest.Item{ID: "201", External: "ext-101", Name: "The code of another"})
	known, err := listed(t, o.target())
	if err != nil || len(known) != 14 || known[0] != (target.Known{Key: "101", Name: "Товар 101"}) || known[12].Key != "200" {
		t.Errorf("by number: %v, %v", known, err)
	}
	w := o.client.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}, External: true})
	known, err = listed(t, w)
	double := func(k target.Known) bool { return k.Key == "ext-101" }
	if err != nil || len(known) != 13 || known[0].Key != "ext-101" || slices.IndexFunc(known[1:], double) != 11 {
		t.Errorf("by external code: %v, %v", known, err)
	}
	for range w.(target.Lister).List(t.Context()) {
		break // nobody has to read to the end
	}
}

// A list that was cut off says nothing.
func TestListThatBreaksOff(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	o.Fail("item", virtpostest.Cut, 0, -1)
	if known, err := listed(t, o.target()); err == nil || len(known) != 0 {
		t.Errorf("%v, %v", known, err)
	}
}

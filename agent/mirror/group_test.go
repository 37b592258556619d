package mirror_test

import (
	"maps"
	"testing"

	"ostatok/agent/mirror"
)

func TestGroups(t *testing.T) {
	o := testOptions(t.TempDir())
	m := open(t, o)
	put := func(groups ...mirror.Group) (wrote int64) {
		t.Helper()
		if err := m.DB().Maintain(t.Context()); err != nil { // empties the log
			t.Fatal(err)
		}
		_, before, err := m.DB().Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.PutGroups(t.Context(), groups); err != nil {
			t.Fatal(err)
		}
		_, after, err := m.DB().Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return after - before
	}
	drinks, juice := mirror.Group{ID: "g1", Name: "Напитки"}, mirror.Group{ID: "g2", Name: "Соки", Parent: "g1"}
	if put(drinks, juice) == 0 {
		t.Error("new groups were not written")
	}
	if n := put(juice, drinks) + put(); n != 0 {
		t.Errorf("groups that are known, and none, wrote %d bytes", n)
	}
	juice.Name = "Соки и воды"
	if put(juice) == 0 {
		t.Error("a new name was not written")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, o)
	have, err := m.Groups(t.Context())
	if want := map[string]mirror.Group{"g1": drinks, "g2": juice}; err != nil || !maps.Equal(have, want) {
		t.Errorf("%v, %v, want %v", have, err, want)
	}
}

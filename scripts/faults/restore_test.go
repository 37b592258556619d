package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
)

// A restore is recorded from its beginning until the agent has gone on from it
// and taken a document, and cut at many moments. Whatever was durable then, the
// next start goes on from the state before or from the restored one: never from
// something between, never from the old one once "restored" was said, and never
// again from the backup once something was acknowledged on top of it.
func TestRestoreIsCut(t *testing.T) {
	card := insert(t, true)
	c := newCloud(t, tiny, nil)
	b := newBox(t, c, filepath.Join(card.Dir, "data"))
	b.start()
	b.synced(c)
	c.away.Store(true)
	send := func(n int) {
		t.Helper()
		if status, text := b.send(c.document(n)); status != http.StatusOK {
			t.Fatalf("document %d: %d %s", n, status, text)
		}
		await(t, "its level", func() bool { return b.levels()[c.shop[n].ID] == less(c.shop[n].Told, 1) })
	}
	send(0) // is in the backup
	saved := filepath.Join(memory(t), "saved")
	if _, err := b.run("backup", saved); err != nil {
		t.Fatal(err)
	}
	send(1) // is not
	b.stop()
	first := card.Steps()
	if _, err := b.run("restore", saved); err != nil {
		t.Fatal(err)
	}
	card.Mark("restored")
	b.start()
	await(t, "health", func() bool { status, _ := b.health(); return status == http.StatusOK })
	send(2)
	card.Mark("taken")
	b.stop()
	end := card.Steps()

	moments := []int{end}
	every := max(1, (end-first)/number(t, "FAULTS_CUTS", 2*cuts))
	for at := first; at < end; at += every {
		moments = append(moments, at)
	}
	t.Logf("%d steps, cut %d times", end-first, 2*len(moments))
	t.Run("at", func(t *testing.T) {
		for i, at := range moments {
			for _, loss := range []Loss{All, Some} {
				t.Run(fmt.Sprintf("%05d, %s", at-first, loss), func(t *testing.T) {
					t.Parallel()
					data := filepath.Join(memory(t), "data")
					marks, err := card.Survives(at, loss, rand.New(rand.NewPCG(uint64(i), 0x2e57)), filepath.Dir(data))
					if err != nil {
						t.Fatal(err)
					}
					goesOn(t, c, data, slices.Contains(marks, "restored"), slices.Contains(marks, "taken"))
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	table.set(t, "power cut during `ostatok restore`", row{during: "–", sender: "–", process: "starts by itself",
		after: "on the state before or on the restored one; on this one once it was said"})
}

func goesOn(t *testing.T, c *cloud, data string, restored, taken bool) {
	t.Helper()
	b := newBox(t, c, data)
	b.start()
	await(t, "health", func() bool { status, _ := b.health(); return status == http.StatusOK })
	levels := func(sold ...int) bool {
		have := b.levels()
		for n, p := range c.shop {
			want := p.Told
			if slices.Contains(sold, n) {
				want = less(want, 1)
			}
			if have[p.ID] != want {
				return false
			}
		}
		return true
	}
	var is string
	if !within(patience, func() bool {
		switch {
		case levels(0, 1):
			is = "before"
		case levels(0):
			is = "restored"
		case levels(0, 2):
			is = "taken"
		default:
			return false
		}
		return true
	}) {
		t.Fatalf("levels are %v of %v", b.levels(), c.shop)
	}
	if restored && is == "before" || taken && is != "taken" {
		t.Errorf("it is in the state %q; restored was said: %v, a document was taken: %v", is, restored, taken)
	}
	if list, _ := filepath.Glob(filepath.Join(data, "*restore*")); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
	b.stop()
	clean(t, data)
}

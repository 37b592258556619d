package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cuts is into how many moments a recorded session is cut by default;
// FAULTS_CUTS says otherwise.
const cuts = 12

func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s = %q is not a number above 0", name, text)
	}
	return n
}

// A session is recorded once: a first sync, the delivery that follows it, and
// documents of the shop while the cloud is away. Then it is cut at many moments,
// and each time an agent is started on what was durable then.
func TestPowerCuts(t *testing.T) {
	card := insert(t, true)
	c := newCloud(t, small, func(product string) { card.Mark("wrote " + product) })
	b := newBox(t, c, filepath.Join(card.Dir, "data"))
	b.start()
	b.synced(c)
	await(t, "every figure to be verified", func() bool { return b.waiting() == 0 })
	synced := card.Steps()
	if c.writes.Load() == 0 {
		t.Fatal("nothing was delivered")
	}
	c.away.Store(true)
	for n := range shopDocuments {
		document := c.document(n)
		card.Mark("sent " + strconv.Itoa(n))
		await(t, "a document to be taken", func() bool {
			status, _ := b.send(document)
			return status == http.StatusOK
		})
		card.Mark("taken " + strconv.Itoa(n))
	}
	last := c.shop[shopDocuments-1]
	await(t, "the level of the last document", func() bool { return b.levels()[last.ID] == less(last.Told, 1) })
	b.stop()
	c.away.Store(false)
	end := card.Steps()

	moments := momentsOf(card, number(t, "FAULTS_CUTS", cuts), end)
	t.Logf("%d steps, %d of them until all was in step; %d figures written; cut %d times", end, synced, c.writes.Load(), 2*len(moments))
	var turn sync.Mutex // of results
	results := map[Loss]int{}
	t.Run("at", func(t *testing.T) {
		for i, at := range moments {
			for _, loss := range []Loss{All, Some} {
				t.Run(fmt.Sprintf("%05d, %s", at, loss), func(t *testing.T) {
					t.Parallel()
					data := filepath.Join(memory(t), "data")
					comeBack(t, card, c, at, loss, uint64(i), data)
					turn.Lock()
					defer turn.Unlock()
					results[loss]++
				})
			}
		}
	})
	for _, loss := range []Loss{All, Some} {
		if results[loss] == len(moments) {
			table.set(t, "power cut, "+string(loss), row{
				during: "–", sender: "200 only for what is durable",
				process: "starts by itself", after: "nothing acknowledged is lost, nothing counts twice",
			})
		}
	}
}

// momentsOf spreads moments over the steps, and adds those right after something
// was promised: they are the ones that count.
func momentsOf(c *Card, n, end int) []int {
	set := map[int]bool{end: true}
	for i := range n {
		set[end*(i+1)/n] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wrote := 0
	for i, s := range c.steps[:end] {
		switch {
		case s.kind != marked:
		case strings.HasPrefix(s.name, "taken"):
			set[i+1] = true
		case strings.HasPrefix(s.name, "wrote"):
			if wrote++; wrote%8 == 1 {
				set[i+1] = true
			}
		}
	}
	var list []int
	for at := range set {
		list = append(list, at)
	}
	slices.Sort(list)
	return list
}

func comeBack(t *testing.T, card *Card, c *cloud, at int, loss Loss, seed uint64, data string) {
	root := filepath.Dir(data)
	marks, err := card.Survives(at, loss, rand.New(rand.NewPCG(seed, 0xca2d)), root)
	if err != nil {
		t.Fatal(err)
	}
	promised(t, data, marks)
	b := newBox(t, c, data)
	b.start()
	b.synced(c)
	if codes := b.codes(); len(codes) > 0 {
		t.Errorf("it did not start at once: ended with %v", codes)
	}
	taken := func(n int) bool { return slices.Contains(marks, "taken "+strconv.Itoa(n)) }
	sent := func(n int) bool { return slices.Contains(marks, "sent "+strconv.Itoa(n)) }
	inStock := func(want func(n int) []json.Number) func() bool {
		return func() bool {
			levels := b.levels()
			for n, p := range c.shop {
				if !slices.Contains(want(n), levels[p.ID]) {
					return false
				}
			}
			return true
		}
	}
	once := func(n int) []json.Number {
		told := c.shop[n].Told
		switch {
		case n < shopDocuments && taken(n):
			return []json.Number{less(told, 1)}
		case n < shopDocuments && sent(n): // nobody was told
			return []json.Number{told, less(told, 1)}
		}
		return []json.Number{told}
	}
	if !within(patience, inStock(once)) {
		t.Errorf("levels are %v; of %v there were taken %v", b.levels(), c.shop, marks)
	}
	for n := range shopDocuments {
		if taken(n) {
			if times := b.explains(c, n); times != 1 {
				t.Errorf("document %d stands in its chain %d times", n, times)
			}
		}
	}
	// Senders send again whatever they are not sure of.
	for n := range shopDocuments {
		if status, text := b.send(c.document(n)); status != http.StatusOK {
			t.Errorf("document %d sent again: %d %s", n, status, text)
		}
	}
	if !within(patience, inStock(func(n int) []json.Number {
		if n < shopDocuments {
			return []json.Number{less(c.shop[n].Told, 1)}
		}
		return []json.Number{c.shop[n].Told}
	})) {
		t.Errorf("after sending again levels are %v of %v", b.levels(), c.shop)
	}
	if status, text := b.health(); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, text)
	}
	b.stop()
	if err := sound(data); err != nil {
		t.Error(err)
	}
	if list, _ := filepath.Glob(filepath.Join(data, "*.corrupt-*")); len(list) > 0 {
		t.Errorf("a file was damaged by the cut: %v", list)
	}
}

// promised looks at a copy of the surviving files before the agent does: what
// the cloud took must be known as sent, or it would be sent again in the blind.
func promised(t *testing.T, data string, marks []string) {
	t.Helper()
	copied := filepath.Join(memory(t), "copy")
	if _, err := os.Stat(data); err == nil {
		if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sound(copied); err != nil {
		t.Errorf("on the card after the cut: %v", err)
	}
	var wrote []string
	for _, m := range marks {
		if product, ok := strings.CutPrefix(m, "wrote "); ok {
			wrote = append(wrote, product)
		}
	}
	if len(wrote) == 0 {
		return
	}
	text, err := ask(filepath.Join(copied, "journal.db"), `SELECT product || ' ' || state FROM outbox`)
	if err != nil {
		t.Errorf("the cloud took figures and the journal cannot be read: %v", err)
	}
	for _, product := range wrote {
		kept := false
		for _, state := range []string{"sent", "accepted", "verified"} {
			kept = kept || slices.Contains(strings.Split(text, "\n"), product+" "+state)
		}
		if !kept {
			t.Errorf("the cloud took the figure of %s, and the outbox is\n%s", product, text)
		}
	}
}

// Command accuracy measures how right the computed stock is, on generated shops
// whose true stock is known, by the ledger and by the vendor's guide. It prints
// the table that stands in docs/ACCURACY.md and fails when a promise is broken.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
)

func main() {
	seeds := flag.Int("seeds", 20, "shops for each setting")
	products := flag.Int("products", 150, "products in each shop")
	documents := flag.Int("documents", 6000, "documents in each shop")
	only := flag.String("only", "", "measure only the setting with this name")
	wrong := flag.Bool("wrong", false, "list the products that are wrong")
	flag.Parse()

	settings := settings(*products, *documents)
	results := make([]result, len(settings))
	var group sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, s := range settings {
		if *only != "" && s.name != *only {
			continue
		}
		for seed := range *seeds {
			turn <- struct{}{}
			group.Go(func() {
				results[i].add(measure(s, uint64(seed)+1, *wrong))
				<-turn
			})
		}
	}
	group.Wait()

	fmt.Println("| shop | history | products judged | guide right | ledger right | known | known and wrong |")
	fmt.Println("|---|---|---:|---:|---:|---:|---:|")
	broken := 0
	for i, s := range settings {
		r := &results[i]
		if r.judged == 0 {
			continue
		}
		mark := ""
		if why := s.broken(r); why != "" {
			mark = " ← " + why
			broken++
		}
		fmt.Printf("| %s | %s | %d | %s | %s | %s | %s |%s\n", s.name, s.history(), r.judged,
			percent(r.guide, r.judged), percent(r.ledger, r.judged), percent(r.known, r.judged), percent(r.silent, r.known), mark)
	}
	if broken > 0 {
		fmt.Fprintf(os.Stderr, "%d settings break a promise\n", broken)
		os.Exit(1)
	}
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

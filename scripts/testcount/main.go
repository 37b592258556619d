// Command testcount reads what `go test -json` prints and says what a person
// wants to know: a line for each package, the output of what failed, the reason
// of every skip, and at the end one line of counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

func main() {
	passed, failed, skipped, err := count(bufio.NewReader(os.Stdin), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the test events:", err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

func count(in *bufio.Reader, out *os.File) (passed, failed, skipped int, err error) {
	output := map[string][]string{} // by package and test
	broken := map[string]bool{}     // packages with a failed test
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var e event
		if err := decoder.Decode(&e); err != nil {
			return passed, failed, skipped, err
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				if e.Action == "skip" {
					continue // a package without tests
				}
				fmt.Fprintf(out, "%-5s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
				if e.Action == "fail" && !broken[e.Package] {
					failed++
					unended(out, e.Package, output) // the test that took the whole process with it
					show(out, output[key])
				}
				continue
			}
			switch e.Action {
			case "pass":
				passed++
			case "fail":
				failed++
				broken[e.Package] = true
				fmt.Fprintf(out, "FAILED %s %s\n", e.Package, e.Test)
				show(out, output[key])
			case "skip":
				skipped++
				fmt.Fprintf(out, "skip  %s %s: %s\n", e.Package, e.Test, reason(output[key]))
			}
			delete(output, key)
		case "build-fail":
			fmt.Fprintln(out, "does not build:")
			show(out, slices.Concat(output[" "], output[key]))
		}
	}
	return passed, failed, skipped, nil
}

// unended shows what tests of a package had said that never came to an end.
func unended(out *os.File, pkg string, output map[string][]string) {
	for _, key := range slices.Sorted(maps.Keys(output)) {
		if of, test, _ := strings.Cut(key, " "); of == pkg && test != "" {
			fmt.Fprintf(out, "UNENDED %s\n", key)
			show(out, output[key])
		}
	}
}

func show(out *os.File, lines []string) {
	for _, line := range lines {
		fmt.Fprint(out, "    ", line)
	}
}

// reason is the text that a test gave for skipping.
func reason(lines []string) string {
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}

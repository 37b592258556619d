package page_test

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ostatok/agent/page"
)

// raised finds the kinds of events, problems and notices where they are raised.
var raised = regexp.MustCompile(`(?:` +
	`event\((?:[\w.]*(?:ctx|\(\)|\(ctx\)), )?|` + // event(ctx, "kind", …
	`Event\{Kind: |` +
	`tell\(ctx, journal\.\w+, |` +
	`Notice\w+ += |` +
	`local\.Problem\{\{?Kind: ` +
	`)"([a-z_]+)"`)

// What happens is told in the visitor's own language: no kind of event is shown
// by its name.
func TestEveryEventHasWords(t *testing.T) {
	kinds := make(map[string]bool)
	for _, folder := range []string{"..", "../../sync"} {
		err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(folder + "/" + path)
			for _, found := range raised.FindAllSubmatch(text, -1) {
				kinds[string(found[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, sure := range []string{"started", "history_complete", "command_refused", "override_fell_back", "plan_waits", "count_repeats_product"} {
		if !kinds[sure] {
			t.Errorf("%s is raised somewhere and was not found", sure)
		}
	}
	kinds["inbox_failed"], kinds["cloud_unreachable_over"] = true, true // of any part, and of any problem
	for _, language := range []string{"ru", "en"} {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if page.EventWords(language, kind) == strings.ReplaceAll(kind, "_", " ") {
				t.Errorf("no words for %s in %s", kind, language)
			}
		}
	}
}

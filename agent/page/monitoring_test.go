package page_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ostatok/agent/page"
)

// What operators are to be alarmed by must exist: a name that nobody exports is
// an alarm that never rings.
func TestMonitoringNamesWhatIsExported(t *testing.T) {
	exported := make(map[string]bool)
	labels := make(map[string]bool)
	for line := range strings.Lines(at(t, build(t, page.Options{Shop: busy()}), box).get("/metrics").Body.String()) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			exported[name] = true
		}
		for _, m := range regexp.MustCompile(`[{,]([a-z]+)="`).FindAllStringSubmatch(line, -1) {
			labels[m[1]] = true
		}
	}
	for _, file := range []string{"alerts.yml", "grafana.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", file))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\bostatok_[a-z_]+`).FindAllString(string(text), -1)
		if len(named) < 8 {
			t.Errorf("%s names %d metrics", file, len(named))
		}
		for _, name := range named {
			if !exported[name] {
				t.Errorf("%s names %s, which is not exported", file, name)
			}
		}
		for _, m := range regexp.MustCompile(`\b([a-z]+)=~?\\?"`).FindAllStringSubmatch(string(text), -1) {
			if ours := []string{"instance", "job"}; !labels[m[1]] && !slices.Contains(ours, m[1]) {
				t.Errorf("%s asks for the label %s, which no metric has", file, m[1])
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON", file)
		}
	}
}

package broker

import (
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The broker is for desks and tests: what is delivered must not carry it.
func TestTheBrokerIsNotInWhatIsDelivered(t *testing.T) {
	dir := t.TempDir()
	for _, program := range []string{"ostatok", "ostatokctl"} {
		file := filepath.Join(dir, program)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, "ostatok/cmd/"+program).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(info.Deps) < 3 {
			t.Fatalf("%s tells of %d modules only", program, len(info.Deps))
		}
		for _, m := range info.Deps {
			if strings.HasPrefix(m.Path, "github.com/nats-io/") {
				t.Errorf("%s links %s", program, m.Path)
			}
		}
	}
}

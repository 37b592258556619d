package sqlite_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The driver is tested with one version of its C library only; others have
// crashed on 32-bit ARM. A dependency update must not part the two.
func TestLibcIsTheOneThatTheDriverPins(t *testing.T) {
	list := func(format, module string) string {
		command := exec.Command("go", "list", "-m", "-f", format, module)
		command.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	requirements, err := os.ReadFile(list("{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	const libc = "modernc.org/libc"
	pinned := ""
	for line := range strings.Lines(string(requirements)) {
		if fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(fields) >= 2 && fields[0] == libc {
			pinned = fields[1]
		}
	}
	if used := list("{{.Version}}", libc); pinned == "" || used != pinned {
		t.Errorf("%s is %s, the driver pins %q: update them together", libc, used, pinned)
	}
}

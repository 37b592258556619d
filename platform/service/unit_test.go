package service

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestUnit(t *testing.T) {
	plain := Options{Program: "/usr/bin/ostatok", Config: "/etc/ostatok/ostatok.toml", Data: DefaultData, User: Name}
	packaged := plain
	packaged.Launcher = "/usr/lib/ostatok/ostatok-launcher"
	odd := Options{
		Program: "/opt/my shop/ostatok", Launcher: "/usr/lib/ostatok/ostatok-launcher", Config: `/home/pi/50% "$off"/ostatok/ostatok.toml`,
		Data: "/srv/stock data", User: "pi",
	}
	for name, unit := range map[string]string{
		"plain-247":    plain.unit(247),
		"packaged-252": packaged.unit(252),
		"packaged-257": packaged.unit(257),
		"odd-252":      odd.unit(252),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".service")
			if *update {
				if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), unit); diff != "" {
				t.Errorf("unit (-golden +now):\n%s", diff)
			}
		})
	}
}

// The library parses a script with its own engine since 1.3: a brace of ours must
// never look like an action to it.
func TestUnitHoldsNoTemplateAction(t *testing.T) {
	o := Options{Program: "/p", Launcher: "/l", Config: "/etc/c", Data: "/d", User: "u"}
	if unit := o.unit(999); strings.Contains(unit, "{{") {
		t.Errorf("unit = %s", unit)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]int{
		"systemd 252 (252.39-1~deb12u2)\n+PAM": 252,
		"systemd 247.3-7 (raspbian)":           247,
		"":                                     0,
		"Alpine systemctl stub":                0,
	} {
		if got := parseVersion(text); got != want {
			t.Errorf("parseVersion(%q) = %d, want %d", text, got, want)
		}
	}
}

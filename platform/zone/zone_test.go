package zone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // what the table is compared with, also where the system has none
)

// The table says what the whole database says, from the last change that any of
// its zones saw (Kazakhstan, March 2024) as far as a box may live.
func TestTableIsTheDatabase(t *testing.T) {
	n := 0
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		for _, name := range fields[min(1, len(fields)):] {
			n++
			whole, err := time.LoadLocation(name)
			if err != nil {
				t.Errorf("%s is not in the database: %v", name, err)
				continue
			}
			for at := time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC); at.Year() < 2038; at = at.AddDate(0, 0, 10) {
				_, want := at.In(whole).Zone()
				if _, got := at.In(fixed(name)).Zone(); got != want {
					t.Errorf("%s is %d s from UTC on %s, the database says %d", name, got, at.Format(time.DateOnly), want)
					break
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d zones", n)
	}
	if fixed("Europe/Berlin") != nil || fixed("") != nil || fixed("Europe") != nil {
		t.Error("a zone that is not in the table")
	}
}

func TestLoad(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"Europe/Moscow": "15:00", "+05:00": "17:00", "-03:30": "08:30", "UTC": "12:00", "Asia/Kamchatka": "00:00",
	} {
		l, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := at.In(l).Format("15:04"); got != want {
			t.Errorf("noon in %s is %s, want %s", name, got, want)
		}
	}
	for _, bad := range []string{"", "Local", "Europe/Moskow", "+3", "+25:00", "../etc/passwd"} {
		if l, err := Load(bad); err == nil {
			t.Errorf("%q is %v", bad, l)
		}
	}
}

// What boxes say of their zone, and what comes of it.
func TestBox(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	moscow, err := os.ReadFile(database(t, "Europe/Moscow"))
	if err != nil {
		t.Skipf("the system has no database of zones to copy a file from: %v", err)
	}
	for name, tc := range map[string]struct {
		tz   string
		set  bool
		make func(root string) error
		hour string
		none bool
	}{
		"TZ":              {tz: "Asia/Omsk", set: true, hour: "18"},
		"TZ with a colon": {tz: ":Asia/Omsk", set: true, hour: "18"},
		"TZ is empty":     {set: true, hour: "12"},
		"TZ is unknown":   {tz: "Europe/Nowhere", set: true, hour: "12", none: true},
		"localtime is a file": {make: func(root string) error {
			return os.WriteFile(filepath.Join(root, "etc/localtime"), moscow, 0o600)
		}, hour: "15"},
		"localtime leads nowhere": {make: func(root string) error {
			return os.Symlink("/no/such/zoneinfo/Asia/Irkutsk", filepath.Join(root, "etc/localtime"))
		}, hour: "20"},
		"localtime is damaged, timezone is not": {make: func(root string) error {
			return errors.Join(os.WriteFile(filepath.Join(root, "etc/localtime"), moscow[:20], 0o600),
				os.WriteFile(filepath.Join(root, "etc/timezone"), []byte("Asia/Tomsk\n"), 0o600))
		}, hour: "19"},
		"timezone names what nobody knows": {make: func(root string) error {
			return os.WriteFile(filepath.Join(root, "etc/timezone"), []byte("Mars/Olympus\n"), 0o600)
		}, hour: "12", none: true},
		"nothing at all": {hour: "12", none: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			err := os.Mkdir(filepath.Join(root, "etc"), 0o700)
			if err == nil && tc.make != nil {
				err = tc.make(root)
			}
			if err != nil {
				t.Fatal(err)
			}
			l, err := box(tc.tz, tc.set, root)
			if got := at.In(l).Format("15"); got != tc.hour {
				t.Errorf("noon is %s, want %s", got, tc.hour)
			}
			if errors.Is(err, ErrNone) != tc.none || !tc.none && err != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}

// database is the system's file of a zone.
func database(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return filepath.Join("/no/database", name)
}

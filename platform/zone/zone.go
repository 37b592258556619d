// Package zone tells the time zone of a shop on a box that may have none: minimal
// systems come without the database of time zones, and then everything that goes
// by the hour of the day would silently go by UTC.
package zone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNone says that nothing on the box tells where it is.
var ErrNone = errors.New("the box has no time zone, so times are taken as UTC")

// Load returns a zone by its name ("Europe/Moscow") or its distance from UTC
// ("+03:00"). The system's database goes before the table in this program.
func Load(name string) (*time.Location, error) {
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		t, err := time.Parse("-07:00", name)
		if err != nil {
			return nil, fmt.Errorf("%q is not a distance from UTC such as +03:00", name)
		}
		_, offset := t.Zone()
		return time.FixedZone(name, offset), nil
	}
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not the name of a time zone", name)
	}
	if l, err := time.LoadLocation(name); err == nil {
		return l, nil
	}
	if l := fixed(name); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("this box does not know the time zone %q", name)
}

// Box returns the zone that the box is set to. When it is set to none, or to one
// that nobody knows, the zone is UTC and the error says why.
func Box() (*time.Location, error) {
	name, set := os.LookupEnv("TZ")
	return box(name, set, "/")
}

func box(name string, set bool, root string) (*time.Location, error) {
	if set { // as the rest of the system reads it
		return named(strings.TrimPrefix(name, ":"), "TZ")
	}
	local := filepath.Join(root, "etc/localtime")
	if data, err := os.ReadFile(local); err == nil {
		if l, err := time.LoadLocationFromTZData("Local", data); err == nil {
			return l, nil
		}
	}
	// The name may be there without the database that it is looked up in.
	if to, err := os.Readlink(local); err == nil {
		if _, name, ok := strings.Cut(to, "zoneinfo/"); ok {
			return named(name, local)
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, "etc/timezone")); err == nil {
		return named(strings.TrimSpace(string(text)), "/etc/timezone")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return time.UTC, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return time.UTC, ErrNone
}

// named is the zone that a setting of the box names.
func named(name, from string) (*time.Location, error) {
	if name == "" { // so says POSIX
		return time.UTC, nil
	}
	if filepath.IsAbs(name) { // TZ may name a file
		if data, err := os.ReadFile(name); err == nil {
			if l, err := time.LoadLocationFromTZData("Local", data); err == nil {
				return l, nil
			}
		}
	}
	l, err := Load(name)
	if err != nil {
		return time.UTC, fmt.Errorf("%w: %s says %q, and %w", ErrNone, from, name, err)
	}
	return l, nil
}

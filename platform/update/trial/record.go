// Package trial is what an updating agent and its launcher share: a directory
// of versions, the record of which one runs and whether it is on trial, and the
// decision what to start.
//
//	versions/1.3.0/ostatok   a program; its directory appears at once and whole
//	current                  a link to the version that starts, for people and PATH
//	record                   the truth that the link follows
//	lock                     whoever changes the record holds it
//
// The launcher is never replaced by an update, so what it reads here is a
// contract for the life of a box: lines may be added to the record, and a
// launcher keeps those that it does not know. It imports only the standard
// library, and no encoding/json, which would take the launcher over its 2 MB.
package trial

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Record says which version runs. It is one small text file, replaced as a
// whole, with a checksum as its last line.
type Record struct {
	Version  string // what starts
	Previous string // the last good version: what a trial goes back to; "" none

	Trial    bool          // Version has not yet proved itself
	Starts   int           // how often it was started on trial
	Most     int           // how many starts it has; 0 means DefaultStarts
	Deadline time.Duration // how long a start may run uncommitted; 0 means DefaultDeadline

	Failed string // the version that was last gone back from; "" none
	Reason string // why, for people

	// Copy is a directory with a copy of the data as it was before the trial, for
	// a version that the older program could not read. On trial it is kept; after
	// going back the older version puts it in place before it opens anything.
	Copy string

	unknown []string // lines of newer releases
}

// What a trial has when its record does not say.
const (
	DefaultStarts   = 3
	DefaultDeadline = 10 * time.Minute
)

// DamagedError says that the record is there but cannot be believed.
type DamagedError struct{ Reason string }

func (e *DamagedError) Error() string { return "the record of versions is damaged: " + e.Reason }

const (
	recordName = "record"
	heading    = "ostatok-versions 1"
)

// Read returns the record of the versions under root. The error is
// fs.ErrNotExist when there is none, *DamagedError when it is unreadable.
func Read(root string) (Record, error) {
	text, err := os.ReadFile(filepath.Join(root, recordName))
	if err != nil {
		return Record{}, fmt.Errorf("cannot read the record of versions: %w", err)
	}
	return parse(string(text))
}

// Write replaces the record. When it returns nil the record survives a power cut.
func Write(f Files, root string, r Record) error {
	if err := Replace(f, filepath.Join(root, recordName), []byte(r.String())); err != nil {
		return fmt.Errorf("cannot write the record of versions: %w", err)
	}
	return nil
}

// String is the record as it stands in its file.
func (r Record) String() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			b.WriteString(key + " " + value + "\n")
		}
	}
	number := func(key string, n int64) {
		if n != 0 {
			line(key, strconv.FormatInt(n, 10))
		}
	}
	text := func(key, value string) {
		if value != "" {
			line(key, strconv.Quote(value))
		}
	}
	b.WriteString(heading + "\n")
	text("version", r.Version)
	text("previous", r.Previous)
	if r.Trial {
		line("trial", "yes")
	}
	number("starts", int64(r.Starts))
	number("most", int64(r.Most))
	number("deadline_ms", r.Deadline.Milliseconds())
	text("failed", r.Failed)
	text("reason", r.Reason)
	text("copy", r.Copy)
	for _, l := range r.unknown {
		b.WriteString(l + "\n")
	}
	return b.String() + sumLine(b.String())
}

func sumLine(body string) string {
	return "sum " + strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 16) + "\n"
}

func parse(text string) (r Record, err error) {
	at := strings.LastIndex(text, "sum ")
	switch {
	case !strings.HasPrefix(text, heading+"\n"):
		return r, &DamagedError{"its first line is not " + heading}
	case at <= 0 || text[at-1] != '\n' || text[at:] != sumLine(text[:at]):
		return r, &DamagedError{"its checksum does not fit"}
	}
	for l := range strings.Lines(text[len(heading)+1 : at]) {
		l = strings.TrimSuffix(l, "\n")
		key, value, _ := strings.Cut(l, " ")
		switch key {
		case "version":
			r.Version, err = strconv.Unquote(value)
		case "previous":
			r.Previous, err = strconv.Unquote(value)
		case "trial":
			r.Trial = value == "yes"
		case "starts":
			r.Starts, err = strconv.Atoi(value)
		case "most":
			r.Most, err = strconv.Atoi(value)
		case "deadline_ms":
			var ms int64
			ms, err = strconv.ParseInt(value, 10, 64)
			r.Deadline = time.Duration(ms) * time.Millisecond
		case "failed":
			r.Failed, err = strconv.Unquote(value)
		case "reason":
			r.Reason, err = strconv.Unquote(value)
		case "copy":
			r.Copy, err = strconv.Unquote(value)
		default:
			r.unknown = append(r.unknown, l)
		}
		if err != nil {
			return Record{}, &DamagedError{"its line " + key + " makes no sense"}
		}
	}
	return r, nil
}

// Back ends a trial, or the use of a version that cannot be started, with a reason.
func (r *Record) Back(reason string) {
	r.Failed, r.Reason = r.Version, reason
	r.Version, r.Previous = r.Previous, ""
	r.Trial, r.Starts = false, 0
}

package trial_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ostatok/platform/update/trial"
)

func write(t *testing.T, root string, r trial.Record) {
	t.Helper()
	if err := trial.Write(trial.Disk{}, root, r); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root string) trial.Record {
	t.Helper()
	r, err := trial.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The text is a contract with launchers that were installed years ago.
func TestRecordText(t *testing.T) {
	got := trial.Record{
		Version: "1.1.0", Previous: "1.0.0", Trial: true, Starts: 2, Most: 3, Deadline: 10 * time.Minute,
		Failed: "1.0.9", Reason: "не запускается:\n\"x\"", Copy: "copies/1.0.0",
	}.String()
	const want = `ostatok-versions 1
version "1.1.0"
previous "1.0.0"
trial yes
starts 2
most 3
deadline_ms 600000
failed "1.0.9"
reason "не запускается:\n\"x\""
copy "copies/1.0.0"
sum f27cb5bb
`
	if got != want {
		t.Errorf("the record is\n%swant\n%s", got, want)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		want := trial.Record{
			Version: rapid.String().Draw(r, "version"), Previous: rapid.String().Draw(r, "previous"),
			Trial: rapid.Bool().Draw(r, "trial"), Starts: rapid.IntRange(0, 99).Draw(r, "starts"), Most: rapid.IntRange(0, 99).Draw(r, "most"),
			Deadline: time.Duration(rapid.IntRange(0, 1<<30).Draw(r, "deadline")) * time.Millisecond,
			Failed:   rapid.String().Draw(r, "failed"), Reason: rapid.String().Draw(r, "reason"), Copy: rapid.String().Draw(r, "copy"),
		}
		if err := trial.Write(trial.Disk{}, root, want); err != nil {
			r.Fatal(err)
		}
		got, err := trial.Read(root)
		if err != nil || got.String() != want.String() || got.Version != want.Version || got.Reason != want.Reason || got.Copy != want.Copy {
			r.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		// A flipped bit anywhere is found out.
		name := filepath.Join(root, "record")
		text, err := os.ReadFile(name)
		if err != nil {
			r.Fatal(err)
		}
		text[rapid.IntRange(0, len(text)-1).Draw(r, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if err := os.WriteFile(name, text, 0o644); err != nil {
			r.Fatal(err)
		}
		if _, err := trial.Read(root); err == nil {
			r.Fatalf("a damaged record was believed: %q", text)
		}
	})
}

func TestReadNothing(t *testing.T) {
	if _, err := trial.Read(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read = %v, want ErrNotExist", err)
	}
}

// A launcher keeps what a newer updater wrote and it does not know.
func TestUnknownLinesStay(t *testing.T) {
	root := t.TempDir()
	install(t, root, "1.0.0", "1.1.0")
	r := trial.Record{Version: "1.1.0", Previous: "1.0.0", Trial: true}
	text := r.String()
	body := text[:strings.LastIndex(text, "sum ")] + "colour \"blue\"\n"
	if err := os.WriteFile(filepath.Join(root, "record"), []byte(sealed(body)), 0o644); err != nil {
		t.Fatal(err)
	}
	next(t, root)
	if got := read(t, root); got.Starts != 1 || !strings.Contains(got.String(), "colour \"blue\"\n") {
		t.Errorf("after a start the record is\n%s", got)
	}
}

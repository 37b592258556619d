package update_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/platform/release"
	"ostatok/platform/update"
	"ostatok/platform/update/trial"
)

// shelf is data in memory: what a test needs of an agent.
type shelf struct {
	level    int
	size     int64
	restored []string
}

func (s *shelf) Level() int           { return s.level }
func (s *shelf) Size() (int64, error) { return s.size, nil }
func (s *shelf) Copy(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "notes"), []byte(strconv.Itoa(s.level)), 0o600)
}

func (s *shelf) Restore(_ context.Context, dir string) error {
	s.restored = append(s.restored, filepath.Base(dir))
	return nil
}

// says is a checker that believes what a test gives it.
type says struct {
	report update.Report
	err    error
}

func (s says) Check(context.Context, string, string) (update.Report, error) { return s.report, s.err }

// box is a Manager of version 1.0.0 and what it was made from.
type box struct {
	*update.Manager
	o    update.Options
	data *shelf
	v    *vendor
}

func newBox(t *testing.T, change ...func(*update.Options)) *box {
	t.Helper()
	v, data := newVendor(t), &shelf{level: 1}
	root := filepath.Join(t.TempDir(), "program")
	first := filepath.Join(t.TempDir(), "first")
	if err := os.WriteFile(first, []byte("one"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := update.Seed(trial.Disk{}, root, first, "1.0.0", 1); err != nil {
		t.Fatal(err)
	}
	o := update.Options{
		Root: root, Product: "ostatok", Version: "1.0.0", OS: runtime.GOOS, Arch: runtime.GOARCH, Channel: "stable",
		Roots: []ed25519.PublicKey{v.root.Public().(ed25519.PublicKey)}, Data: data,
		Checker: says{report: update.Report{Version: "1.1.0", Schema: 1}},
		Time:    func() time.Time { return today }, Free: func(string) (uint64, error) { return 1 << 30, nil },
	}
	for _, c := range change {
		c(&o)
	}
	return (&box{o: o, data: data, v: v}).open(t, "1.0.0")
}

// open is what a start of a version does.
func (b *box) open(t *testing.T, version string) *box {
	t.Helper()
	b.o.Version = version
	b.Manager = update.Open(b.o)
	return b
}

func (b *box) file(t *testing.T, change ...func(*release.Manifest)) string {
	t.Helper()
	m := manifest("1.1.0", 1)
	for _, c := range change {
		c(&m)
	}
	return b.v.serve(t, t.TempDir(), m, bytes.Repeat([]byte("1.1.0 "), 1<<15))
}

func (b *box) stage(t *testing.T) {
	t.Helper()
	if _, err := b.Stage(t.Context(), b.file(t)); err != nil {
		t.Fatal(err)
	}
}

// start is what the launcher does.
func (b *box) start(t *testing.T) trial.Choice {
	t.Helper()
	c, err := trial.Next(trial.Disk{}, b.o.Root, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func code(err error) string {
	if refused, ok := errors.AsType[*release.RefusedError](err); ok {
		return refused.Code
	}
	return ""
}

func TestStageRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		option func(*update.Options)
		change func(*release.Manifest)
		code   string
	}{
		{"same version", nil, func(m *release.Manifest) { m.Version = "1.0.0" }, update.CodeSame},
		{"older", nil, func(m *release.Manifest) { m.Version = "1.0.0-rc.1" }, update.CodeDowngrade},
		{"reads newer data only", nil, func(m *release.Manifest) { m.MinSchema, m.Schema = 2, 2 }, update.CodeSchema},
		{"reads older data only", nil, func(m *release.Manifest) { m.Schema = 0 }, update.CodeSchema},
		{"selfcheck fails", func(o *update.Options) { o.Checker = says{err: errors.New("no such table")} }, nil, update.CodeSelfcheck},
		{"says another version", func(o *update.Options) { o.Checker = says{report: update.Report{Version: "1.2.0", Schema: 1}} }, nil, update.CodeSelfcheck},
		{"says another level", func(o *update.Options) { o.Checker = says{report: update.Report{Version: "1.1.0", Schema: 2}} }, nil, update.CodeSelfcheck},
		{"expired", func(o *update.Options) { o.Time = func() time.Time { return today.AddDate(0, 7, 0) } }, nil, release.CodeExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBox(t, func(o *update.Options) {
				if test.option != nil {
					test.option(o)
				}
			})
			file := b.file(t, func(m *release.Manifest) {
				if test.change != nil {
					test.change(m)
				}
			})
			if _, err := b.Stage(t.Context(), file); code(err) != test.code {
				t.Fatalf("Stage = %v, want %s", err, test.code)
			}
			if s := b.Status(); s.Staged != "" || s.Version != "1.0.0" {
				t.Errorf("%+v", s)
			}
			left, err := os.ReadDir(filepath.Join(b.o.Root, "versions"))
			if err != nil || len(left) != 1 {
				t.Errorf("left behind: %v %v", left, err)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("a person's file was removed: %v", err)
			}
		})
	}
}

func TestStageNeedsRoom(t *testing.T) {
	b := newBox(t, func(o *update.Options) { o.Free = func(string) (uint64, error) { return 20 << 20, nil } })
	b.data.size = 6 << 20
	_, err := b.Stage(t.Context(), b.file(t))
	space, ok := errors.AsType[*update.SpaceError](err)
	if !ok || space.Free != 20<<20 || space.Need < 22<<20 {
		t.Fatalf("Stage = %v, want SpaceError", err)
	}
	b.data.size = 1 << 20
	b.stage(t)
}

func TestCommitSweeps(t *testing.T) {
	b := newBox(t)
	b.stage(t)
	if s := b.Status(); s.Staged != "1.1.0" {
		t.Fatalf("%+v", s)
	}
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Switch(t.Context()); !errors.Is(err, update.ErrOnTrial) {
		t.Errorf("a second Switch = %v", err)
	}
	if s := b.Status(); s.Next != "1.1.0" || s.Trial {
		t.Errorf("before the restart: %+v", s)
	}
	if c := b.start(t); c.Version != "1.1.0" || c.Deadline == 0 {
		t.Fatalf("%+v", c)
	}
	if err := os.MkdirAll(trial.Dir(b.o.Root, "0.5.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.open(t, "1.1.0")
	if s := b.Status(); !s.Trial || s.Starts != 1 || s.Previous != "1.0.0" {
		t.Errorf("on trial: %+v", s)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if s := b.Status(); s.Trial || s.Staged != "" || s.Previous != "1.0.0" {
		t.Errorf("after the commit: %+v", s)
	}
	for v, want := range map[string]bool{"0.5.0": false, "1.0.0": true, "1.1.0": true} {
		if _, err := os.Stat(trial.Dir(b.o.Root, v)); (err == nil) != want {
			t.Errorf("version %s is there: %t", v, err == nil)
		}
	}
	if err := b.Commit(); err == nil {
		t.Error("a second commit of one trial")
	}
}

func TestRollbackIsRememberedUntilForgotten(t *testing.T) {
	b := newBox(t)
	b.stage(t)
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.1.0")
	if err := b.Fail("it does not print"); err != nil {
		t.Fatal(err)
	}
	if c := b.start(t); c.Version != "1.0.0" {
		t.Fatalf("%+v", c)
	}
	b.open(t, "1.0.0")
	s := b.Status()
	if s.Failed != "1.1.0" || s.Reason != "it does not print" || len(s.Bad) != 1 || s.Bad[0].SHA256 == "" || s.Staged != "" {
		t.Errorf("%+v", s)
	}
	if _, err := b.Stage(t.Context(), b.file(t)); code(err) != update.CodeBad || !strings.Contains(err.Error(), "it does not print") {
		t.Errorf("the same release again: %v", err)
	}
	b.open(t, "1.0.0")
	if n := len(b.Status().Bad); n != 1 {
		t.Errorf("remembered %d times", n)
	}
	if err := b.Forget("1.1.0"); err != nil {
		t.Fatal(err)
	}
	b.open(t, "1.0.0")
	b.stage(t)
	if err := b.Switch(t.Context()); err != nil {
		t.Errorf("after Forget: %v", err)
	}
}

// A failed version that brought the data to a level of its own: the older one
// puts the copy back before it opens anything, however often that is cut off.
func TestSchemaStepAndBack(t *testing.T) {
	b := newBox(t, func(o *update.Options) { o.Checker = says{report: update.Report{Version: "1.1.0", Schema: 2}} })
	if _, err := b.Stage(t.Context(), b.file(t, func(m *release.Manifest) { m.Schema = 2 })); err != nil {
		t.Fatal(err)
	}
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.1.0")
	if trying, step := b.Trial(); !trying || !step {
		t.Errorf("Trial = %t, %t", trying, step)
	}
	b.data.level = 2
	if err := b.Recover(t.Context()); err != nil || len(b.data.restored) != 0 {
		t.Errorf("the version on trial restored %v, %v", b.data.restored, err)
	}
	if err := b.Fail("ill"); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.0.0")
	b.data.level = 1
	if err := b.Switch(t.Context()); err == nil {
		t.Error("a switch before the data was put back")
	}
	for range 2 {
		if err := b.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.data.restored) != 1 {
		t.Errorf("restored %v", b.data.restored)
	}
}

func TestRollbackAfterASchemaStepIsRefused(t *testing.T) {
	b := newBox(t)
	b.stage(t)
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.1.0")
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b.data.level = 2
	if err := b.Rollback("asked"); code(err) != update.CodeSchema {
		t.Errorf("Rollback = %v", err)
	}
	b.data.level = 1
	if err := b.Rollback("asked"); err != nil {
		t.Error(err)
	}
	if c := b.start(t); c.Version != "1.0.0" || c.Deadline != 0 {
		t.Errorf("%+v", c)
	}
}

func TestUnmanaged(t *testing.T) {
	b := newBox(t)
	b.stage(t)
	b.open(t, "1.0.5") // started by hand, from elsewhere
	if b.Status().Managed {
		t.Error("managed")
	}
	if err := b.Switch(t.Context()); !errors.Is(err, update.ErrUnmanaged) {
		t.Errorf("Switch = %v", err)
	}
}

func TestOpenMendsDamage(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"record", "updates.json"} {
		if err := os.WriteFile(filepath.Join(b.o.Root, name), []byte("\x00\x00"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.open(t, "1.0.0")
	if r, err := trial.Read(b.o.Root); err != nil || r.Version != "1.0.0" {
		t.Errorf("%+v, %v", r, err)
	}
	b.stage(t)
}

func TestSeed(t *testing.T) {
	b := newBox(t)
	first := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(first, []byte("two"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ version, want string }{{"0.9.0", "1.0.0"}, {"1.0.0", "1.0.0"}, {"1.0.1", "1.0.1"}, {"1.0.1", "1.0.1"}} {
		if err := update.Seed(trial.Disk{}, b.o.Root, first, test.version, 1); err != nil {
			t.Fatal(err)
		}
		if c := b.start(t); c.Version != test.want || c.Deadline != 0 || trial.Linked(b.o.Root) != test.want {
			t.Errorf("after the package of %s: %+v", test.version, c)
		}
	}
	if err := update.Seed(trial.Disk{}, b.o.Root, first, "dev", 1); err == nil {
		t.Error("a development build was installed as a version")
	}
}

func TestProve(t *testing.T) {
	setup := func(t *testing.T) *box {
		b := newBox(t, func(o *update.Options) { o.Deadline, o.Stable = 8*time.Minute, time.Minute })
		b.stage(t)
		if err := b.Switch(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.start(t)
		return b.open(t, "1.1.0")
	}
	t.Run("healthy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, began := setup(t), time.Now()
			if err := b.Prove(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < time.Minute || b.Status().Trial {
				t.Errorf("committed after %s", took)
			}
		})
	})
	t.Run("ill now and then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, began := setup(t), time.Now()
			err := b.Prove(t.Context(), func(context.Context) error {
				if time.Since(began)%(50*time.Second) < 3*time.Second {
					return errors.New("the loop stands still")
				}
				return nil
			})
			gave, ok := errors.AsType[*update.GaveUpError](err)
			if !ok || !strings.Contains(gave.Reason, "the loop stands still") || time.Since(began) != 7*time.Minute {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			if c := b.start(t); c.Version != "1.0.0" {
				t.Errorf("%+v", c)
			}
		})
	})
	t.Run("healthy late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, began := setup(t), time.Now()
			err := b.Prove(t.Context(), func(context.Context) error {
				if time.Since(began) < 5*time.Minute {
					return errors.New("still starting")
				}
				return nil
			})
			if err != nil || b.Status().Trial {
				t.Errorf("%v, %+v", err, b.Status())
			}
		})
	})
	t.Run("stopped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := b.Prove(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) || !b.Status().Trial {
				t.Errorf("%v: a stop is no failure, and no success", err)
			}
		})
	})
}

func TestLogOfATrial(t *testing.T) {
	b := newBox(t)
	b.stage(t)
	if _, err := b.Log().Write([]byte("not on trial\n")); err != nil {
		t.Fatal(err)
	}
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.1.0")
	for range 40 {
		if n, err := b.Log().Write(bytes.Repeat([]byte("a"), 64<<10)); n != 64<<10 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := b.Fail("ill"); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.open(t, "1.0.0")
	info, err := os.Stat(b.Status().Log)
	if err != nil || info.Size() == 0 || info.Size() > 1<<20 {
		t.Errorf("the log of the failed version: %v %v", info, err)
	}
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if b.Status().Log == "" {
		t.Error("the log was swept away")
	}
}

func TestFetch(t *testing.T) {
	web := t.TempDir()
	var ranges []string
	handler := http.Handler(http.FileServer(http.Dir(web)))
	var plain, slow, fat bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isFile := strings.HasSuffix(r.URL.Path, ".release")
		if isFile {
			ranges = append(ranges, r.Header.Get("Range"))
		}
		switch {
		case isFile && slow:
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case isFile && fat:
			_, _ = w.Write(make([]byte, 1<<20))
		case isFile && plain:
			r.Header.Del("Range")
			fallthrough
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	b := newBox(t, func(o *update.Options) { o.URL, o.Stall = server.URL, 200*time.Millisecond })
	noise := make([]byte, 200<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	file := b.v.serve(t, web, manifest("1.1.0", 1), noise)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Check(t.Context(), "")
	if err != nil || r == nil || r.Version != "1.1.0" {
		t.Fatalf("Check = %+v, %v", r, err)
	}
	part := filepath.Join(b.o.Root, "downloads", r.SHA256+".release.part")
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		t.Fatal(err)
	}
	fetch := func(have []byte) error {
		t.Helper()
		ranges = nil
		_ = os.Remove(strings.TrimSuffix(part, ".part"))
		if have != nil {
			if err := os.WriteFile(part, have, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		name, err := b.Fetch(t.Context(), r)
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("fetched %d bytes of %d, %v", len(got), len(whole), err)
		}
		return nil
	}
	if err := fetch(nil); err != nil {
		t.Error(err)
	}
	if err := fetch(whole[:1000]); err != nil || len(ranges) != 1 || ranges[0] != "bytes=1000-" {
		t.Errorf("resumed with %q, %v", ranges, err)
	}
	if err := fetch(whole); err != nil || len(ranges) != 0 {
		t.Errorf("a whole download was asked for again: %q, %v", ranges, err)
	}
	if err := fetch(append(bytes.Clone(whole), 1)); err != nil {
		t.Errorf("too long a part: %v", err)
	}
	plain = true
	if err := fetch(whole[:1000]); err != nil {
		t.Errorf("from a server that cannot resume: %v", err)
	}
	fat = true
	if err := fetch([]byte{}); code(err) != release.CodeContent {
		t.Errorf("an endless answer: %v", err)
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("the endless answer was kept")
	}
	fat, slow = false, true
	if err := fetch(whole[:1000]); err == nil {
		t.Error("a download that stands still did not end")
	}
	slow = false
	if _, err := b.Check(t.Context(), "2.0.0"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a version that is not there: %v", err)
	}
	// What was damaged on the way is fetched afresh.
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-9] ^= 1
	if err := os.WriteFile(strings.TrimSuffix(part, ".part"), damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	name, err := b.Fetch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stage(t.Context(), name); code(err) != release.CodeContent {
		t.Errorf("Stage = %v", err)
	}
	if err := fetch(nil); err != nil {
		t.Error(err)
	}
	if _, err := b.Stage(t.Context(), name); err != nil {
		t.Error(err)
	}
}

func TestCheckWithNothingNewer(t *testing.T) {
	web := t.TempDir()
	b := newBox(t, func(o *update.Options) { o.URL = serveDir(t, web) })
	for _, version := range []string{"1.0.0", "0.9.0"} {
		b.v.serve(t, web, manifest(version, 1), []byte("x"))
		if r, err := b.Check(t.Context(), ""); r != nil || err != nil {
			t.Errorf("Check with %s = %+v, %v", version, r, err)
		}
	}
	if _, err := b.Check(t.Context(), "0.9.0"); code(err) != update.CodeDowngrade {
		t.Errorf("asked for an older one: %v", err)
	}
}

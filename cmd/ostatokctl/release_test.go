package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ostatok/platform/release"
)

// smallProgram builds a program that says of itself that it is the agent.
func smallProgram(t *testing.T, environ ...string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "cmd", "ostatok")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(dir, "go.mod"):     "module ostatok\n\ngo 1.26\n",
		filepath.Join(source, "main.go"): "package main\n\nfunc main() { println(\"1.4.0\") }\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "ostatok")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/ostatok")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), append(environ, "GOFLAGS=", "GOWORK=off")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// From keys to a directory that a web server serves, judged as a box judges it.
func TestRelease(t *testing.T) {
	var out, err text
	ctl := func(args ...string) (string, string, int) {
		out, err = text{}, text{}
		a := &app{out: &out, err: &err, environ: []string{"HOME=/nowhere"}, now: time.Now}
		code := a.main(t.Context(), append([]string{"release"}, args...))
		return strings.TrimSpace(out.String()), err.String(), code
	}
	must := func(args ...string) string {
		t.Helper()
		text, says, code := ctl(args...)
		if code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, says)
		}
		return text
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	root, key := must("keygen", file("root.key")), must("keygen", file("release.key"))
	if _, _, code := ctl("keygen", file("root.key")); code != exitUsage {
		t.Errorf("a key is written over: exit %d", code)
	}
	certificate := must("certify", "--root", file("root.key"), "--key", key, "--serial", "3")
	if e := os.WriteFile(file("release.cert"), []byte(certificate+"\n"), 0o600); e != nil {
		t.Fatal(e)
	}
	sign := []string{"sign", smallProgram(t), "--key", file("release.key"), "--certificate", file("release.cert"), "--version", "1.4.0",
		"--schema-level", "2", "--min-schema-level", "1", "--until", "2999-12-31", "--dir", dir}
	name := must(sign...)
	if filepath.Base(name) != "ostatok-1.4.0-"+runtime.GOOS+"-"+runtime.GOARCH+".release" {
		t.Errorf("the release is called %s", name)
	}
	must("publish", name, file("www"), "--trust", root)

	public, e := release.ParseKey(root)
	if e != nil {
		t.Fatal(e)
	}
	text, e := os.ReadFile(file("www/" + release.FilePath("ostatok", "1.4.0", runtime.GOOS, runtime.GOARCH)))
	if e != nil {
		t.Fatal(e)
	}
	in := bufio.NewReader(bytes.NewReader(text))
	rules := release.Rules{Roots: []ed25519.PublicKey{public}, Product: "ostatok", OS: runtime.GOOS, Arch: runtime.GOARCH, Time: time.Now()}
	r, e := release.Read(in, rules)
	if e != nil || r.Check(in) != nil || r.Serial != 3 || r.Schema != 2 || r.MinSchema != 1 || r.Channel != "stable" || r.Expires.Year() != 3000 {
		t.Errorf("%v: a box reads %+v", e, r)
	}
	if head, e := os.ReadFile(file("www/" + release.NewestPath("stable", runtime.GOOS, runtime.GOARCH))); e != nil || string(head) != r.Head {
		t.Errorf("%v: it is not the newest of its channel", e)
	}

	if _, says, code := ctl("publish", name, file("www"), "--trust", key); code == 0 || !strings.Contains(says, "certificate does not hold") {
		t.Errorf("a stranger's release is published: exit %d: %s", code, says)
	}
	for _, wrong := range [][]string{
		{"certify", "--root", file("root.key"), "--key", key},
		{"certify", "--root", file("none.key"), "--key", key, "--serial", "1"},
		{"sign", file("release.key"), "--key", file("release.key"), "--certificate", file("release.cert"), "--version", "1.4.0"},
		{"publish", file("release.key"), file("www"), "--trust", root},
		{"publish", name, file("www")},
		append(append([]string{}, sign...), "--version", "1.4"),
	} {
		if _, says, code := ctl(wrong...); code != exitUsage {
			t.Errorf("%v: exit %d: %s", wrong, code, says)
		}
	}
	if e := os.Chmod(file("release.key"), 0o644); e != nil {
		t.Fatal(e)
	}
	if _, says, code := ctl(sign...); code != exitUsage || !strings.Contains(says, "chmod 600") {
		t.Errorf("a key that all can read is used: exit %d: %s", code, says)
	}
}

// One release is for all boards of an architecture.
func TestSystemOfAProgram(t *testing.T) {
	if goos, arch, err := system(smallProgram(t, "GOOS=linux", "GOARCH=arm", "GOARM=6")); err != nil || goos != "linux" || arch != "arm" {
		t.Errorf("%s/%s, %v", goos, arch, err)
	}
	if _, _, err := system(smallProgram(t, "GOOS=linux", "GOARCH=arm", "GOARM=7")); err == nil || !strings.Contains(err.Error(), "GOARM=6") {
		t.Errorf("a program for new boards only: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := system(self); err == nil || !strings.Contains(err.Error(), "releases are of ostatok") {
		t.Errorf("another program: %v", err)
	}
}

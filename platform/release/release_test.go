package release_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ostatok/platform/release"
)

// dice is randomness that a test can repeat.
type dice byte

func (d dice) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(d)
	}
	return len(p), nil
}

func key(t testing.TB, d dice) ed25519.PrivateKey {
	t.Helper()
	_, k, err := release.GenerateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func rules(root ed25519.PrivateKey) release.Rules {
	return release.Rules{Roots: []ed25519.PublicKey{public(root)}, Time: today, Product: "ostatok", OS: "linux", Arch: "arm"}
}

func manifest() release.Manifest {
	return release.Manifest{Product: "ostatok", Version: "1.1.0", OS: "linux", Arch: "arm", Channel: "stable", URL: "x", Schema: 1,
		Issued: today, Expires: today.AddDate(0, 1, 0)}
}

func certify(t testing.TB, root, k ed25519.PrivateKey, serial int64, expires time.Time) string {
	t.Helper()
	c, err := release.Certify(root, release.Certificate{Key: release.FormatKey(public(k)), Serial: serial, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var content = bytes.Repeat([]byte("program "), 1000)

func pack(t testing.TB, k ed25519.PrivateKey, certificate string, m release.Manifest) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := release.Pack(&b, k, certificate, m, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// accept reads a release as a box does.
func accept(file []byte, r release.Rules) ([]byte, error) {
	in := bufio.NewReader(bytes.NewReader(file))
	got, err := release.Read(in, r)
	if err != nil {
		return nil, err
	}
	packed := file[len(got.Head):]
	if err := got.Check(bytes.NewReader(packed)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = got.Unpack(&out, bytes.NewReader(packed))
	return out.Bytes(), err
}

func TestPackAndAccept(t *testing.T) {
	root, k := key(t, 1), key(t, 2)
	file := pack(t, k, certify(t, root, k, 1, today.AddDate(1, 0, 0)), manifest())
	got, err := accept(file, rules(root))
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if again := pack(t, k, certify(t, root, k, 1, today.AddDate(1, 0, 0)), manifest()); !bytes.Equal(again, file) {
		t.Error("the same release was packed to other bytes")
	}
}

func TestRefused(t *testing.T) {
	root, k, other := key(t, 1), key(t, 2), key(t, 3)
	certificate := certify(t, root, k, 5, today.AddDate(1, 0, 0))
	file := pack(t, k, certificate, manifest())
	head := bytes.SplitAfterN(file, []byte("\n"), 4)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	with := func(change func(*release.Manifest)) []byte {
		m := manifest()
		change(&m)
		return pack(t, k, certificate, m)
	}
	flipped := bytes.Clone(file)
	flipped[len(flipped)-20] ^= 1
	for _, test := range []struct {
		name string
		file []byte
		code string
		rule func(*release.Rules)
	}{
		{"nothing", nil, release.CodeMalformed, nil},
		{"another file", []byte("PK\x03\x04 something else\n\n\n\n"), release.CodeMalformed, nil},
		{"a line without an end", append([]byte("ostatok-release 1\n"), bytes.Repeat([]byte("a"), 1<<20)...), release.CodeMalformed, nil},
		{"cut off in the head", file[:len(head[0])+len(head[1])+10], release.CodeMalformed, nil},
		{"cut off in the program", file[:len(file)-1], release.CodeContent, nil},
		{"longer", append(bytes.Clone(file), 0), release.CodeContent, nil},
		{"a bit flipped", flipped, release.CodeContent, nil},
		{"a key that no root stands for", pack(t, other, certify(t, other, other, 5, time.Time{}), manifest()), release.CodeSignature, nil},
		{"another's certificate", pack(t, other, certificate, manifest()), release.CodeSignature, nil},
		{"the root key signs by itself", pack(t, root, certificate, manifest()), release.CodeSignature, nil},
		{"manifest in the place of the certificate", join(head[0], head[2], head[2], head[3]), release.CodeSignature, nil},
		{"certificate in the place of the manifest", join(head[0], head[1], head[1], head[3]), release.CodeSignature, nil},
		{"unsigned", join(head[0], head[1], unsigned(t, head[2]), head[3]), release.CodeSignature, nil},
		{"claims changed", join(head[0], head[1], reclaimed(t, head[2], "1.1.0", "9.9.9"), head[3]), release.CodeSignature, nil},
		{"the program of another release", join(head[0], head[1], head[2], bytes.SplitAfterN(with(func(m *release.Manifest) { m.Version = "1.0.0" }), []byte("\n"), 4)[3][1:]), release.CodeContent, nil},
		{"key replaced", file, release.CodeRevoked, func(r *release.Rules) { r.Serial = 6 }},
		{"certificate ended", pack(t, k, certify(t, root, k, 5, today.Add(-time.Second)), manifest()), release.CodeExpired, nil},
		{"manifest ended", with(func(m *release.Manifest) { m.Expires = today.Add(-time.Second) }), release.CodeExpired, nil},
		{"another product", with(func(m *release.Manifest) { m.Product = "other" }), release.CodeProduct, nil},
		{"another arch", with(func(m *release.Manifest) { m.Arch = "arm64" }), release.CodeSystem, nil},
		{"a version that leaves the directory", with(func(m *release.Manifest) { m.Version = "../../1.1.0" }), release.CodeMalformed, nil},
		{"no version", with(func(m *release.Manifest) { m.Version = "" }), release.CodeMalformed, nil},
		{"no roots", file, release.CodeSignature, func(r *release.Rules) { r.Roots = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := rules(root)
			if test.rule != nil {
				test.rule(&r)
			}
			got, err := accept(test.file, r)
			refused, ok := errors.AsType[*release.RefusedError](err)
			if !ok || refused.Code != test.code {
				t.Fatalf("%v, want the code %s", err, test.code)
			}
			if len(got) != 0 {
				t.Errorf("%d bytes were unpacked", len(got))
			}
		})
	}
}

func part(t *testing.T, line []byte, i int) []string {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(string(line)), ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWS: %s", line)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	parts[i] = string(raw)
	return parts
}

func unsigned(t *testing.T, line []byte) []byte {
	t.Helper()
	parts := part(t, line, 0)
	var h map[string]any
	if err := json.Unmarshal([]byte(parts[0]), &h); err != nil {
		t.Fatal(err)
	}
	h["alg"] = "none"
	raw, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.RawURLEncoding.EncodeToString(raw) + "." + parts[1] + ".\n")
}

func reclaimed(t *testing.T, line []byte, from, to string) []byte {
	t.Helper()
	parts := part(t, line, 1)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(parts[1], from, to, 1)))
	return []byte(strings.Join(parts, ".") + "\n")
}

// A program that unpacks to more than its manifest says is signed by us and a
// mistake all the same.
func TestUnpackIsBounded(t *testing.T) {
	root, k := key(t, 1), key(t, 2)
	file := pack(t, k, certify(t, root, k, 1, time.Time{}), manifest())
	r, err := release.Read(bufio.NewReader(bytes.NewReader(file)), rules(root))
	if err != nil {
		t.Fatal(err)
	}
	r.Unpacked -= 10
	var out bytes.Buffer
	if err := r.Unpack(&out, bytes.NewReader(file[len(r.Head):])); err == nil || int64(out.Len()) > r.Unpacked+1 {
		t.Errorf("%d bytes unpacked, %v", out.Len(), err)
	}
}

func TestPublish(t *testing.T) {
	root, k := key(t, 1), key(t, 2)
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "r.release")
	packed := pack(t, k, certify(t, root, k, 1, time.Time{}), manifest())
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := release.Publish(dir, file, rules(root))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "1.1.0", "ostatok-1.1.0-linux-arm.release"))
	if err != nil || !bytes.Equal(got, packed) {
		t.Errorf("the published file: %d bytes, %v", len(got), err)
	}
	newest, err := os.ReadFile(filepath.Join(dir, "newest", "stable", "linux-arm"))
	if err != nil || string(newest) != r.Head {
		t.Errorf("the newest head is %q, %v", newest, err)
	}
	if _, err := release.Publish(dir, file, rules(key(t, 9))); err == nil {
		t.Error("a release that no box accepts was published")
	}
}

func TestKeys(t *testing.T) {
	k := key(t, 7)
	again, err := release.ParsePrivateKey(release.FormatPrivateKey(k) + "\n")
	if err != nil || !again.Equal(k) {
		t.Errorf("private key: %v", err)
	}
	p, err := release.ParseKey(release.FormatKey(public(k)))
	if err != nil || !p.Equal(public(k)) {
		t.Errorf("public key: %v", err)
	}
	for _, bad := range []string{"", "ed25519:", "ed25519:AAAA", "rsa:AAAA", release.FormatPrivateKey(k)} {
		if _, err := release.ParseKey(bad); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("ParseKey(%q) = %v", bad, err)
		}
	}
}

func TestCompare(t *testing.T) {
	order := []string{"dev", "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"}
	for i, a := range order {
		for j, b := range order {
			got, want := release.Compare(a, b), 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got != want {
				t.Errorf("Compare(%s, %s) = %d", a, b, got)
			}
		}
	}
	for _, bad := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-a/b", "1.2.3-..", "1.2.x", "-1.2.3", "1.2.3+x", "99999999999.0.0"} {
		if release.ValidVersion(bad) {
			t.Errorf("%q counts as a version", bad)
		}
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	version := rapid.StringMatching(`[0-3]\.[0-3]\.[0-3](-[0-2a-b]{1,2}(\.[0-2a-b]{1,2})?)?`)
	rapid.Check(t, func(r *rapid.T) {
		a, b, c := version.Draw(r, "a"), version.Draw(r, "b"), version.Draw(r, "c")
		if release.Compare(a, b) != -release.Compare(b, a) {
			r.Fatalf("%s and %s", a, b)
		}
		if release.Compare(a, b) <= 0 && release.Compare(b, c) <= 0 && release.Compare(a, c) > 0 {
			r.Fatalf("%s, %s, %s", a, b, c)
		}
	})
}

func FuzzRead(f *testing.F) {
	root, k := key(f, 1), key(f, 2)
	file := pack(f, k, certify(f, root, k, 1, time.Time{}), manifest())
	f.Add(file)
	f.Add([]byte("ostatok-release 1\n..\n..\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := release.Read(bufio.NewReader(bytes.NewReader(text)), rules(root))
		if err == nil && !bytes.HasPrefix(file, []byte(strings.TrimSpace(r.Head))) && r.Version != "1.1.0" {
			t.Errorf("accepted %q", text)
		}
	})
}

package update_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ostatok/platform/release"
)

// vendor is who makes releases.
type vendor struct {
	root, key   ed25519.PrivateKey
	certificate string
}

var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{}
	var err error
	if _, v.root, err = release.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	public, key, err := release.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v.key = key
	v.certificate, err = release.Certify(v.root, release.Certificate{Key: release.FormatKey(public), Serial: 1, Expires: today.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vendor) publicRoot() string { return release.FormatKey(v.root.Public().(ed25519.PublicKey)) }

func manifest(version string, level int) release.Manifest {
	return release.Manifest{
		Product: "ostatok", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH, Channel: "stable",
		URL:    release.FilePath("ostatok", version, runtime.GOOS, runtime.GOARCH),
		Schema: level, Issued: today, Expires: today.AddDate(0, 6, 0),
	}
}

// serve writes a release into a web server's directory.
func (v *vendor) serve(t *testing.T, dir string, m release.Manifest, program []byte) (file string) {
	t.Helper()
	var packed bytes.Buffer
	if _, err := release.Pack(&packed, v.key, v.certificate, m, bytes.NewReader(program)); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, m.URL)
	newest := filepath.Join(dir, release.NewestPath("stable", runtime.GOOS, runtime.GOARCH))
	for name, content := range map[string][]byte{file: packed.Bytes(), newest: packed.Bytes()} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func serveDir(t *testing.T, dir string) string {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return s.URL
}

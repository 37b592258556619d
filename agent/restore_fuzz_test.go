package agent

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ostatok/agent/journal"
)

// FuzzUnpack: whatever is handed over as a backup, only the two files appear, and
// what is accepted is what the manifest says.
func FuzzUnpack(f *testing.F) {
	const store = "20170222-D58C-40E0-8051-B53ADFF38860"
	dir := f.TempDir()
	m := Manifest{Format: backupFormat, Store: store, Version: "1.0.0", At: time.Unix(1_700_000_000, 0).UTC()}
	for _, name := range restorable() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 100)), 0o600); err != nil {
			f.Fatal(err)
		}
		described, err := describeFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		m.Files = append(m.Files, described)
	}
	var sound bytes.Buffer
	if err := writeArchive(&sound, dir, m); err != nil {
		f.Fatal(err)
	}
	f.Add(sound.Bytes())
	f.Add(sound.Bytes()[:sound.Len()/2])
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, backup []byte) {
		into := t.TempDir()
		got, err := unpack(t.Context(), bytes.NewReader(backup), into, store)
		list, listErr := os.ReadDir(into)
		if listErr != nil {
			t.Fatal(listErr)
		}
		for _, entry := range list {
			if name := entry.Name(); name != journal.FileName+unpackedSuffix && name != mirrorName+unpackedSuffix || !entry.Type().IsRegular() {
				t.Errorf("%s appeared", name)
			}
		}
		if err != nil {
			return
		}
		if got.Store != store || len(list) != 2 {
			t.Errorf("accepted: %+v, %d files", got, len(list))
		}
		for _, file := range got.Files {
			have, err := describeFile(unpackedName(into, file.Name))
			if err != nil || have.Size != file.Size || have.SHA256 != file.SHA256 {
				t.Errorf("accepted: %+v, unpacked: %+v, %v", file, have, err)
			}
		}
	})
}

// A backup that is small and says that its files are large, all of it holes, must
// not fill the card.
func TestHolesAreRefused(t *testing.T) {
	const store, large = "20170222-D58C-40E0-8051-B53ADFF38860", 64 << 20
	m := Manifest{Format: backupFormat, Store: store}
	for _, name := range restorable() {
		m.Files = append(m.Files, ManifestFile{Name: name, Size: large, SHA256: fmt.Sprintf("%x", sha256.Sum256(make([]byte, large)))})
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	write := func(h *tar.Header, text []byte) {
		t.Helper()
		h.Mode, h.Size = 0o600, int64(len(text))
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	write(&tar.Header{Name: manifestName}, text)
	for _, file := range m.Files {
		records := map[string]string{"OST.sparse.major": "1", "OST.sparse.minor": "0", "OST.sparse.name": file.Name, "OST.sparse.realsize": strconv.Itoa(large)}
		holes := make([]byte, 512) // one fragment: nothing, at the end
		copy(holes, fmt.Sprintf("1\n%d\n0\n", large))
		write(&tar.Header{Name: file.Name, PAXRecords: records}, holes)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	// The writer makes no holes itself.
	archive := bytes.ReplaceAll(b.Bytes(), []byte("OST.sparse"), []byte("GNU.sparse"))
	dir := t.TempDir()
	if _, err := unpack(t.Context(), bytes.NewReader(archive), dir, store); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("accepted: %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("unpacked: %v, %v", list, err)
	}
}

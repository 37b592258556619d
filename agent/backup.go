package agent

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/sqlite"
	"ostatok/platform/disk"
)

// A backup is a tar of manifest.json and the database files it lists. The
// manifest comes first, so that a file that is not ours is refused at once.

// backupFormat changes when an older release could not restore the archive.
const backupFormat = 1

const manifestName = "manifest.json"

// Manifest says what a backup holds.
type Manifest struct {
	Format  int            `json:"format"`
	Store   string         `json:"store"`
	Version string         `json:"version"` // of the program that made it
	At      time.Time      `json:"at"`
	Files   []ManifestFile `json:"files"`
}

// ManifestFile is one file of a backup.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup implements local.Shop: copies through SQLite's backup API, while the
// databases are in use.
func (a *Agent) Backup(ctx context.Context, w io.Writer) (err error) {
	if err := a.roomForCopies(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(a.config.DataDir, "backup-")
	if err != nil {
		return fmt.Errorf("cannot make a backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	m := Manifest{Format: backupFormat, Store: a.config.Store, Version: a.build.Version, At: a.now().UTC()}
	for _, source := range []struct {
		name string
		db   *sqlite.DB
	}{
		// The journal first: what it says was delivered is then in the mirror too,
		// and never the other way round.
		{journal.FileName, a.journal.DB()},
		{mirrorName, a.mirror.DB()},
	} {
		copied := filepath.Join(dir, source.name)
		if err := source.db.Backup(ctx, copied); err != nil {
			return err
		}
		f, err := describeFile(copied)
		if err != nil {
			return fmt.Errorf("cannot make a backup: %w", err)
		}
		m.Files = append(m.Files, f)
	}
	return writeArchive(w, dir, m)
}

// roomForCopies refuses a backup that would fill the card that the shop lives on.
func (a *Agent) roomForCopies(ctx context.Context) error {
	const spare = 16 << 20
	ours, err := size(ctx, a.mirror.DB())
	if err != nil {
		return err
	}
	more, err := size(ctx, a.journal.DB())
	if err != nil {
		return err
	}
	space, err := disk.Of(a.config.DataDir)
	if err != nil {
		return err
	}
	if need := uint64(ours + more + spare); space.Free < need {
		return fmt.Errorf("cannot make a backup: %d MB are free in %s and %d are needed for the copies; make room there first",
			space.Free>>20, a.config.DataDir, need>>20)
	}
	return nil
}

func describeFile(name string) (ManifestFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return ManifestFile{}, err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return ManifestFile{}, err
	}
	return ManifestFile{Name: filepath.Base(name), Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

func writeArchive(w io.Writer, dir string, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot make a backup: %w", err)
	}
	out := tar.NewWriter(w)
	header := func(name string, size int64) error {
		return out.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: m.At})
	}
	if err := header(manifestName, int64(len(text))); err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	if _, err := out.Write(text); err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	for _, f := range m.Files {
		if err := header(f.Name, f.Size); err != nil {
			return fmt.Errorf("cannot write the backup: %w", err)
		}
		if err := copyFile(out, filepath.Join(dir, f.Name)); err != nil {
			return fmt.Errorf("cannot write the backup: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	return nil
}

func copyFile(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

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
	"slices"
	"strings"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/platform/disk"
)

// Restore puts the databases of a backup in the place of the present ones,
// which are set aside under dated names and not removed. It refuses while
// another process works on the data directory (*BusyError), and a backup
// that is damaged or of another shop, and then changes nothing.
func Restore(ctx context.Context, c *config.Config, r io.Reader, now time.Time) (_ Manifest, err error) {
	l, err := takeDir(c)
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, l.Release()) }()
	// One that was decided before comes first: it is in this one's way.
	if _, err := finishRestore(c.DataDir, now); err != nil {
		return Manifest{}, err
	}
	m, err := takeRestore(ctx, c, r)
	if err != nil {
		return m, err
	}
	_, err = finishRestore(c.DataDir, now)
	return m, err
}

// Restore implements local.Shop: the agent that runs decides the restore, ends,
// and is opened anew on the restored files. What it receives until then is in
// the files that are set aside.
func (a *Agent) Restore(ctx context.Context, r io.Reader) (local.Restored, error) {
	if !a.running.Load() {
		return local.Restored{}, &local.Error{Code: local.Refused, Message: "only an agent that runs goes on from a backup by itself"}
	}
	if !a.restores.TryLock() {
		return local.Restored{}, &local.Error{Code: local.Refused, Message: "another restore is under way: wait for it to end"}
	}
	defer a.restores.Unlock()
	if exists(filepath.Join(a.config.DataDir, decidedName)) {
		return local.Restored{}, &local.Error{Code: local.Refused, Message: "another restore is decided: wait until the agent has gone on from it"}
	}
	m, err := takeRestore(ctx, a.config, r)
	if err != nil {
		return local.Restored{}, err
	}
	a.end(Reopen)
	return local.Restored{At: m.At}, nil
}

// takeRestore unpacks and verifies a backup and decides that it is restored. None
// may be decided already.
func takeRestore(ctx context.Context, c *config.Config, r io.Reader) (_ Manifest, err error) {
	if err := dropUnpacked(c.DataDir); err != nil { // of an attempt that was cut off
		return Manifest{}, fmt.Errorf("cannot restore, nothing was changed: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dropUnpacked(c.DataDir))
		}
	}()
	m, err := unpack(ctx, r, c.DataDir, c.Store)
	if err != nil {
		return m, fmt.Errorf("cannot restore, nothing was changed: %w", err)
	}
	for _, f := range m.Files {
		if err := inspect(ctx, unpackedName(c.DataDir, f.Name)); err != nil {
			return m, fmt.Errorf("cannot restore, nothing was changed: %w; use another backup", err)
		}
	}
	return m, decide(c.DataDir)
}

// unpack reads the archive into dir, see unpackedName, and verifies it against
// its manifest.
func unpack(ctx context.Context, r io.Reader, dir, store string) (Manifest, error) {
	in := tar.NewReader(r)
	m, err := readManifest(in, store)
	if err != nil {
		return m, err
	}
	if err := roomFor(dir, m); err != nil {
		return m, err
	}
	for _, want := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		h, err := in.Next()
		if err != nil || h.Name != want.Name || h.Size != want.Size || sparse(h) {
			return m, fmt.Errorf("the backup is damaged or cut off at %s; use another one", want.Name)
		}
		sum, err := unpackFile(in, unpackedName(dir, want.Name))
		if err != nil {
			return m, err
		}
		if sum != want.SHA256 {
			return m, fmt.Errorf("%s in the backup is damaged; use another one", want.Name)
		}
	}
	return m, nil
}

// roomFor refuses a backup that would fill the card that the shop lives on.
func roomFor(dir string, m Manifest) error {
	space, err := disk.Of(dir)
	if err != nil {
		return err
	}
	free := space.Free
	for _, f := range m.Files {
		if f.Size < 0 || uint64(f.Size) > free {
			return fmt.Errorf("%d MB are free in %s, which is less than the backup holds; make room there first", space.Free>>20, dir)
		}
		free -= uint64(f.Size)
	}
	return nil
}

// sparse tells whether a file has holes, which a few bytes say are of any size.
// Backups have none.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return true
		}
	}
	return h.Typeflag != tar.TypeReg
}

func readManifest(in *tar.Reader, store string) (Manifest, error) {
	var m Manifest
	h, err := in.Next()
	if err != nil || h.Name != manifestName {
		return m, errors.New("this is not a backup of ostatok; name a file that `ostatok backup` made")
	}
	const longest = 1 << 16
	if err := json.NewDecoder(io.LimitReader(in, longest)).Decode(&m); err != nil {
		return m, fmt.Errorf("the manifest of the backup cannot be read: %w; use another one", err)
	}
	names := make([]string, 0, len(m.Files))
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	switch {
	case m.Format != backupFormat:
		return m, fmt.Errorf("the backup has format %d and this release knows %d; restore with release %s", m.Format, backupFormat, m.Version)
	case m.Store != store:
		return m, fmt.Errorf("the backup is of shop %s and the configuration of %s; use the configuration of that shop", m.Store, store)
	case !slices.Equal(names, []string{journal.FileName, mirrorName}):
		return m, fmt.Errorf("the backup lists %q; use another one", names)
	}
	return m, nil
}

func unpackFile(r io.Reader, name string) (sum string, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, hash), r); errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("the backup is cut off at %s; use another one", filepath.Base(name))
	} else if err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), f.Sync()
}

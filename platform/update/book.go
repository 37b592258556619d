package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ostatok/platform/update/trial"
)

// Bad is a release that was tried and gone back from. It is not offered again;
// another build of the same version is.
type Bad struct {
	Version string    `json:"version"`
	SHA256  string    `json:"sha256,omitempty"` // of the packed program
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// book is what the updater remembers; what runs is in the record.
type book struct {
	Staged string `json:"staged,omitempty"`
	Serial int64  `json:"serial,omitempty"` // the highest of a certificate seen
	Bad    []Bad  `json:"bad,omitempty"`
}

const (
	bookName = "updates.json"
	mostBad  = 16
)

// sealed is how a small state lies in a file: a card that returns a torn or
// flipped file is found out.
type sealed struct {
	Sum   uint32          `json:"crc32"`
	State json.RawMessage `json:"state"`
}

func seal(state any) ([]byte, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{crc32.ChecksumIEEE(raw), raw})
}

func unseal(text []byte, state any) error {
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s.Sum != crc32.ChecksumIEEE(s.State) {
		return errors.New("its checksum does not fit")
	}
	return json.Unmarshal(s.State, state)
}

func readBook(root string) (b book, err error) {
	text, err := os.ReadFile(filepath.Join(root, bookName))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = unseal(text, &b)
	}
	if err != nil {
		return book{}, fmt.Errorf("cannot read the notes of updates: %w", err)
	}
	return b, nil
}

func (b *book) save(f trial.Files, root string) error {
	text, err := seal(b)
	if err == nil {
		err = trial.Replace(f, filepath.Join(root, bookName), text)
	}
	if err != nil {
		return fmt.Errorf("cannot write the notes of updates: %w", err)
	}
	return nil
}

// remember adds a bad release and says whether it is news.
func (b *book) remember(bad Bad) bool {
	if b.isBad(bad.Version, bad.SHA256) != nil {
		return false
	}
	b.Bad = append(b.Bad, bad)
	if len(b.Bad) > mostBad {
		b.Bad = b.Bad[len(b.Bad)-mostBad:]
	}
	return true
}

func (b *book) forget(version string) {
	b.Bad = slices.DeleteFunc(b.Bad, func(x Bad) bool { return x.Version == version })
}

// isBad compares digests where both are known: the directory of a failed version
// may be gone before its digest was noted.
func (b *book) isBad(version, digest string) *Bad {
	for i, x := range b.Bad {
		if x.Version == version && (x.SHA256 == "" || digest == "" || x.SHA256 == digest) {
			return &b.Bad[i]
		}
	}
	return nil
}

// about is the note in the directory of a version.
type about struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256,omitempty"` // of the packed program; "" when a package brought it
	Schema  int    `json:"schema_level"`
}

const aboutName = "about.json"

func readAbout(root, version string) (a about, err error) {
	text, err := os.ReadFile(filepath.Join(trial.Dir(root, version), aboutName))
	if err == nil {
		err = unseal(text, &a)
	}
	if err != nil {
		return about{}, fmt.Errorf("cannot read what version %s is: %w", version, err)
	}
	return a, nil
}

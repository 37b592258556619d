package agent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"

	"ostatok/agent/ingest"
	"ostatok/agent/page"
	"ostatok/platform/disk"
)

// accessFile is local.access_file: the hash of the access code in one line, the
// token of senders of documents in another. It is read again when it changes.
type accessFile struct {
	file string // "" for none
	log  zerolog.Logger

	mu       sync.Mutex
	modified time.Time
	size     int64
	code     []byte
	senders  string
	wrong    string // what was logged last
}

func newAccessFile(file string, log zerolog.Logger) *accessFile {
	return &accessFile{file: file, log: log, size: -1}
}

// hash is that of the access code, nil for none.
func (f *accessFile) hash() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read()
	return f.code
}

// token is what senders of documents must show, "" for nobody.
func (f *accessFile) token() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read()
	return f.senders
}

// read takes the file in when it is another one than before. What cannot be used
// lets nobody in, and is logged once.
func (f *accessFile) read() {
	if f.file == "" {
		return
	}
	info, err := os.Stat(f.file)
	if err == nil && info.ModTime().Equal(f.modified) && info.Size() == f.size {
		return
	}
	var text []byte
	f.size = -1 // look again
	f.code, f.senders = nil, ""
	if err == nil {
		text, err = os.ReadFile(f.file)
	}
	if err == nil {
		f.modified, f.size = info.ModTime(), info.Size()
		var wrongCode, wrongToken error
		f.code, wrongCode = page.HashOf(text)
		f.senders, wrongToken = ingest.TokenOf(text)
		err = errors.Join(wrongCode, wrongToken)
	}
	wrong := ""
	if err != nil {
		wrong = err.Error()
	}
	if wrong != "" && wrong != f.wrong {
		f.log.Warn().Err(err).Str("file", f.file).Msg("access file not usable")
	}
	f.wrong = wrong
}

// RenewCode makes an access code for the shop's page, writes its hash into the
// access file and returns the code: it is nowhere else. Other lines stay.
func RenewCode(file string, random io.Reader) (code string, err error) {
	if code, err = page.NewCode(random); err != nil {
		return "", err
	}
	hash, err := page.HashCode(code)
	if err != nil {
		return "", err
	}
	return code, rewrite(file, string(hash), func(line string) bool { return strings.HasPrefix(line, "$") })
}

// RenewToken makes a token for senders of documents, writes it into the access
// file and returns it. Other lines stay.
func RenewToken(file string, random io.Reader) (token string, err error) {
	var b [24]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("cannot make a token: %w", err)
	}
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, rewrite(file, token, func(line string) bool { return line != "" && !strings.ContainsAny(line[:1], "#$") })
}

const accessHead = "# Made by `ostatok access`: the line that begins with $ is the hash of the code for the page,\n" +
	"# the other one is the token with which terminals send documents.\n"

// rewrite replaces the lines of a file that are meant by one line.
func rewrite(file, line string, meant func(line string) bool) error {
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte(accessHead), nil
	}
	if err != nil {
		return fmt.Errorf("cannot change the access file: %w", err)
	}
	text := ""
	for l := range strings.Lines(string(old)) {
		if l = strings.TrimSpace(l); !meant(l) {
			text += l + "\n"
		}
	}
	return writeSecret(file, text+line+"\n")
}

// writeSecret writes a file that only its owner may read, whole or not at all.
// Root writes it for whoever owns it already, or else its folder: that is whom
// the service runs as.
func writeSecret(name, text string) error {
	f, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o600))
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	defer func() { _ = f.Cleanup() }()
	if uid, gid, ok := ownerOf(name); ok && os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.CloseAtomicallyReplace()
	}
	if err == nil {
		err = disk.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// ownerOf is who owns a file, or else the folder that it will be in.
func ownerOf(name string) (uid, gid int, ok bool) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(name))
	}
	if err != nil {
		return 0, 0, false
	}
	return owner(info)
}

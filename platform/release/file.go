package release

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

const (
	heading = "ostatok-release 1\n"
	// MaxHead is the most bytes that the lines before the program may have.
	MaxHead = 16 << 10
)

// Release is a manifest that was verified.
type Release struct {
	Manifest
	Serial int64  // of the certificate
	Head   string // the lines before the program, as they came
}

// Read reads and verifies the head of a release and leaves r's program unread.
// The error is *RefusedError when what was read is not accepted.
func Read(r *bufio.Reader, rules Rules) (*Release, error) {
	var head strings.Builder
	var lines [3]string
	for i := range lines {
		line, err := readLine(r, MaxHead-head.Len())
		if errors.Is(err, io.EOF) || errors.Is(err, errLong) || (i == 0 && err == nil && line != heading) {
			return nil, refuse(CodeMalformed, "the file is not a release, or not a whole one")
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the release: %w", err)
		}
		head.WriteString(line)
		lines[i] = strings.TrimSuffix(line, "\n")
	}
	m, serial, err := rules.verify(lines[1], lines[2])
	if err != nil {
		return nil, err
	}
	return &Release{Manifest: m, Serial: serial, Head: head.String()}, nil
}

var errLong = errors.New("line too long")

func readLine(r *bufio.Reader, most int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return "", errLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
	}
}

// Check reads the packed program to its end and returns *RefusedError when it is
// not what the manifest says: nothing may be unpacked before this.
func (r *Release) Check(packed io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(packed, r.Size+1))
	if err != nil {
		return fmt.Errorf("cannot read the release: %w", err)
	}
	switch {
	case n < r.Size:
		return refuse(CodeContent, "it is cut off: %d of %d bytes; fetch it again", n, r.Size)
	case n > r.Size:
		return refuse(CodeContent, "it is longer than the %d bytes of its manifest", r.Size)
	case !same(sum, r.SHA256):
		return refuse(CodeContent, "its content was changed or damaged; fetch it again")
	}
	return nil
}

func same(sum hash.Hash, text string) bool {
	return strings.EqualFold(hex.EncodeToString(sum.Sum(nil)), text)
}

// Unpack writes the program of a packed stream that Check accepted, and no more
// bytes than the manifest says. The digest is compared once more, since a stick
// may be changed between the two readings; what was written counts only when the
// error is nil.
func (r *Release) Unpack(w io.Writer, packed io.Reader) error {
	sum := sha256.New()
	in := io.TeeReader(io.LimitReader(packed, r.Size), sum)
	z, err := gzip.NewReader(in)
	if err != nil {
		return refuse(CodeContent, "it cannot be unpacked: %v", err)
	}
	n, err := io.Copy(w, io.LimitReader(z, r.Unpacked+1))
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(CodeContent, "it cannot be unpacked: %v", err)
	case err != nil:
		return fmt.Errorf("cannot unpack the release: %w", err)
	case !same(sum, r.SHA256):
		return refuse(CodeContent, "it changed while it was read")
	case n != r.Unpacked:
		return refuse(CodeContent, "it does not unpack to the %d bytes of its manifest", r.Unpacked)
	}
	return nil
}

// Pack writes the release of a program. It fills in Size, SHA256 and Unpacked of
// the manifest, signs it with the release key that the certificate stands for,
// and returns it as it was signed. The same input makes the same bytes.
func Pack(w io.Writer, key ed25519.PrivateKey, certificate string, m Manifest, program io.Reader) (Manifest, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return m, fmt.Errorf("cannot pack the program: %w", err)
	}
	m.Unpacked, err = io.Copy(z, program)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return m, fmt.Errorf("cannot pack the program: %w", err)
	}
	sum := sha256.Sum256(packed.Bytes())
	m.Size, m.SHA256 = int64(packed.Len()), hex.EncodeToString(sum[:])
	m.Issued, m.Expires = m.Issued.UTC(), m.Expires.UTC()
	manifest, err := sign(typeManifest, key, m)
	if err != nil {
		return m, err
	}
	head := heading + strings.TrimSpace(certificate) + "\n" + manifest + "\n"
	if len(head) > MaxHead {
		return m, errors.New("cannot pack the program: its manifest is too long")
	}
	if _, err = io.WriteString(w, head); err == nil {
		_, err = w.Write(packed.Bytes())
	}
	if err != nil {
		return m, fmt.Errorf("cannot write the release: %w", err)
	}
	return m, nil
}

package service

import (
	"os"
	"sync"
)

// ring is a log in two files of a limited size: when the first is full it
// becomes FILE.1 in the place of the one before. Writing never fails, whatever
// the disk does: a program must not end because its log cannot be written.
type ring struct {
	file string
	most int64

	mu   sync.Mutex
	open *os.File
	size int64
}

// Write implements io.Writer.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open != nil && r.size+int64(len(p)) > r.most {
		_ = r.open.Close()
		r.open = nil
		_ = os.Rename(r.file, r.file+".1")
	}
	if r.open == nil {
		// 0600: it tells of a shop's sales.
		f, err := os.OpenFile(r.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return len(p), nil
		}
		r.open, r.size = f, 0
		if info, err := f.Stat(); err == nil {
			r.size = info.Size()
		}
	}
	n, _ := r.open.Write(p)
	r.size += int64(n)
	return len(p), nil
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open != nil {
		_ = r.open.Close()
		r.open = nil
	}
}

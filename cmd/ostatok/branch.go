package main

import (
	"io"
	"sync/atomic"
)

// branch is where the log goes besides, once somebody wants it.
type branch struct{ to atomic.Pointer[io.Writer] }

func (b *branch) set(w io.Writer) { b.to.Store(&w) }

// Write implements io.Writer.
func (b *branch) Write(line []byte) (int, error) {
	if w := b.to.Load(); w != nil {
		return (*w).Write(line)
	}
	return len(line), nil
}

package sqlite

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget has the kernel forget what it keeps of a file: its memory answers for a
// card that has gone.
func forget(f *os.File) {
	// Advice only: without it more is taken for readable than is.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

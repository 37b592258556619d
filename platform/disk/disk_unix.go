//go:build unix

package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Of returns the room of the file system that holds dir.
func Of(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, fmt.Errorf("cannot tell the free space of %s: %w", dir, err)
	}
	size := uint64(s.Bsize)
	return Space{Free: uint64(s.Bavail) * size, Total: uint64(s.Blocks) * size}, nil
}

//go:build !linux

package sqlite

import "os"

// forget does nothing where the kernel cannot be told to forget.
func forget(*os.File) {}

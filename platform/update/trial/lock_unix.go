//go:build unix

package trial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrBusy says that another process holds the lock and does not let go.
var ErrBusy = errors.New("the record of versions is held by another process")

// Lock keeps the record for this process until release. The operating system
// drops it with the process, however it ends.
func Lock(root string, wait time.Duration) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(root, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot make the lock of versions: %w", err)
	}
	const pause = 20 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		if err = ErrBusy; waited >= wait {
			break
		}
		time.Sleep(pause)
	}
	_ = f.Close()
	return nil, fmt.Errorf("cannot lock the record of versions: %w", err)
}

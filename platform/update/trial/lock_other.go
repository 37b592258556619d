//go:build !unix

package trial

import (
	"errors"
	"time"
)

// ErrBusy says that another process holds the lock and does not let go.
var ErrBusy = errors.New("the record of versions is held by another process")

// Lock is not there where the launcher cannot run.
func Lock(string, time.Duration) (release func(), err error) { return nil, errors.ErrUnsupported }

package broker

import (
	"fmt"
	"sync"
)

// complaint keeps the last thing that went wrong in the broker, for the error of
// a start that failed. The rest of what the broker says is of no use here.
type complaint struct {
	mu    sync.Mutex
	text  string
	fatal bool
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" {
		return "it does not answer"
	}
	return c.text
}

// final tells whether the broker has given up.
func (c *complaint) final() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal
}

func (c *complaint) keep(format string, v []any, fatal bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text, c.fatal = fmt.Sprintf(format, v...), c.fatal || fatal
}

// Errorf is called by the broker when something fails.
func (c *complaint) Errorf(format string, v ...any) { c.keep(format, v, false) }

// Fatalf is called when the broker cannot go on.
func (c *complaint) Fatalf(format string, v ...any) { c.keep(format, v, true) }

// Noticef drops what the broker tells of its life.
func (*complaint) Noticef(string, ...any) {}

// Warnf drops warnings.
func (*complaint) Warnf(string, ...any) {}

// Debugf drops details.
func (*complaint) Debugf(string, ...any) {}

// Tracef drops details.
func (*complaint) Tracef(string, ...any) {}

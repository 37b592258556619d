package service

import (
	"os"
	"time"

	"github.com/rs/zerolog"
)

// Supervision is what Supervise does. Command is required.
type Supervision struct {
	Command []string         // the program and its arguments
	Before  []string         // run before each start; its failure is told and does not matter
	User    string           // whom both run as; "" and not root: whoever supervises
	Log     string           // file for what they print; "": where this process prints
	LogSize int64            // of that file in bytes, before it becomes the previous one; 1 MiB by default
	Environ []string         // "NAME=value"
	Signals <-chan os.Signal // passed on to the program

	Pause    time.Duration // after the first end; 1 s by default, doubled with each further one
	Longest  time.Duration // pause; 2 min by default. A run of this length begins at Pause again
	Grace    time.Duration // between the asking to end and the killing; 8 s by default
	Patience time.Duration // without a sign of life, once the program was ready; 2 min by default
	Start    time.Duration // until the program has to be ready; 15 min by default

	Tell zerolog.Logger
}

func (s *Supervision) fill() {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&s.Pause, time.Second)
	set(&s.Longest, 2*time.Minute)
	// sysv's script waits ten seconds for the end of it all.
	set(&s.Grace, 8*time.Second)
	set(&s.Patience, 2*time.Minute)
	set(&s.Start, 15*time.Minute)
	if s.LogSize <= 0 {
		s.LogSize = 1 << 20
	}
}

// next is the pause after a run, given the one before it; 0 there was none.
func (s *Supervision) next(before, ran time.Duration) time.Duration {
	if before == 0 || ran >= s.Longest {
		return s.Pause
	}
	return min(2*before, s.Longest)
}

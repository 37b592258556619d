package agent

import (
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Options are what the agent gets from the program around it.
type Options struct {
	Build     Build
	Now       func() time.Time  // the clock of the box, which may be wrong
	Transport http.RoundTripper // to the cloud and the targets; nil: by Dialer and the configuration
	Dialer    net.Dialer        // how the box opens connections and asks for names; zero: as the system does
	Location  *time.Location    // the shop's time zone; nil: that of the configuration or the box
	Log       zerolog.Logger
	Logs      Logs
	Launch    Launch
}

// Logs is the program's log as far as an operator may look at it and set it.
type Logs struct {
	SetLevel func(level string)       // nil: it cannot be set
	Tail     func(lines int) []string // the newest lines; nil: none are kept
	Keep     func(io.Writer)          // where the log goes besides, from now on; nil: nowhere
}

// Build is the program that runs.
type Build struct {
	Version string
	Commit  string
	Time    time.Time // the clock cannot be right before it
}

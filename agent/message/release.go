package message

import "strings"

// Release is where an update stands, as Status.Release tells it in one text:
// "trial 1.4.0", "staged 1.4.0: the shop is trading". The zero value is "": no
// update is under way, and the last one stayed.
type Release struct {
	State   ReleaseState
	Version string // "" while it is not known yet
	Text    string // why, for people
}

// ReleaseState is a step of an update.
type ReleaseState string

// The states.
const (
	Preparing  ReleaseState = "preparing"   // it is fetched, verified, checked
	Staged     ReleaseState = "staged"      // it waits for its time
	Switching  ReleaseState = "switching"   // the agent ends, and the version starts on trial
	OnTrial    ReleaseState = "trial"       // it runs and has not proved itself yet
	RolledBack ReleaseState = "rolled-back" // the version before it runs again
)

func (r Release) String() string {
	text := string(r.State)
	if r.Version != "" {
		text += " " + r.Version
	}
	if r.Text != "" {
		text += ": " + r.Text
	}
	return text
}

// ParseRelease reads what String wrote.
func ParseRelease(text string) Release {
	head, why, _ := strings.Cut(text, ": ")
	state, version, _ := strings.Cut(head, " ")
	return Release{ReleaseState(state), version, why}
}

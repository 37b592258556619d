//go:build unix

package main

import (
	"errors"
	"os"
	"strconv"
	"time"

	"ostatok/platform/update/trial"
)

// guardName is the name under which this program starts itself beside a version
// on trial.
const guardName = "ostatok-guard"

// watch starts the guard of a trial and returns its process id, for the agent
// to collect it by: whatever the new version does, hanging
// included, its time runs out. Without a guard the trial goes on: the count of
// starts, and the watchdog of the service manager where there is one, still end it.
func watch(c trial.Choice) string {
	self, err := os.Executable()
	var p *os.Process
	if err == nil {
		p, err = os.StartProcess(self, []string{guardName, strconv.Itoa(os.Getpid()), c.Version,
			strconv.FormatInt(c.Deadline.Milliseconds(), 10)},
			&os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{nil, nil, os.Stderr}})
	}
	if err != nil {
		say("cannot start the guard of the trial: " + err.Error())
		return ""
	}
	return strconv.Itoa(p.Pid)
}

// guard is a child of the agent. It ends with it, or when the trial ends, and
// otherwise ends both when the time is over. Its clock is the monotonic one, so
// that a box that believes to live in 1970 is judged alike.
func guard(root string, args []string) {
	if len(args) != 3 {
		return
	}
	agent, _ := strconv.Atoi(args[0])
	version := args[1]
	ms, _ := strconv.ParseInt(args[2], 10, 64)
	deadline := time.Duration(ms) * time.Millisecond
	pause := min(time.Second, deadline/8)
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(pause) {
		if os.Getppid() != agent {
			return
		}
		if r, err := trial.Read(root); err == nil && (!r.Trial || r.Version != version) {
			return
		}
	}
	reason := "it was not healthy within " + deadline.String() + " and was ended"
	err := trial.Fail(trial.Disk{}, root, version, reason)
	if _, over := errors.AsType[*trial.OverError](err); over || os.Getppid() != agent {
		return
	}
	// When the record cannot be written, by a full disk or an agent that hangs
	// while it holds the lock, ending the agent still makes the next start count.
	say("version " + version + ": " + reason)
	if err != nil {
		say(err)
	}
	if p, err := os.FindProcess(agent); err == nil {
		_ = p.Kill()
	}
}

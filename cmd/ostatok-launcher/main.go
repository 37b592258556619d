//go:build unix

// Command ostatok-launcher is what the service starts: it chooses the version of
// the agent, counts the start when that version is on trial, and becomes the
// agent by executing it, with its own arguments. The process stays the same, so
// the service manager's notifications, watchdog and signals reach the agent.
//
// The versions are under $OSTATOK_PROGRAM; platform/update/trial has the layout
// and the rules. No update ever replaces this program.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"ostatok/platform/update/trial"
)

const (
	defaultRoot  = "/var/lib/ostatok/program"
	rootVariable = "OSTATOK_PROGRAM"
)

func main() {
	root := os.Getenv(rootVariable)
	if root == "" {
		root = defaultRoot
		_ = os.Setenv(rootVariable, root) // the agent goes by it
	}
	if filepath.Base(os.Args[0]) == guardName {
		guard(root, os.Args[1:])
		return
	}
	say(launch(root))
	os.Exit(1)
}

func say(what any) { fmt.Fprintln(os.Stderr, "ostatok-launcher:", what) }

// launch returns only when nothing could be started.
func launch(root string) error {
	broken := map[string]string{}
	for {
		choice, err := trial.Next(trial.Disk{}, root, broken, nil)
		if err != nil {
			return err
		}
		if choice.Note != "" {
			say(choice.Note)
		}
		environ := os.Environ()
		if choice.Deadline > 0 {
			environ = append(environ, trial.GuardVariable+"="+watch(choice))
		}
		err = syscall.Exec(choice.Program, append([]string{choice.Program}, os.Args[1:]...), environ)
		broken[choice.Version] = "cannot execute it: " + err.Error()
	}
}

package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Report is how a service is, as its service manager tells.
type Report struct {
	Manager string // systemd, openrc, sysv; "" when none knows the service
	State   State
	Boot    bool // it starts with the system
}

// Look asks every service manager of this system for the service. Unlike Open it
// has to know nothing about how it was installed, and a package may have put it
// anywhere.
func Look(ctx context.Context) Report {
	for _, look := range []func(context.Context) (Report, bool){lookSystemd, lookOpenRC, lookSysv} {
		if r, ok := look(ctx); ok {
			return r
		}
	}
	return Report{State: Absent}
}

// ask runs a program and returns what it printed and its exit code, -1 when there
// is no such program.
func ask(ctx context.Context, program string, args ...string) (string, int) {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	text := strings.TrimSpace(string(out))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return text, exit.ExitCode()
	}
	if err != nil {
		return "", -1
	}
	return text, 0
}

func lookSystemd(ctx context.Context) (Report, bool) {
	r := Report{Manager: "systemd", State: Stopped}
	enabled, code := ask(ctx, "systemctl", "is-enabled", Name+".service")
	if r.Boot = code == 0; !r.Boot && enabled != "disabled" && enabled != "masked" {
		return Report{}, false
	}
	switch active, _ := ask(ctx, "systemctl", "is-active", Name+".service"); active {
	case "active", "activating", "reloading", "deactivating":
		r.State = Running
	case "failed":
		r.State = Failed
	}
	return r, true
}

func lookOpenRC(ctx context.Context) (Report, bool) {
	if _, code := ask(ctx, "rc-service", "--exists", Name); code != 0 {
		return Report{}, false
	}
	r := Report{Manager: "openrc", State: Stopped}
	levels, _ := ask(ctx, "rc-update", "show")
	for line := range strings.Lines(levels) {
		name, at, ok := strings.Cut(line, "|")
		r.Boot = r.Boot || ok && strings.TrimSpace(name) == Name && strings.TrimSpace(at) != ""
	}
	const crashed = 32
	switch _, code := ask(ctx, "rc-service", Name, "status"); code {
	case 0:
		r.State = Running
	case crashed:
		r.State = Failed
	}
	return r, true
}

func lookSysv(ctx context.Context) (Report, bool) {
	script := "/etc/init.d/" + Name
	if _, err := os.Stat(script); err != nil {
		return Report{}, false
	}
	r := Report{Manager: "sysv", State: Stopped}
	links, _ := filepath.Glob("/etc/rc?.d/S??" + Name) // the pattern is a good one
	r.Boot = len(links) > 0
	if _, code := ask(ctx, script, "status"); code == 0 {
		r.State = Running
	}
	return r, true
}

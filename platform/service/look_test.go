package service

import (
	"os"
	"path/filepath"
	"testing"
)

// What service managers answer, and what is understood.
func TestLook(t *testing.T) {
	for name, tc := range map[string]struct {
		programs map[string]string
		want     Report
	}{
		"none": {nil, Report{State: Absent}},
		"systemd, running": {map[string]string{"systemctl": `case $1 in is-enabled) echo enabled;; is-active) echo active;; esac`},
			Report{"systemd", Running, true}},
		"systemd, starting again and again": {map[string]string{"systemctl": `case $1 in is-enabled) echo enabled;; is-active) echo failed; exit 3;; esac`},
			Report{"systemd", Failed, true}},
		"systemd, disabled": {map[string]string{"systemctl": `case $1 in is-enabled) echo disabled; exit 1;; is-active) echo inactive; exit 3;; esac`},
			Report{"systemd", Stopped, false}},
		"systemd without it": {map[string]string{"systemctl": `echo not-found; exit 4`}, Report{State: Absent}},
		"openrc, running": {map[string]string{"rc-update": `echo "  ostatok | default"`, "rc-service": `exit 0`},
			Report{"openrc", Running, true}},
		"openrc, crashed and not in a run level": {map[string]string{"rc-update": `echo "  crond | default"`, "rc-service": `case $2 in status) exit 32;; esac`},
			Report{"openrc", Failed, false}},
		"openrc without it": {map[string]string{"rc-update": ``, "rc-service": `exit 1`}, Report{State: Absent}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/etc/init.d/" + Name); err == nil {
				t.Skip("this machine has the service")
			}
			dir := t.TempDir()
			for program, script := range tc.programs {
				if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			if got := Look(t.Context()); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

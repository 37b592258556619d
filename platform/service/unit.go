package service

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Secrets is the directory beside the configuration for secrets that belong to
// root alone. systemd hands them to the service, each as
// $CREDENTIALS_DIRECTORY/secret_NAME.
const (
	Secrets    = "secrets"
	credential = "secret"
)

// Versions of systemd from which a setting is understood.
const (
	withCredentials = 250 // LoadCredential of a directory
	withSteps       = 254 // RestartSteps
)

// unit is the systemd unit, for that version of systemd. It is the finished text:
// it holds no action of the library's template engine, whose escaping leaves
// systemd's own % and $ as they are.
func (o Options) unit(systemd int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# Written by `%s install` and renewed by `install --force`.", Name)
	line("# Settings of your own belong into a file in %s.service.d.", Name)
	line("[Unit]")
	line("Description=%s", description)
	line("# Not network-online.target: the shop is served without a network too.")
	line("After=network.target nss-lookup.target time-sync.target")
	line("# However often it fails, it is started again: nobody is there to do it.")
	line("StartLimitIntervalSec=0")
	line("")
	line("[Service]")
	line("Type=notify")
	if o.Launcher != "" {
		if o.Data != DefaultData {
			line("Environment=%s", words(ProgramVariable+"="+filepath.Join(o.Data, "program")))
		}
		line("# Offers the program of the package to the launcher; what runs may be newer.")
		line("ExecStartPre=-%s", command(o.Program, "seed"))
		line("ExecStart=%s", command(o.Launcher, "run", "--config", o.Config))
	} else {
		line("ExecStart=%s", command(o.Program, "run", "--config", o.Config))
	}
	line("Restart=always")
	if systemd >= withSteps {
		line("# Quick at first, then once in two minutes.")
		line("RestartSec=2")
		line("RestartSteps=6")
		line("RestartMaxDelaySec=2min")
	} else {
		line("# At most 12 starts a minute.")
		line("RestartSec=5")
	}
	line("# Files of a year are checked before the agent says that it is ready.")
	line("TimeoutStartSec=15min")
	line("TimeoutStopSec=20s")
	line("# An agent that hangs prints where (SIGABRT) and is started again.")
	line("WatchdogSec=2min")
	line("KillMode=mixed")
	line("MemoryHigh=96M")
	line("MemoryMax=160M")
	line("")
	line("User=%s", o.User)
	line("Group=%s", o.User)
	line("UMask=0077")
	if state, ok := strings.CutPrefix(o.Data, "/var/lib/"); ok {
		line("StateDirectory=%s", words(state))
		line("StateDirectoryMode=0700")
	} else {
		line("ReadWritePaths=%s", words(o.Data))
	}
	if o.ownDir() {
		line("# The setup page writes the first configuration.")
		line("ReadWritePaths=%s", words("-"+filepath.Dir(o.Config)))
	}
	if systemd >= withCredentials && filepath.Dir(o.Config) == "/etc/"+Name {
		line("# Makes the directory if it is gone (as the service's user's): without it there")
		line("# would be no start. `install --force` gives it back to root.")
		line("ConfigurationDirectory=%s/%s", Name, Secrets)
		line("ConfigurationDirectoryMode=0700")
		line("LoadCredential=%s:/etc/%s/%s", credential, Name, Secrets)
	}
	line("NoNewPrivileges=yes")
	line("CapabilityBoundingSet=")
	line("ProtectSystem=strict")
	if inHome(o.Data) || inHome(o.Config) || inHome(o.Program) {
		line("ProtectHome=read-only")
	} else {
		line("ProtectHome=yes")
	}
	b.WriteString(hardening)
	line("")
	line("[Install]")
	line("WantedBy=multi-user.target")
	return b.String()
}

// hardening takes from the process what it has no use for. The addresses of the
// box are asked over AF_NETLINK; writable memory is never executed.
const hardening = `PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`

// ownDir tells whether the configuration has a directory of the agent's own.
func (o Options) ownDir() bool { return filepath.Base(filepath.Dir(o.Config)) == Name }

func inHome(path string) bool {
	for _, home := range []string{"/home/", "/root/", "/run/user/"} {
		if strings.HasPrefix(path, home) {
			return true
		}
	}
	return false
}

// plain doubles the sign that systemd puts names in for.
var plain = strings.NewReplacer("%", "%%")

// command writes a command as systemd reads it: as words, and without names of
// variables in it.
func command(list ...string) string { return strings.ReplaceAll(words(list...), "$", "$$") }

// words writes words as systemd reads them: quoted where there is a space.
func words(list ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	out := make([]string, len(list))
	for i, w := range list {
		w = plain.Replace(escape.Replace(w))
		if strings.ContainsAny(w, " \t'\";") || w == "" {
			w = `"` + w + `"`
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}

// Package service makes the agent a service of the operating system: systemd with
// a unit of our own, OpenRC and sysv with the library's scripts and Supervise.
// Notifier is the other direction, how the agent tells the service manager that
// it is alive.
package service

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	kardianos "github.com/kardianos/service"
)

// Name of the service, and of its user when none other is wanted.
const Name = "ostatok"

// Where things are when nothing else is said.
const (
	DefaultData   = "/var/lib/ostatok"
	DefaultLog    = "/var/log/ostatok-run.log"
	LauncherPlace = "../lib/ostatok/ostatok-launcher" // from the program's directory
)

// ProgramVariable tells the launcher, and `seed`, where the versions are; without
// it they are in DefaultData/program.
const ProgramVariable = "OSTATOK_PROGRAM"

const description = "Stock of a shop with Evotor terminals (ostatok)"

// Options say what is installed. All paths are absolute.
type Options struct {
	Program  string // the program that the package brought
	Launcher string // starts the current version; "" when there is none, then Program is started
	Config   string
	Data     string // the agent's own directory
	User     string // whom it runs as
	Log      string // file for what the agent prints, where the system keeps no journal
}

// State of the service.
type State string

// The states.
const (
	Absent  State = "not installed"
	Running State = "running"
	Stopped State = "stopped"
	Failed  State = "failed"
)

// ErrInstalled says that there is a service already.
var ErrInstalled = errors.New("the service is installed already; `install --force` renews it")

// Service is the agent as the service manager of this system knows it.
type Service struct {
	o       Options
	system  system
	library kardianos.Service
}

// system is what a service manager calls itself in the library.
type system string

const (
	systemd system = "linux-systemd"
	sysv    system = "unix-systemv"
)

// Open finds the service manager of this system. It changes nothing.
func Open(o Options) (*Service, error) {
	s := &Service{o: o, system: boots()}
	c := &kardianos.Config{Name: Name, DisplayName: Name, Description: description, UserName: o.User}
	if s.system == systemd {
		c.Executable, c.Arguments = o.start(), []string{"run", "--config", o.Config}
		c.Option = kardianos.KeyValue{"SystemdScript": o.unit(systemdVersion())}
	} else {
		// What restarts, limits the log and gives up root's rights there is Supervise.
		c.Executable = o.Program
		c.Arguments = []string{"supervise", "--config", o.Config, "--user", o.User, "--log", o.Log}
		if o.Launcher != "" {
			c.Arguments = append(c.Arguments, "--launcher", o.Launcher)
			if o.Data != DefaultData {
				c.Arguments = append(c.Arguments, "--versions", filepath.Join(o.Data, "program"))
			}
		}
	}
	var err error
	if s.library, err = s.system.open(c); err != nil {
		return nil, fmt.Errorf("cannot find the service manager of this system: %w; let your own one start `%s run`", err, o.Program)
	}
	return s, nil
}

// boots returns the service manager of this system: the one that runs, or systemd
// where it will run, in the image of a box that is being made.
func boots() system {
	if to, err := filepath.EvalSymlinks("/sbin/init"); err == nil && filepath.Base(to) == "systemd" {
		return systemd
	}
	return system(kardianos.Platform())
}

func (s system) open(c *kardianos.Config) (kardianos.Service, error) {
	for _, known := range kardianos.AvailableSystems() {
		if known.String() == string(s) {
			return known.New(nothing{}, c)
		}
	}
	return nil, kardianos.ErrNoServiceSystemDetected
}

// start is the program that the service manager starts.
func (o Options) start() string {
	if o.Launcher != "" {
		return o.Launcher
	}
	return o.Program
}

// Manager is the name of the service manager.
func (s *Service) Manager() string {
	_, name, _ := strings.Cut(string(s.system), "-")
	return name
}

// Install makes the user, the directories and the service, and lets the service
// start with the system. One that is there is ErrInstalled without force, and
// with force it is renewed; one that runs goes on as it is until its next start.
func (s *Service) Install(force bool) error {
	file := s.file()
	_, err := os.Stat(file)
	there := err == nil
	if there && !force {
		return ErrInstalled
	}
	if err := prepare(s.o); err != nil {
		return err
	}
	if there && s.system == systemd {
		return s.renew(file)
	}
	if there {
		// The library makes a script only where there is none.
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("cannot renew the service: %w", err)
		}
	}
	if err := s.library.Install(); err != nil {
		return fmt.Errorf("cannot install the service in %s: %w", s.Manager(), err)
	}
	return nil
}

// renew puts the unit in the place of the one that is there, in one step: a box
// that loses power meanwhile still has one of them.
func (s *Service) renew(file string) error {
	if err := replace(file, []byte(s.o.unit(systemdVersion()))); err != nil {
		return fmt.Errorf("cannot renew the service: %w", err)
	}
	if err := systemctl("daemon-reload"); err != nil {
		return err
	}
	return systemctl("enable", Name+".service")
}

// Uninstall stops the service and removes it; nothing to remove is no error. Data
// and configuration stay, unless purge is set: then they go, and the user too.
func (s *Service) Uninstall(purge bool) error {
	if _, err := os.Stat(s.file()); err == nil {
		if state, err := s.State(); err == nil && state == Running {
			if err := s.Stop(); err != nil {
				return err
			}
		}
		if err := s.library.Uninstall(); err != nil {
			return fmt.Errorf("cannot remove the service from %s: %w", s.Manager(), err)
		}
		s.removeLinks()
	}
	if purge {
		return remove(s.o)
	}
	return nil
}

// removeLinks takes away the links of sysv's run levels, which the library
// leaves behind.
func (s *Service) removeLinks() {
	if s.system != sysv {
		return
	}
	links, _ := filepath.Glob("/etc/rc?.d/[SK]??" + Name) // the pattern is a good one
	for _, l := range links {
		_ = os.Remove(l) // a link to nothing harms nobody
	}
}

// Start starts the service. Under systemd it returns when the agent is ready.
func (s *Service) Start() error { return s.do("start", s.library.Start) }

// Stop stops the service and waits until it has ended.
func (s *Service) Stop() error { return s.do("stop", s.library.Stop) }

// Restart stops the service if it runs, and starts it.
func (s *Service) Restart() error { return s.do("restart", s.library.Restart) }

func (s *Service) do(what string, act func() error) error {
	if _, err := os.Stat(s.file()); err != nil {
		return fmt.Errorf("cannot %s the service: it is not installed; run `%s install`", what, Name)
	}
	if err := act(); err != nil {
		do := "see " + s.o.Log
		if s.system == systemd {
			do = "see `journalctl -u " + Name + "`"
		}
		return fmt.Errorf("cannot %s the service: %w; %s", what, err, do)
	}
	return nil
}

// State asks the service manager how the service is.
func (s *Service) State() (State, error) {
	if _, err := os.Stat(s.file()); err != nil {
		return Absent, nil
	}
	switch state, err := s.library.Status(); {
	case errors.Is(err, kardianos.ErrNotInstalled):
		return Absent, nil
	case err == nil && state == kardianos.StatusRunning:
		return Running, nil
	case err == nil && state == kardianos.StatusStopped:
		return Stopped, nil
	case s.system == systemd: // the library says so of a unit that ended with an error
		return Failed, nil
	case s.system == sysv: // its script ends with 1 when the service does not run
		return Stopped, nil
	default:
		return "", fmt.Errorf("cannot ask %s about the service: %w", s.Manager(), err)
	}
}

// file is where the service manager keeps the service.
func (s *Service) file() string {
	switch s.system {
	case systemd:
		return "/etc/systemd/system/" + Name + ".service"
	case "linux-upstart":
		return "/etc/init/" + Name + ".conf"
	}
	return "/etc/init.d/" + Name
}

func systemctl(args ...string) error {
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot `systemctl %s`: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// systemdVersion is 0 when it cannot be asked: then only what every version
// understands is used.
func systemdVersion() int {
	out, err := exec.Command("systemctl", "--version").Output()
	if err != nil {
		return 0
	}
	return parseVersion(string(out))
}

var versionLine = regexp.MustCompile(`^systemd ([0-9]+)`)

func parseVersion(text string) int {
	m := versionLine.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// nothing is what the library would run; the agent runs without it.
type nothing struct{}

func (nothing) Start(kardianos.Service) error { return nil }
func (nothing) Stop(kardianos.Service) error  { return nil }

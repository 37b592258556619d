package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/platform/release"
	"ostatok/platform/service"
	updates "ostatok/platform/update"
	"ostatok/platform/update/trial"
)

// serviceCommands make the agent a service of the system and steer it.
func (a *app) serviceCommands() []*cobra.Command {
	simple := func(use, short string, act func(*service.Service) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: arguments(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
			s, err := a.service(service.Name)
			if err != nil {
				return err
			}
			return act(s)
		}}
	}
	return []*cobra.Command{
		a.installCommand(), a.uninstallCommand(),
		simple("start", "Start the service", (*service.Service).Start),
		simple("stop", "Stop the service until the system starts again", (*service.Service).Stop),
		simple("restart", "Stop the service and start it", (*service.Service).Restart),
		a.superviseCommand(), a.seedCommand(),
	}
}

func (a *app) installCommand() *cobra.Command {
	var force, later bool
	var user string
	c := &cobra.Command{
		Use:   "install",
		Short: "Make the agent a service that is there after every reboot",
		Long: "Makes the user, the directories and the service, and starts it, unless there is a configuration that is not complete.\n" +
			"Without a configuration the agent serves the page that makes one. Needs root.",
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if _, err := a.dataDir(); err != nil { // a guess would stay in the unit
				return err
			}
			s, err := a.service(user)
			if err != nil {
				return err
			}
			if err := s.Install(force); err != nil {
				return err
			}
			a.say("installed as a service of %s; it starts with the system", s.Manager())
			if later {
				return nil
			}
			if !a.configured() {
				a.say("next: make the configuration at http://%s; the log of the service has the access code",
					config.Default().Local.Listen)
			} else if _, err := config.Load(a.file, a.environ); err != nil {
				a.say("next: fill in %s until `%s config check` is content, then `%s start`", a.file, service.Name, service.Name)
				return nil
			}
			return s.Restart() // one that runs may have begun with another configuration
		},
	}
	c.Flags().BoolVar(&force, "force", false, "renew a service that is installed already")
	c.Flags().BoolVar(&later, "no-start", false, "leave starting it to others")
	c.Flags().StringVar(&user, "user", service.Name, "whom the agent runs as; made when there is none")
	return c
}

func (a *app) uninstallCommand() *cobra.Command {
	var purge bool
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the service and remove it; the data stays",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.service(service.Name)
			if err != nil {
				return err
			}
			data, err := a.dataDir()
			if err != nil && purge {
				return err
			}
			if err := s.Uninstall(purge); err != nil {
				return err
			}
			if purge {
				a.say("removed, with all data and the configuration")
			} else {
				a.say("removed; the data stays in %s, with its owner, and the configuration in %s", data, a.file)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&purge, "purge", false, "remove the data, the configuration and the user too: nothing brings back what was in the outbox")
	return c
}

// superviseCommand is for systems whose init does not restart what ends.
func (a *app) superviseCommand() *cobra.Command {
	var user, launcher, versions, log string
	c := &cobra.Command{
		Use:   "supervise",
		Short: "Run the agent and start it again whenever it ends or hangs",
		Long:  "Does for the agent what systemd does, on systems without it: restarts with growing pauses, a watchdog, a log\nof limited size, no rights of root.",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("cannot find this program: %w", err)
			}
			file, err := filepath.Abs(a.file) // it is not read here: a mistake in it is the agent's to tell
			if err != nil {
				return err
			}
			// The terminal from which the service was started may go.
			signal.Ignore(syscall.SIGHUP)
			signals := make(chan os.Signal, 4)
			signal.Notify(signals, syscall.SIGQUIT)
			defer signal.Stop(signals)
			s := service.Supervision{
				Command: []string{program, "run", "--config", file}, User: user, Log: log, Signals: signals,
				Environ: a.environ, Tell: zerolog.New(a.err).With().Timestamp().Logger(),
			}
			if launcher != "" {
				s.Command[0] = launcher
				s.Before = []string{program, "seed"}
				if versions != "" {
					s.Environ = append(s.Environ, service.ProgramVariable+"="+versions)
				}
			}
			return service.Supervise(cmd.Context(), s)
		},
	}
	c.Flags().StringVar(&user, "user", "", "whom the agent runs as; you, when empty")
	c.Flags().StringVar(&launcher, "launcher", "", "the program that starts the current version")
	c.Flags().StringVar(&versions, "versions", "", "the launcher's directory of versions, when it is not its own")
	c.Flags().StringVar(&log, "log", "", "the file for what the agent prints; where this prints, when empty")
	return c
}

// seedCommand offers this program to the launcher. The service runs it as its own
// user before each start: root has no business in the agent's directory.
func (a *app) seedCommand() *cobra.Command {
	return &cobra.Command{
		Use: "seed", Short: "Make this program the one that the launcher starts, unless it has a newer one",
		Args: arguments(cobra.NoArgs), Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("cannot find this program: %w", err)
			}
			root := a.variable(service.ProgramVariable)
			if root == "" {
				root = filepath.Join(service.DefaultData, "program")
			}
			if err := os.MkdirAll(root, 0o755); err != nil {
				return fmt.Errorf("cannot make the directory of versions: %w", err)
			}
			return updates.Seed(trial.Disk{}, root, program, a.build.Version, agent.SchemaLevel)
		},
	}
}

func (a *app) variable(name string) string {
	value := ""
	for _, e := range a.environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// service is the agent as the system's service manager knows it, or would.
func (a *app) service(user string) (*service.Service, error) {
	o, err := a.serviceOptions(user)
	if err != nil {
		return nil, err
	}
	return service.Open(o)
}

func (a *app) serviceOptions(user string) (o service.Options, err error) {
	o = service.Options{User: user, Log: service.DefaultLog}
	if o.Program, err = os.Executable(); err == nil {
		o.Program, err = filepath.EvalSymlinks(o.Program)
	}
	if err != nil {
		return o, fmt.Errorf("cannot find this program: %w", err)
	}
	if o.Config, err = filepath.Abs(a.file); err != nil {
		return o, err
	}
	// Stopping and removing must not depend on a good configuration; what does
	// depend on it asks first.
	if o.Data, err = a.dataDir(); err != nil {
		o.Data = service.DefaultData
	}
	// A build without a version cannot take its place among versions.
	launcher := filepath.Join(filepath.Dir(o.Program), service.LauncherPlace)
	if info, err := os.Stat(launcher); err == nil && info.Mode().IsRegular() && release.ValidVersion(a.build.Version) {
		o.Launcher = launcher
	}
	return o, nil
}

// dataDir is the agent's directory, also by a configuration that is not complete
// yet.
func (a *app) dataDir() (string, error) {
	file := struct {
		DataDir string `toml:"data_dir"`
	}{config.Default().DataDir}
	if text, err := os.ReadFile(a.file); err == nil {
		if err := toml.Unmarshal(text, &file); err != nil {
			return "", usage("cannot read %s: %v; see `%s config check`", a.file, err, service.Name)
		}
	}
	if v := a.variable("OSTATOK_DATA_DIR"); v != "" {
		return "", usage("OSTATOK_DATA_DIR is only in your environment: write data_dir = %q into %s, the service reads it there", v, a.file)
	}
	return filepath.Abs(file.DataDir)
}

// serviceWords is the state of the service in a line for people.
func (a *app) serviceWords() string {
	s, err := a.service(service.Name)
	if err != nil {
		return err.Error()
	}
	state, err := s.State()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s (%s)", state, s.Manager())
}

package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Supervise runs a program and starts it again whenever it ends or hangs, until
// ctx ends; then it asks the program to end, kills it after the grace, and
// returns nil. There is one child at a time, and none is left behind: its whole
// process group goes, also when this process is killed.
//
// It is for systems whose init does none of that. The program is told a socket
// for its signs of life as systemd would tell it.
func Supervise(ctx context.Context, s Supervision) error {
	s.fill()
	// The kernel ties the child's life to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	who, err := owner(s.User)
	if err != nil {
		return err
	}
	out := io.Writer(os.Stderr)
	if s.Log != "" {
		r := &ring{file: s.Log, most: s.LogSize}
		defer r.close()
		out = r
		s.Tell = s.Tell.Output(r)
	}
	environ := append(without(s.Environ, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
		"NOTIFY_SOCKET="+address(), "WATCHDOG_USEC="+strconv.FormatInt(s.Patience.Microseconds(), 10))

	command := func(args []string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environ, out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true, Pdeathsig: syscall.SIGTERM}
		// What the program left running may keep its output open.
		cmd.WaitDelay = time.Second
		return cmd
	}
	for pause := time.Duration(0); ; {
		if len(s.Before) > 0 {
			s.before(ctx, command(s.Before))
		}
		if ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		why := s.run(ctx, command(s.Command))
		if ctx.Err() != nil {
			return nil
		}
		pause = s.next(pause, time.Since(began))
		s.Tell.Warn().Str("reason", why).Dur("again_in", pause).Msg("agent ended")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// before runs what comes before a start, and not for ever.
func (s *Supervision) before(ctx context.Context, cmd *exec.Cmd) {
	err := cmd.Start()
	if err == nil {
		stop := context.AfterFunc(ctx, func() { end(cmd, syscall.SIGKILL) })
		late := time.AfterFunc(s.Start, func() { end(cmd, syscall.SIGKILL) })
		err = cmd.Wait()
		stop()
		late.Stop()
	}
	if err != nil && ctx.Err() == nil {
		s.Tell.Warn().Err(err).Strs("command", s.Before).Msg("step before the start failed")
	}
}

// run runs the program once and returns why it ended.
func (s *Supervision) run(ctx context.Context, cmd *exec.Cmd) string {
	signs, err := listen()
	if err != nil {
		return err.Error()
	}
	defer signs.close()
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Whatever the way out, what the program has started goes with it.
	defer end(cmd, syscall.SIGKILL)

	life := time.NewTimer(s.Start)
	defer life.Stop()
	why, ready := "", false
	asked := ctx.Done()
	for {
		select {
		case err := <-ended:
			if why == "" {
				why = "it ended with " + result(cmd, err)
			}
			return why
		case lines := <-signs.lines:
			now := strings.Contains(lines, "READY=1")
			ready = ready || now
			if why == "" && (now || ready && strings.Contains(lines, "WATCHDOG=1")) {
				life.Reset(s.Patience)
			}
		case sig := <-s.Signals:
			_ = cmd.Process.Signal(sig) // it may have ended just now
		case <-asked:
			asked, why = nil, "it was asked to"
			_ = cmd.Process.Signal(syscall.SIGTERM)
			life.Reset(s.Grace)
		case <-life.C:
			if why != "" { // it had its grace
				end(cmd, syscall.SIGKILL)
				continue
			}
			why = "it gave no sign of life in time"
			// A Go program prints where it hangs.
			_ = cmd.Process.Signal(syscall.SIGABRT)
			life.Reset(s.Grace)
		}
	}
}

func result(cmd *exec.Cmd, err error) string {
	if cmd.ProcessState == nil {
		return err.Error()
	}
	return cmd.ProcessState.String()
}

// end signals the program and all that it has started.
func end(cmd *exec.Cmd, sig syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, sig) // none may be left
}

// owner returns whom the program runs as; nil is whoever supervises.
func owner(name string) (*syscall.Credential, error) {
	if name == "" || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: %w; run `%s install`", name, err, Name)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func without(environ []string, names ...string) []string {
	var out []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		keep := true
		for _, n := range names {
			keep = keep && n != name
		}
		if keep {
			out = append(out, e)
		}
	}
	return out
}

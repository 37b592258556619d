package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// ErrRoot says that only root may do this.
var ErrRoot = errors.New("only root can do this; run it with sudo")

// prepare makes the user and the directories, and gives the directories and the
// configuration their modes.
func prepare(o Options) error {
	if os.Geteuid() != 0 {
		return ErrRoot
	}
	for _, p := range []string{o.Program, o.Data, o.Config} {
		if strings.HasPrefix(p, "/tmp/") || strings.HasPrefix(p, "/var/tmp/") {
			return fmt.Errorf("cannot install with %s: the service has a /tmp of its own; put it elsewhere first", p)
		}
	}
	uid, gid, err := makeUser(o.User, o.Data)
	if err != nil {
		return err
	}
	if err := prepareData(o.Data, uid, gid); err != nil {
		return err
	}
	return prepareConfig(o, gid)
}

// prepareData makes the agent's directory. When it belonged to somebody else,
// like the user of an earlier installation, its content is handed over too.
func prepareData(dir string, uid, gid int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the agent's directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at the agent's directory: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != uid {
		err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, uid, gid)
		})
	}
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("cannot give %s to the service's user: %w", dir, err)
	}
	return nil
}

// prepareConfig gives the configuration's directory to root, and lets the
// service's user read there and add files: the setup page writes the first
// configuration. The sticky bit keeps that user from replacing what is root's.
// Secrets stay as they are.
func prepareConfig(o Options, gid int) error {
	dir := filepath.Dir(o.Config)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory of the configuration: %w", err)
	}
	if o.ownDir() { // /etc itself must stay as it is
		secrets := filepath.Join(dir, Secrets)
		err := errors.Join(os.Lchown(dir, 0, gid), os.Chmod(dir, 0o770|fs.ModeSticky), os.MkdirAll(secrets, 0o700),
			os.Lchown(secrets, 0, 0), os.Chmod(secrets, 0o700))
		if err != nil {
			return fmt.Errorf("cannot set the mode of %s: %w", dir, err)
		}
	}
	info, err := os.Lstat(o.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() && info.Sys().(*syscall.Stat_t).Uid == 0 {
		err = errors.Join(os.Lchown(o.Config, 0, gid), os.Chmod(o.Config, 0o640))
	}
	if err != nil {
		return fmt.Errorf("cannot set the mode of %s: %w", o.Config, err)
	}
	return nil
}

// makeUser returns the ids of the user, who is made when there is none.
func makeUser(name, home string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		if err = addUser(name, home); err == nil {
			u, err = user.Lookup(name)
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot make the user %s: %w", name, err)
	}
	uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// addUser knows the two kinds of tools there are: those of most distributions,
// and BusyBox'.
func addUser(name, home string) error {
	if _, err := exec.LookPath("useradd"); err == nil {
		return run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", nologin(), name)
	}
	// The group may be left from an earlier time; adduser tells if there is none.
	_ = run("addgroup", "-S", name)
	return run("adduser", "-S", "-D", "-H", "-h", home, "-s", nologin(), "-G", name, name)
}

func nologin() string {
	for _, shell := range []string{"/usr/sbin/nologin", "/sbin/nologin"} {
		if _, err := os.Stat(shell); err == nil {
			return shell
		}
	}
	return "/bin/false"
}

// remove takes away the data, the configuration and the user.
func remove(o Options) error {
	if os.Geteuid() != 0 {
		return ErrRoot
	}
	// The library's scripts for other systems than systemd write the last two.
	gone := []string{o.Data, o.Config, o.Log, o.Log + ".1", "/var/log/" + Name + ".log", "/var/log/" + Name + ".err"}
	if o.ownDir() {
		gone = append(gone, filepath.Dir(o.Config))
	}
	var errs []error
	for _, path := range gone {
		if filepath.IsAbs(path) && filepath.Dir(path) != "/" { // never a directory of the system
			errs = append(errs, os.RemoveAll(path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot remove the data: %w", err)
	}
	if _, err := user.Lookup(o.User); err != nil || o.User != Name {
		return nil // a user with another name was there before us
	}
	tool := "userdel"
	if _, err := exec.LookPath(tool); err != nil {
		tool = "deluser"
	}
	if err := run(tool, o.User); err != nil {
		return fmt.Errorf("cannot remove the user: %w", err)
	}
	return nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// replace puts text in the place of a file in one step.
func replace(file string, text []byte) error {
	return renameio.WriteFile(file, text, 0o644, renameio.WithStaticPermissions(0o644))
}

// ActAs gives up root's rights for those of the owner of dir. A command that root
// runs must not leave files there that the service cannot open afterwards. It
// does nothing for others than root, and where the directory is root's own or is
// not there.
func ActAs(dir string) error {
	info, err := os.Stat(dir)
	if os.Geteuid() != 0 || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	err = syscall.Setgroups(nil)
	if err == nil {
		err = syscall.Setgid(int(owner.Gid))
	}
	if err == nil {
		err = syscall.Setuid(int(owner.Uid))
	}
	if err != nil {
		return fmt.Errorf("cannot act as the owner of %s: %w", dir, err)
	}
	return nil
}

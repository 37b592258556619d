package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/platform/clock"
	"ostatok/platform/disk"
	"ostatok/platform/lock"
	"ostatok/platform/service"
	"ostatok/sync/rest"
)

// Doctor looks at everything that the agent needs, and changes nothing. Each
// check stands for itself: a box without a network still has its clock, disk and
// files looked at.
type Doctor struct {
	Config  *config.Config
	Options Options

	// AsOwner has root go on as the owner of the data directory, for good, once the
	// network has been looked at: only so it sees the files as the service does.
	// Until then it needs root's eyes, for secrets that the service manager hands
	// over.
	AsOwner bool
}

// eachCheck is the time that one check of the network may take.
const eachCheck = 10 * time.Second

// Check runs all checks, in the order in which a failure explains those after it.
func (d *Doctor) Check(ctx context.Context) []local.Check {
	n := wayOut(d.Config, d.Options)
	if d.Options.Transport == nil {
		pool := rest.NewTransport(n.DialContext)
		defer pool.CloseIdleConnections()
		d.Options.Transport = pool
	}
	before := slices.Concat(d.checkConfig(), []local.Check{d.checkClock(), d.checkZone()})
	network := slices.Concat(d.checkCloud(ctx, n), d.checkTargets(ctx), d.checkBroker(ctx, n), []local.Check{d.checkService(ctx)})
	if err := d.actAsOwner(); err != nil {
		before = append(before, local.Check{Name: "data_dir", Status: local.Failed, Message: err.Error(), Do: "see who owns it"})
	}
	return slices.Concat(before, []local.Check{d.checkDir(), d.checkDisk()}, d.checkFiles(ctx), network)
}

func (d *Doctor) actAsOwner() error {
	if !d.AsOwner {
		return nil
	}
	return service.ActAs(d.Config.DataDir)
}

func (d *Doctor) checkConfig() []local.Check {
	checks := []local.Check{{Name: "config", Status: local.OK, Message: d.Config.File + " is valid"}}
	for _, w := range d.Config.Warnings {
		checks = append(checks, local.Check{Name: "config", Status: local.Warning, Message: w.Key + ": " + w.Message, Do: w.Do})
	}
	if d.Config.Stock.CloudQuantity == "trust" {
		checks = append(checks, local.Check{Name: "config", Status: local.Warning,
			Message: `stock.cloud_quantity = "trust" is not supported yet and works as "observe"`, Do: `write "observe"`})
	}
	files := d.Config.SecretFiles()
	keys := make([]string, 0, len(files))
	for key := range files {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		checks = append(checks, checkSecret(key, files[key]))
	}
	return checks
}

func checkSecret(key, file string) local.Check {
	c := local.Check{Name: "secrets", Status: local.OK, Message: file + " is private"}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		c.Status, c.Message, c.Do = local.Failed, fmt.Sprintf("%s: cannot look at %s: %v", key, file, err), "write the secret there, with mode 0600"
	case info.Mode().Perm()&0o077 != 0:
		c.Status, c.Message = local.Warning, fmt.Sprintf("%s can be read by others (mode %04o)", file, info.Mode().Perm())
		c.Do = "run chmod 600 " + file
	}
	return c
}

func (d *Doctor) checkClock() local.Check {
	now := d.Options.Now()
	if err := clock.Trusted(now, d.Options.Build.Time, time.Time{}); err != nil {
		return local.Check{Name: "clock", Status: local.Failed, Message: err.Error(),
			Do: "set the clock, and let the box ask a time server (timedatectl set-ntp true)"}
	}
	return local.Check{Name: "clock", Status: local.OK, Message: now.UTC().Format(time.RFC3339)}
}

// checkZone looks whether the hours of full runs and windows are the shop's.
func (d *Doctor) checkZone() local.Check {
	l, err := location(d.Config, d.Options)
	c := local.Check{Name: "zone", Status: local.OK}
	name, _ := d.Options.Now().In(l).Zone()
	switch {
	case err != nil:
		c.Status, c.Message = local.Warning, err.Error()
	case name == "UTC" && d.Config.Timezone == "":
		c.Status, c.Message = local.Warning, "the box is set to UTC, so hours in the configuration and on the page are not the shop's"
	default:
		c.Message = "it is " + d.Options.Now().In(l).Format("15:04 MST")
		return c
	}
	c.Do = `write timezone = "Europe/Moscow", or what it is, into ` + d.Config.File
	return c
}

func (d *Doctor) checkDir() local.Check {
	dir := d.Config.DataDir
	c := local.Check{Name: "data_dir", Status: local.OK, Message: dir + " can be written"}
	probe, err := os.CreateTemp(dir, "doctor-")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Status, c.Message = local.Warning, dir+" is not there yet"
		c.Do = "nothing to do: the first start makes it"
	case errors.Is(err, syscall.ENOSPC):
		c.Message = dir + " could be written, were there room" // of which the next check tells
	case err != nil:
		c.Status, c.Message = local.Failed, fmt.Sprintf("cannot write in %s: %v", dir, err)
		c.Do = "give the directory to the service's user; if that is so, run the doctor as root"
		if errors.Is(err, syscall.EROFS) {
			c.Do = "check the card: a system makes one read-only that has errors"
		}
	default:
		if file, uid, gid := foreign(dir); file != "" {
			c.Status, c.Message = local.Failed, file+" belongs to another user than its directory, and the service cannot use it"
			c.Do = fmt.Sprintf("run chown -R %d:%d %s", uid, gid, dir)
		}
	}
	return c
}

// foreign returns a file that is not its directory's owner's, and that owner.
// Somebody copied it there, or ran something as root.
func foreign(dir string) (file string, uid, gid int) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", 0, 0
	}
	uid, gid, ok := owner(info)
	entries, err := os.ReadDir(dir)
	if err != nil || !ok {
		return "", 0, 0
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil { // gone meanwhile
			continue
		}
		if u, _, _ := owner(info); u != uid {
			return filepath.Join(dir, e.Name()), uid, gid
		}
	}
	return "", 0, 0
}

func (d *Doctor) checkDisk() local.Check {
	// Below the first a sync or an update can fail, below the second it will.
	const little, nothing = 256 << 20, 32 << 20
	dir := d.Config.DataDir
	space, err := disk.Of(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		space, err = disk.Of(dir)
	}
	if err != nil {
		return local.Check{Name: "disk", Status: local.Warning, Message: err.Error(), Do: "check data_dir"}
	}
	c := local.Check{Name: "disk", Status: local.OK, Message: fmt.Sprintf("%d MB free of %d", space.Free>>20, space.Total>>20)}
	if space.Free < little {
		c.Status, c.Do = local.Warning, "make room: remove old logs, *.corrupt-* and *.replaced-* files"
	}
	if space.Free < nothing {
		c.Status, c.Message = local.Failed, "the card is full: "+c.Message
	}
	return c
}

// checkFiles looks at the databases: through the running agent, which has them
// open, or else itself.
func (d *Doctor) checkFiles(ctx context.Context) []local.Check {
	if client, err := local.Dial(ctx, d.Config.DataDir); err == nil {
		defer client.Close()
		checks, err := client.Check(ctx)
		if err != nil {
			return []local.Check{{Name: "agent", Status: local.Failed, Message: err.Error(), Do: "restart the service"}}
		}
		return append([]local.Check{{Name: "agent", Status: local.OK, Message: "is running"}}, checks...)
	}
	// Where there is no lock file nobody has the lock, and root must not leave one
	// that the service cannot open.
	name := filepath.Join(d.Config.DataDir, lockName)
	if _, err := os.Stat(name); err == nil {
		l, err := lock.Take(name)
		if _, held := errors.AsType[*lock.HeldError](err); held {
			return []local.Check{{Name: "agent", Status: local.Warning, Message: err.Error(),
				Do: "wait for it to end; if it is the service, restart it"}}
		}
		if err != nil {
			return nil // what is wrong with the directory has been said
		}
		defer l.Release()
	}
	var checks []local.Check
	for _, file := range []struct{ name, file, do string }{
		{"mirror", mirrorName, "nothing to do: the next start sets it aside and rebuilds it from the cloud"},
		{"journal", journal.FileName, "copy the data directory, then start: what can be read is saved by itself"},
	} {
		name := filepath.Join(d.Config.DataDir, file.file)
		if f, err := os.Open(name); errors.Is(err, fs.ErrNotExist) {
			checks = append(checks, local.Check{Name: file.name, Status: local.OK, Message: "is not there yet"})
		} else if err != nil {
			checks = append(checks, local.Check{Name: file.name, Status: local.Failed, Message: "cannot be read: " + err.Error(),
				Do: "give it to the service's user"})
		} else if err := errors.Join(f.Close(), inspect(ctx, name)); err != nil {
			checks = append(checks, local.Check{Name: file.name, Status: local.Failed, Message: err.Error(), Do: file.do})
		} else {
			checks = append(checks, local.Check{Name: file.name, Status: local.OK, Message: "sound"})
		}
	}
	return checks
}

// checkService asks whichever service manager there is.
func (d *Doctor) checkService(ctx context.Context) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	r := service.Look(ctx)
	c := local.Check{Name: "service", Status: local.OK, Message: r.Manager + " starts it with the system, and it runs"}
	switch {
	case r.State == service.Absent:
		c.Status, c.Message = local.Warning, "no service is installed: the agent stops with this session"
		c.Do = "run ostatok install as root"
	case r.State == service.Failed:
		c.Status, c.Message, c.Do = local.Failed, "the service ended with an error", "see ostatok status and the log of the service"
	case !r.Boot:
		c.Status, c.Message = local.Warning, "the service is not started with the system"
		c.Do = "run ostatok install --force as root"
	case r.State != service.Running:
		c.Status, c.Message, c.Do = local.Warning, "the service is installed and does not run", "run ostatok start as root"
	}
	return c
}

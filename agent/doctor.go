package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/platform/clock"
	"ostatok/platform/disk"
	"ostatok/platform/lock"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
)

// Doctor looks at everything that the agent needs, and changes nothing. Each
// check stands for itself: a box without a network still has its clock, disk and
// files looked at.
type Doctor struct {
	Config  *config.Config
	Options Options
}

// eachCheck is the time that one check of the network may take.
const eachCheck = 10 * time.Second

// Check runs all checks, in the order in which a failure explains those after it.
func (d *Doctor) Check(ctx context.Context) []local.Check {
	checks := d.checkConfig()
	checks = append(checks, d.checkClock(), d.checkDir(), d.checkDisk())
	checks = append(checks, d.checkFiles(ctx)...)
	checks = append(checks, d.checkCloud(ctx)...)
	checks = append(checks, d.checkTargets(ctx)...)
	checks = append(checks, d.checkBroker(ctx)...)
	return append(checks, d.checkService(ctx))
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

func (d *Doctor) checkDir() local.Check {
	dir := d.Config.DataDir
	c := local.Check{Name: "data_dir", Status: local.OK, Message: dir + " can be written"}
	probe, err := os.CreateTemp(dir, "doctor-")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if errors.Is(err, fs.ErrNotExist) {
		c.Status, c.Message = local.Warning, dir+" is not there yet"
		c.Do = "nothing to do: the first start makes it"
	} else if err != nil {
		c.Status, c.Message = local.Failed, fmt.Sprintf("cannot write in %s: %v", dir, err)
		c.Do = "give the directory to the service's user, and check that the card is not read-only"
	}
	return c
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
		c.Status, c.Do = local.Warning, "make room: remove old logs and *.corrupt-* files"
	}
	if space.Free < nothing {
		c.Status = local.Failed
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
	if _, err := os.Stat(d.Config.DataDir); err != nil {
		return nil
	}
	l, err := lock.Take(filepath.Join(d.Config.DataDir, lockName))
	if _, held := errors.AsType[*lock.HeldError](err); held {
		return []local.Check{{Name: "agent", Status: local.Warning, Message: err.Error(),
			Do: "wait for it to end; if it is the service, restart it"}}
	}
	if err != nil {
		return nil // what is wrong with the directory has been said
	}
	defer l.Release()
	var checks []local.Check
	for _, file := range []struct{ name, file, do string }{
		{"mirror", mirrorName, "nothing to do: the next start sets it aside and rebuilds it from the cloud"},
		{"journal", journal.FileName, "copy the data directory, then start: what can be read is saved by itself"},
	} {
		name := filepath.Join(d.Config.DataDir, file.file)
		if _, err := os.Stat(name); err != nil {
			checks = append(checks, local.Check{Name: file.name, Status: local.OK, Message: "is not there yet"})
		} else if err := inspect(ctx, name); err != nil {
			checks = append(checks, local.Check{Name: file.name, Status: local.Failed, Message: err.Error(), Do: file.do})
		} else {
			checks = append(checks, local.Check{Name: file.name, Status: local.OK, Message: "sound"})
		}
	}
	return checks
}

// checkCloud goes the way to the cloud step by step, and stops at the first that
// fails: those after it would only repeat it.
func (d *Doctor) checkCloud(ctx context.Context) []local.Check {
	u, err := url.Parse(d.Config.Evotor.URL)
	if err != nil {
		return nil // the configuration has refused it
	}
	checks := []local.Check{d.checkName(ctx, u.Hostname())}
	if checks[0].Status == local.Failed {
		return checks
	}
	checks = append(checks, d.checkConnect(ctx, u))
	if checks[1].Status == local.Failed {
		return checks
	}
	return append(checks, d.checkToken(ctx)...)
}

func (d *Doctor) checkName(ctx context.Context, host string) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return local.Check{Name: "dns", Status: local.Failed, Message: "cannot resolve " + host + ": " + err.Error(),
			Do: "check the internet connection and the name servers in /etc/resolv.conf"}
	}
	return local.Check{Name: "dns", Status: local.OK, Message: host + " is " + strings.Join(addresses, ", ")}
}

func (d *Doctor) checkConnect(ctx context.Context, u *url.URL) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	address := net.JoinHostPort(u.Hostname(), port)
	c := local.Check{Name: "connect", Status: local.OK, Message: address + " answers"}
	var dial interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if u.Scheme == "https" {
		c.Name = "tls"
		dial = &tls.Dialer{}
	}
	conn, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		c.Status, c.Message = local.Failed, "cannot connect to "+address+": "+err.Error()
		c.Do = "check the firewall and the proxy"
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			c.Do = "check the clock first; then whether something on the network replaces certificates"
		}
		return c
	}
	_ = conn.Close() // it answered; that was the question
	return c
}

func (d *Doctor) checkToken(ctx context.Context) []local.Check {
	ctx, cancel := context.WithTimeout(ctx, 2*eachCheck)
	defer cancel()
	var against error
	client, err := evotor.New(evotor.Options{
		URL: d.Config.Evotor.URL, Token: d.Config.Evotor.Token.Reveal(), Auth: d.Config.Evotor.Auth,
		Transport: d.Options.Transport, Version: d.Options.Build.Version, Now: d.Options.Now, Log: d.Options.Log,
		MaxWait: eachCheck, OnDate: func(server time.Time) { against = clock.Compare(d.Options.Now(), server) },
	})
	if err != nil {
		return []local.Check{{Name: "token", Status: local.Failed, Message: err.Error(), Do: "copy the token again"}}
	}
	defer client.Close()
	stores, err := client.Stores(ctx)
	var checks []local.Check
	if against != nil {
		checks = append(checks, local.Check{Name: "clock", Status: local.Failed, Message: against.Error(),
			Do: "set the clock, and let the box ask a time server"})
	}
	if err != nil {
		c := local.Check{Name: "token", Status: local.Failed, Message: err.Error(), Do: "check the internet connection"}
		switch rest.KindOf(err) {
		case rest.Unauthorized:
			c.Do = "copy the application's token from the Evotor account into " + d.Config.Evotor.TokenFile
		case rest.NotInstalled, rest.Forbidden:
			c.Do = "install the application on the shop's terminals, with rights to products, stock and documents"
		}
		return append(checks, c)
	}
	checks = append(checks, local.Check{Name: "token", Status: local.OK, Message: "accepted"})
	var seen []string
	for _, s := range stores {
		if s.ID == d.Config.Store {
			return append(checks, local.Check{Name: "store", Status: local.OK, Message: s.Name + " is visible"})
		}
		seen = append(seen, s.ID+" "+s.Name)
	}
	c := local.Check{Name: "store", Status: local.Failed, Message: d.Config.Store + " is not among the shops that the token sees",
		Do: "install the application on this shop, or use its owner's token"}
	if len(seen) > 0 {
		c.Do = "set store to one of: " + strings.Join(seen, "; ")
	}
	return append(checks, c)
}

func (d *Doctor) checkBroker(ctx context.Context) []local.Check {
	var checks []local.Check
	for _, raw := range d.Config.MQTT.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			continue // the configuration has refused it
		}
		checks = append(checks, checkDial(ctx, u))
	}
	return checks
}

func checkDial(ctx context.Context, u *url.URL) local.Check {
	ctx, cancel := context.WithTimeout(ctx, eachCheck)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return local.Check{Name: "broker", Status: local.Failed, Message: "cannot connect to " + u.Host + ": " + err.Error(),
			Do: "check mqtt.urls and the firewall"}
	}
	_ = conn.Close() // it answered; that was the question
	return local.Check{Name: "broker", Status: local.OK, Message: u.Host + " answers"}
}

func (d *Doctor) checkService(ctx context.Context) local.Check {
	c := local.Check{Name: "service", Status: local.Warning, Message: "no service is installed: the agent stops with this session",
		Do: "run the agent as a service of the system"}
	// systemd first: nearly every box has it. Others are not looked for yet.
	if exec.CommandContext(ctx, "systemctl", "is-enabled", "--quiet", "ostatok.service").Run() == nil {
		c = local.Check{Name: "service", Status: local.OK, Message: "ostatok.service is installed"}
	}
	return c
}

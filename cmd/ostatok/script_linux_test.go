package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ostatok/agent"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/platform/network"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/virtpos/virtpostest"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// nowVariable says how far the clock of the program under test is from the
// machine's, so that it goes on from one command to the next. The program itself
// knows nothing of it.
const nowVariable = "OSTATOK_TEST_NOW"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ostatok": func() { os.Exit(runAt()) }})
}

// runAt is main with the script's clock.
func runAt() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	now := time.Now
	var environ []string
	var names, noRoute string
	for _, line := range os.Environ() {
		name, text, _ := strings.Cut(line, "=")
		switch name {
		case namesVariable:
			names = text
			continue
		case noRouteVariable:
			noRoute = text
			continue
		case nowVariable:
		default:
			environ = append(environ, line)
			continue
		}
		seconds, err := strconv.ParseInt(text, 10, 64) // a Duration ends at 292 years
		if err != nil {
			panic(err)
		}
		now = func() time.Time { t := time.Now(); return time.Unix(t.Unix()+seconds, int64(t.Nanosecond())) }
	}
	build := agent.Build{Version: marked(), Commit: "abcdef", Time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	a := &app{out: os.Stdout, err: os.Stderr, environ: environ, now: now, build: build, dialer: testDialer(names, noRoute)}
	return a.main(ctx, os.Args[1:])
}

// marker precedes a version at the end of this program's file: the same program
// with another one is another release.
const marker = "\n#version "

// marked is the version at the end of this program's file.
func marked() string {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	end := make([]byte, 64)
	info, err := file.Stat()
	if err == nil {
		_, err = file.ReadAt(end, info.Size()-int64(len(end)))
	}
	if err != nil {
		panic(err)
	}
	if _, version, ok := strings.Cut(string(end), marker); ok {
		return version
	}
	return "1.2.3"
}

// Each script is a story: a shop, a cloud, and what somebody does at the box.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Values["world"] = &world{}
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"shop": shopCommand, "live": liveCommand, "fault": faultCommand, "at": atCommand,
			"right": rightCommand, "await": awaitCommand, "tmpfs": tmpfsCommand, "overwrite": overwriteCommand, "patched": patchedCommand,
			"office": officeCommand, "box": boxCommand, "finds": findsCommand, "names": namesCommand, "cloud": cloudCommand,
			"broker": brokerCommand, "hold": holdCommand, "owned": ownedCommand,
		},
		Condition: func(condition string) (bool, error) {
			if condition == "mount" {
				return canMount(t.TempDir()), nil
			}
			switch condition {
			case "root":
				return os.Geteuid() == 0, nil
			case "netns": // a network of its own can be made
				probe := exec.Command("unshare", "-n", "-m", "sh", "-c", "ip link set lo up && ip -6 route add default dev lo")
				return probe.Run() == nil, nil
			case "resolv":
				return len(network.NameServers()) > 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
	})
}

// world is what a script plays in.
type world struct {
	shop   *evotortest.Shop
	cloud  *evotortest.Cloud
	office *virtpostest.Server
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

const token = "3f0c7a52-9a5e-4a3c-b7d1-6a1f0e5f2d11"

// shop [terminals=1] [products=20] [documents=300] [shown=1] makes a shop and its cloud,
// and writes a configuration for it.
func shopCommand(ts *testscript.TestScript, neg bool, args []string) {
	settings := evotortest.Settings{Seed: 7, Products: 20, Documents: 300, Terminals: 1, QuantityShown: true}
	settings.To = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	settings.From = settings.To.AddDate(0, -4, 0)
	for _, arg := range args {
		name, text, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(text)
		ts.Check(err)
		switch name {
		case "terminals":
			settings.Terminals = n
		case "products":
			settings.Products = n
		case "documents":
			settings.Documents = n
		case "shown":
			settings.QuantityShown = n != 0
		default:
			ts.Fatalf("shop: unknown setting %s", name)
		}
	}
	w := worldOf(ts)
	w.shop = evotortest.NewShop(settings)
	w.shop.Run(settings.To)
	w.cloud = evotortest.NewCloud(w.shop, evotortest.CloudOptions{
		Tokens: []string{token}, Now: func() time.Time { return w.shop.Now() },
	})
	server := httptest.NewServer(w.cloud)
	ts.Defer(server.Close)
	setNow(ts, w.shop.Now())
	ts.Setenv("STORE", w.shop.Store())
	ts.Setenv("URL", server.URL)
	ts.Setenv("TOKEN", token)
	write := func(name, text string, mode os.FileMode) {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), mode))
	}
	write("token", token+"\n", 0o600)
	write("ostatok.toml", fmt.Sprintf("store = %q\ndata_dir = %q\n\n[evotor]\nurl = %q\ntoken_file = %q\n",
		w.shop.Store(), ts.MkAbs("data"), server.URL, ts.MkAbs("token")), 0o600)
}

func setNow(ts *testscript.TestScript, now time.Time) {
	ts.Setenv(nowVariable, strconv.FormatInt(now.Unix()-time.Now().Unix(), 10))
}

// live DURATION lets the shop and its clock go on.
func liveCommand(ts *testscript.TestScript, neg bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	w := worldOf(ts)
	before := len(w.shop.Documents())
	w.shop.Run(w.shop.Now().Add(d))
	if len(w.shop.Documents()) == before {
		ts.Fatalf("nothing happened in the shop in %s", d)
	}
	setNow(ts, w.shop.Now())
}

// at TIME sets the clock of the box alone.
func atCommand(ts *testscript.TestScript, neg bool, args []string) {
	now, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	setNow(ts, now)
}

// fault PATH FAULT makes the cloud's answers go wrong; fault clear ends it.
func faultCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if args[0] == "clear" {
		w.cloud.ClearFaults()
		return
	}
	w.cloud.Fail(args[0], evotortest.Fault(args[1]), 0, -1)
}

// right FILE checks a list of `stock --format json`: every known level is what
// the documents tell, and there is at least one.
func rightCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	var items []local.Item
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &items))
	known := 0
	for _, item := range items {
		if item.State != stock.Known {
			continue
		}
		known++
		if told, ok := w.shop.Told(item.Product); !ok || *item.Quantity != told {
			ts.Fatalf("%s %s is %s, and the documents tell %s (%t)", item.Product, item.Name, item.Quantity, told, ok)
		}
	}
	if known == 0 {
		ts.Fatalf("no level is known")
	}
	ts.Logf("%d of %d levels are known and right", known, len(items))
}

// patched N checks how many figures the cloud was given; patched + that it was
// given some.
func patchedCommand(ts *testscript.TestScript, neg bool, args []string) {
	n := len(worldOf(ts).shop.Patches())
	if args[0] == "+" && n > 0 || args[0] == strconv.Itoa(n) {
		return
	}
	ts.Fatalf("%d figures were written to the cloud, want %s", n, args[0])
}

// await FILE waits for a file.
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s does not appear", args[0])
}

// overwrite FILE writes rubbish over the middle of a file.
func overwriteCommand(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	ts.Check(err)
	info, err := f.Stat()
	ts.Check(err)
	for at := int64(0); at < info.Size(); at += 4096 {
		_, err := f.WriteAt([]byte(strings.Repeat("rubbish ", 64)), at+1000)
		ts.Check(err)
	}
	ts.Check(f.Close())
}

// tmpfs DIR SIZE mounts a small file system; on one that is mounted, resize=SIZE
// and ro change it.
func tmpfsCommand(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	if args[1] == "ro" {
		ts.Check(syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		return
	}
	if size, ok := strings.CutPrefix(args[1], "re"); ok {
		ts.Check(syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, size))
		return
	}
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("none", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// canMount tells whether this process may mount file systems.
func canMount(dir string) bool {
	probe := filepath.Join(dir, "probe")
	if os.Mkdir(probe, 0o700) != nil || syscall.Mount("none", probe, "tmpfs", 0, "size=64k") != nil {
		return false
	}
	return errors.Join(syscall.Unmount(probe, 0), os.Remove(probe)) == nil
}

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/message"
	"ostatok/platform/network/networktest"
)

// mosquitto runs Debian's broker with the access list of the docs and returns its
// URL.
func mosquitto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/mosquitto") // not in everybody's path
	}
	if err != nil {
		t.Skip("mosquitto is not installed; .ci/run installs it")
	}
	acl, err := os.ReadFile(filepath.Join("..", "..", "docs", "mosquitto.acl"))
	if err != nil {
		t.Fatal(err)
	}
	address := networktest.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Whoever says a name is believed here: it is the list that is tried.
	config := "listener " + port + " " + host + "\nallow_anonymous true\nuser root\nacl_file " + dir + "/acl\n"
	for name, text := range map[string]string{"conf": config, "acl": string(acl)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says := &text{}
	c := exec.Command(program, "-c", filepath.Join(dir, "conf"))
	c.Stderr = says
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = c.Wait()                          // by a signal
	})
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return "tcp://" + address
		}
	}
	t.Fatalf("mosquitto does not listen: %s", says)
	return ""
}

// The access list lets each user do its own work and nothing else.
func TestAccessList(t *testing.T) {
	url := mosquitto(t)
	user := func(name string) mqtt.Client {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(name).SetUsername(name).SetAutoReconnect(false))
		settled(t, c.Connect())
		t.Cleanup(func() { c.Disconnect(100) })
		return c
	}
	mine, theirs := message.TopicsOf(tenant, "s1"), message.TopicsOf(tenant, "s2")
	everyone := message.CommandToAll(tenant)
	heard := make(map[string]chan string)
	clients := make(map[string]mqtt.Client)
	for _, name := range []string{"s1", "operator", "watcher"} {
		clients[name] = user(name)
		in := make(chan string, 100)
		heard[name] = in
		settled(t, clients[name].Subscribe("ostatok/#", 1, func(_ mqtt.Client, m mqtt.Message) { in <- m.Topic() }))
	}
	for _, writer := range []string{"s1", "operator", "watcher"} {
		for _, topic := range []string{
			mine.State, mine.Status, mine.Event, mine.Stock, mine.Result, mine.Command,
			theirs.State, theirs.Status, theirs.Event, theirs.Stock, theirs.Result, theirs.Command,
			everyone, message.TopicsOf("other", "s1").State, message.TopicsOf("other", "s1").Command,
		} {
			settled(t, clients[writer].Publish(topic, 1, false, writer))
		}
	}
	// What comes last proves that the rest has come or will not.
	settled(t, clients["operator"].Publish(mine.Command, 1, false, "end"))
	settled(t, clients["operator"].Publish(everyone, 1, false, "end"))
	reports := []string{mine.State, mine.Status, mine.Event, mine.Stock, mine.Result}
	orders := []string{mine.Command, theirs.Command, everyone, mine.Command, everyone}
	for name, want := range map[string][]string{
		"s1":       {mine.State, mine.Command, everyone, mine.Command, everyone},
		"operator": append(append([]string{}, reports...), orders...),
		"watcher":  append(append([]string{}, reports...), orders...),
	} {
		var got []string
		for range want {
			select {
			case topic := <-heard[name]:
				got = append(got, topic)
			case <-time.After(20 * time.Second):
				t.Fatalf("%s heard only %v", name, got)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s heard %v, want %v", name, got, want)
		}
		if len(heard[name]) != 0 {
			t.Errorf("%s heard more: %s", name, <-heard[name])
		}
	}
}

func settled(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		t.Fatalf("the broker does not answer: %v", token.Error())
	}
}

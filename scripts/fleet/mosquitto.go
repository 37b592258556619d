package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// mosquitto is a broker in a process of its own, as docs/OPERATIONS.md sets one up
// for a fleet, but without TLS and access lists: what they cost is not ours.
type mosquitto struct {
	program, config, address, url string
	cmd                           *exec.Cmd
}

func startMosquitto(ctx context.Context, program, dir string) (*mosquitto, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto") // not in everybody's path
	}
	if err != nil {
		return nil, fmt.Errorf("no mosquitto on this machine: apt-get install mosquitto, or name it with -mosquitto")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	m := &mosquitto{program: path, config: filepath.Join(dir, "mosquitto.conf"), address: address, url: "tcp://" + address}
	config := "listener " + strconv.Itoa(port) + " 127.0.0.1\nallow_anonymous true\nuser root\n" +
		"persistence true\npersistence_location " + dir + "/\nmax_queued_messages 20000\nset_tcp_nodelay true\nlog_type error\n"
	if err := os.WriteFile(m.config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return m, m.start(ctx)
}

// start returns when the broker takes connections.
func (m *mosquitto) start(ctx context.Context) error {
	m.cmd = exec.CommandContext(ctx, m.program, "-c", m.config)
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start mosquitto: %w", err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", m.address); err == nil {
			return conn.Close()
		}
	}
	m.stop()
	return fmt.Errorf("mosquitto does not listen on %s", m.address)
}

func (m *mosquitto) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
	_ = m.cmd.Wait()                          // ends by a signal
}

// restart ends the broker as an update of its machine does, and starts it again.
func (m *mosquitto) restart(ctx context.Context) error {
	m.stop()
	return m.start(ctx)
}

func (m *mosquitto) pid() int { return m.cmd.Process.Pid }

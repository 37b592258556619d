package service

import (
	"fmt"
	"net"
	"os"
)

// signs receives what one run of a supervised program tells of itself.
type signs struct {
	lines  chan string
	socket *net.UnixConn
	closed chan struct{}
}

// address is a name in Linux' abstract space: it leaves no file behind, and the
// program reaches it as any user. A foreign sign of life can at worst delay a
// restart.
func address() string { return fmt.Sprintf("@%s-supervise-%d", Name, os.Getpid()) }

func listen() (*signs, error) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address(), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for signs of life: %w", err)
	}
	s := &signs{lines: make(chan string), socket: socket, closed: make(chan struct{})}
	go s.receive()
	return s, nil
}

// receive ends with close.
func (s *signs) receive() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.socket.Read(buffer)
		if err != nil {
			return
		}
		select {
		case s.lines <- string(buffer[:n]):
		case <-s.closed:
			return
		}
	}
}

func (s *signs) close() {
	close(s.closed)
	_ = s.socket.Close()
}

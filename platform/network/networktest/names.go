// Package networktest plays a network in which things go wrong: a name server
// over UDP and TCP on this machine.
package networktest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// Code of an answer that is none (RFC 1035, 4.1.1).
type Code byte

// The codes that matter.
const (
	Failure Code = 2 // SERVFAIL
	Unknown Code = 3 // NXDOMAIN
	Refused Code = 5
)

// Reply is what a name server has to say of a name.
type Reply struct {
	Addresses []netip.Addr
	Code      Code
	Silent    bool // there is no answer at all
}

// Names is a running name server.
type Names struct {
	At netip.AddrPort

	udp   net.PacketConn
	tcp   net.Listener
	parts sync.WaitGroup

	mu    sync.Mutex
	reply func(name string) Reply
	asked int
	conns map[net.Conn]struct{}
}

// Serve starts a name server. reply is asked for each question, with the name
// and without its last dot. The caller closes the server.
func Serve(reply func(name string) Reply) (*Names, error) {
	s := &Names{reply: reply, conns: make(map[net.Conn]struct{})}
	var err error
	for range 10 { // the port of UDP may be taken for TCP
		if s.udp, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("cannot serve names: %w", err)
		}
		s.At = netip.MustParseAddrPort(s.udp.LocalAddr().String())
		if s.tcp, err = net.Listen("tcp4", s.At.String()); err == nil {
			s.parts.Go(s.datagrams)
			s.parts.Go(s.streams)
			return s, nil
		}
		_ = s.udp.Close() // another port is tried
	}
	return nil, fmt.Errorf("cannot serve names: %w", err)
}

// Close ends the server.
func (s *Names) Close() {
	_, _ = s.udp.Close(), s.tcp.Close() // that ends the loops
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.parts.Wait()
}

// Asked is how many questions came.
func (s *Names) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Set changes what the server says from now on.
func (s *Names) Set(reply func(name string) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

func (s *Names) datagrams() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.udp.ReadFrom(buffer)
		if err != nil {
			return
		}
		if out := s.answer(buffer[:n], 512); out != nil {
			_, _ = s.udp.WriteTo(out, from) // one that is lost is asked for again
		}
	}
}

func (s *Names) streams() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.parts.Go(func() {
			defer c.Close()
			head := make([]byte, 2)
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(head))
			if _, err := io.ReadFull(c, query); err != nil {
				return
			}
			if out := s.answer(query, 1<<16); out != nil {
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			}
		})
	}
}

// The types of records that are known here.
const (
	typeA    = 1
	typeAAAA = 28
)

// answer is one message, truncated when it is longer than most; nil is silence.
func (s *Names) answer(query []byte, most int) []byte {
	name, i := "", 12
	for i < len(query) && query[i] != 0 && i+1+int(query[i]) < len(query) {
		if name != "" {
			name += "."
		}
		name += string(query[i+1 : i+1+int(query[i])])
		i += 1 + int(query[i])
	}
	if i+5 > len(query) {
		return nil
	}
	s.mu.Lock()
	s.asked++
	r := s.reply(name)
	s.mu.Unlock()
	if r.Silent {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[i+1:])
	out := append([]byte{query[0], query[1], 0x81, 0x80 | byte(r.Code), 0, 1, 0, 0, 0, 0, 0, 0}, query[12:i+5]...)
	for _, a := range r.Addresses {
		if a.Is4() != (kind == typeA) || !a.Is4() && kind != typeAAAA {
			continue
		}
		out[7]++
		out = append(out, 0xc0, 12) // the name is at byte 12
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8)) // IN, not to be kept
		out = append(out, a.AsSlice()...)
	}
	if len(out) > most {
		out = out[:i+5]
		out[2], out[7] = out[2]|2, 0
	}
	return out
}

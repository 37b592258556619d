package remote

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"ostatok/agent/command"
)

// maxPayload is what of a message's payload is let through: more than a command
// may have, so that one that is too large is seen as such.
const maxPayload = command.MaxSize + 1

// maxHead bounds topic and packet id of a message.
const maxHead = 4 << 10

const publish = 3 // packet type of MQTT 3.1.1

var errPacket = errors.New("the broker sent a packet that no broker sends")

// trimmed is a connection on which no message is larger than a small box can bear.
// The library would allocate whatever length a packet announces, up to 256 MB, and
// a broker gives such a message again at each connection. Here its payload is cut
// while it is read, so that it can be refused and acknowledged as others are.
type trimmed struct {
	net.Conn
	in   *bufio.Reader
	head []byte // of the current packet, still to be handed out
	body int    // bytes of it still to be handed out from the connection
	skip int    // … and then thrown away
}

func trim(c net.Conn) *trimmed { return &trimmed{Conn: c, in: bufio.NewReaderSize(c, 2<<10)} }

// Read hands out what the broker sends, with payloads cut to maxPayload.
func (t *trimmed) Read(p []byte) (int, error) {
	for len(t.head) == 0 && t.body == 0 {
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		return n, nil
	}
	n, err := t.in.Read(p[:min(len(p), t.body)])
	t.body -= n
	return n, err
}

// next skips the rest of the packet and reads the head of the one that follows.
func (t *trimmed) next() error {
	if t.skip > 0 {
		n, err := io.CopyN(io.Discard, t.in, int64(t.skip))
		t.skip -= int(n)
		if err != nil {
			return err
		}
	}
	var first [1]byte
	if _, err := io.ReadFull(t.in, first[:]); err != nil {
		return err
	}
	length, err := t.length()
	if err != nil {
		return err
	}
	if first[0]>>4 != publish || length <= maxPayload {
		if length > maxHead+maxPayload {
			return errPacket
		}
		t.head, t.body = appendLength(first[:], length), length
		return nil
	}
	// Topic, and the packet id of QoS 1 and 2.
	var size [2]byte
	if _, err := io.ReadFull(t.in, size[:]); err != nil {
		return err
	}
	rest := int(binary.BigEndian.Uint16(size[:]))
	if first[0]&0x06 != 0 {
		rest += 2
	}
	if rest > maxHead || 2+rest > length {
		return errPacket
	}
	payload := min(length-2-rest, maxPayload)
	t.head = append(appendLength(first[:], 2+rest+payload), size[:]...)
	t.body = rest + payload
	t.skip = length - 2 - t.body
	return nil
}

// length reads the remaining length: up to four bytes of seven bits.
func (t *trimmed) length() (int, error) {
	value := 0
	for shift := 0; shift < 28; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(t.in, b[:]); err != nil {
			return 0, err
		}
		value |= int(b[0]&0x7f) << shift
		if b[0]&0x80 == 0 {
			return value, nil
		}
	}
	return 0, errPacket
}

func appendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// Write gives up on a broker that takes nothing: the library has a deadline only
// for messages, not for its acknowledgements and pings.
func (t *trimmed) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
}

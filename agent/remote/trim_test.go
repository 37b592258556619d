package remote

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"pgregory.net/rapid"
)

// fed is a connection that reads from memory, a few bytes at a time.
type fed struct {
	net.Conn
	in   io.Reader
	most int
}

func (f fed) Read(p []byte) (int, error) { return f.in.Read(p[:min(len(p), f.most)]) }

func packet(qos byte, topic string, payload []byte) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.TopicName, p.MessageID, p.Payload = qos, topic, 7, payload
	return p
}

// Whatever the size of the messages, each arrives with its beginning, and the ones
// between them are whole.
func TestTrimKeepsPacketsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire bytes.Buffer
		var sent []*packets.PublishPacket
		for range rapid.IntRange(1, 6).Draw(t, "packets") {
			size := rapid.SampledFrom([]int{0, 1, 127, 128, maxPayload - 1, maxPayload, maxPayload + 1, 3 * maxPayload, 1 << 20}).Draw(t, "size")
			p := packet(byte(rapid.IntRange(0, 2).Draw(t, "qos")), rapid.StringMatching(`[a-z/]{1,40}`).Draw(t, "topic"), bytes.Repeat([]byte{'x'}, size))
			sent = append(sent, p)
			if err := errors.Join(p.Write(&wire), packets.NewControlPacket(packets.Pingresp).Write(&wire)); err != nil {
				t.Fatal(err)
			}
		}
		c := trim(fed{in: &wire, most: rapid.IntRange(1, 5000).Draw(t, "chunk")})
		for i, want := range sent {
			got, err := packets.ReadPacket(c)
			if err != nil {
				t.Fatalf("packet %d: %v", i, err)
			}
			p, ok := got.(*packets.PublishPacket)
			if !ok || p.TopicName != want.TopicName || p.Qos != want.Qos || (p.Qos > 0 && p.MessageID != 7) {
				t.Fatalf("packet %d: %v, want %v", i, got, want)
			}
			whole := len(want.Payload) <= maxPayload-2-len(want.TopicName)-2
			if len(p.Payload) > maxPayload || (whole && len(p.Payload) != len(want.Payload)) || (len(want.Payload) > maxPayload && len(p.Payload) != maxPayload) {
				t.Fatalf("packet %d: %d bytes of %d", i, len(p.Payload), len(want.Payload))
			}
			if ping, err := packets.ReadPacket(c); err != nil {
				t.Fatalf("after packet %d: %v", i, err)
			} else if _, ok := ping.(*packets.PingrespPacket); !ok {
				t.Fatalf("after packet %d: %v", i, ping)
			}
		}
	})
}

// The largest message of the protocol costs no memory.
func TestTrimBoundsMemory(t *testing.T) {
	const size = 200 << 20
	head := append([]byte{publish<<4 | 2}, 0, 0)[:1]
	head = appendLength(head, 2+1+2+size)
	head = append(head, 0, 1, 't', 0, 7)
	c := trim(fed{in: io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size)), most: 1 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := packets.ReadPacket(c)
	if err != nil || len(p.(*packets.PublishPacket).Payload) != maxPayload {
		t.Fatalf("%v, %v", p, err)
	}
	if _, err := packets.ReadPacket(c); !errors.Is(err, io.EOF) {
		t.Fatalf("after it: %v", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzTrim(f *testing.F) {
	f.Add([]byte{0x32, 5, 0, 1, 't', 0, 7})
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff})
	f.Add([]byte{0x20, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := trim(fed{in: bytes.NewReader(wire), most: 100})
		if out, err := io.ReadAll(c); err == nil && len(out) > len(wire)+8 {
			t.Errorf("%d bytes became %d", len(wire), len(out))
		}
	})
}

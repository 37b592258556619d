package networktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddress is an address of this machine that nobody listens at, and nobody
// will by chance: what is told one has to listen there some time later, and again
// whenever it is started anew. Its host is one of the sixteen million that a
// Linux has to itself, its port below those that the system gives to whoever asks
// for any.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
	t.Fatal("there is no free address")
	return ""
}

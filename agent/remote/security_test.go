package remote

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ostatok/agent/command"
	"ostatok/agent/message"
)

var update = flag.Bool("update", false, "write the golden files")

// forge is a token with any method and key, under the manager's name.
func forge(t testing.TB, method jwt.SigningMethod, key any, id string) []byte {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims{"jti": id, "aud": storeID, "cmd": command.Restart,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = operators()[0].ID
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// clock is a clock that a test can move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) read() command.Clock {
	return command.Clock{Now: time.Now().Add(time.Duration(c.ahead.Load())), Trusted: true}
}

// Whoever gets at the broker can try all this. Every row must end in its refusal
// and in nothing else.
func TestSecurity(t *testing.T) {
	// A refused message that was not acknowledged before a stop would come, and be
	// told of, twice.
	brokersThatWait(t, time.Hour, func(t *testing.T, b real) {
		o := newOperator(t, b)
		dir, s := t.TempDir(), newShop(1)
		var hands clock
		begin := func() *agent {
			options := options(b.url)
			options.Clock = hands.read
			before := len(all(o, &o.states))
			a := start(t, dir, s, options)
			eventually(t, "the shop is ready", func() bool {
				states := all(o, &o.states)
				return len(states) > before && states[len(states)-1].State == message.Ready
			})
			return a
		}
		a := begin()
		good := order(t, manager, "good", command.Sync)
		parts := strings.Split(string(good), ".")
		large := 10 << 20
		if strings.HasSuffix(t.Name(), "nats") {
			large = 900 << 10 // its limit of a message is 1 MiB
		}
		hour := func(h time.Duration) func(*command.Claims) {
			return func(c *command.Claims) {
				c.IssuedAt, c.ExpiresAt = c.IssuedAt.Add(h*time.Hour), c.ExpiresAt.Add(h*time.Hour)
			}
		}
		rows := []struct {
			attack string
			token  []byte
			code   command.Code
			before func() // what the attacker waits for
			retain bool
			answer message.Outcome // "" for none: nobody is answered without a signature
		}{
			{"forged signature", []byte(parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))), command.CodeSignature, nil, false, ""},
			{"payload changed", []byte(parts[0] + "." + strings.Split(string(order(t, manager, "x", command.Restart)), ".")[1] + "." + parts[2]), command.CodeSignature, nil, false, ""},
			{"`alg: none`", forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "none"), command.CodeAlgorithm, nil, false, ""},
			{"HMAC with the public key", forge(t, jwt.SigningMethodHS256, []byte(manager.Public().(ed25519.PublicKey)), "hmac"), command.CodeAlgorithm, nil, false, ""},
			{"key of a stranger", order(t, stranger, "stranger", command.Restart), command.CodeUnknownKey, nil, false, ""},
			{"revoked key", order(t, former, "former", command.Restart), command.CodeRevokedKey, nil, false, ""},
			{"command for another shop", order(t, manager, "other", command.Sync, func(c *command.Claims) { c.Audience = []string{"another"} }), command.CodeAudience, nil, false, message.Rejected},
			{"expired command", order(t, manager, "late", command.Sync, hour(-2)), command.CodeExpired, nil, false, message.Expired},
			{"command not yet valid", order(t, manager, "early", command.Sync, hour(2)), command.CodeNotYetValid, nil, false, message.Rejected},
			{"command that lives for days", order(t, manager, "long", command.Sync, func(c *command.Claims) { c.ExpiresAt = c.IssuedAt.AddDate(0, 0, 3) }), command.CodeLifetime, nil, false, message.Rejected},
			{"observe key sends a manage command", order(t, observer, "observer", command.Restart), command.CodeRight, nil, false, message.Rejected},
			{"replay in the same session", good, command.CodeReplay, func() {
				o.send(good, false)
				o.awaitResult("good")
			}, false, ""},
			{"replay after a restart", good, command.CodeReplay, func() {
				a.stop()
				a = begin()
			}, false, ""},
			{"replay after the clock moved a year ahead and back", good, command.CodeReplay, func() {
				hands.ahead.Store(int64(365 * 24 * time.Hour))
				if err := a.journal.ForgetOldCommands(context.Background(), hands.read().Time().UnixMilli()); err != nil {
					t.Fatal(err)
				}
				hands.ahead.Store(0)
			}, false, message.Rejected},
			{"replay to a journal that was lost", order(t, manager, "once", command.Sync, func(c *command.Claims) { c.IssuedAt = c.IssuedAt.Add(-10 * time.Minute) }), command.CodeReplay, func() {
				a.stop()
				dir = t.TempDir()
				a = begin()
			}, false, message.Rejected},
			{"retained command", order(t, manager, "kept", command.Sync), command.CodeRetained, func() {
				o.send(order(t, manager, "kept", command.Sync), true)
				o.awaitResult("kept")
			}, true, ""},
			{fmt.Sprintf("a payload of %s", "10 MB"), make([]byte, large), command.CodeTooLarge, nil, false, ""},
			{"malformed JWT", []byte("{\"cmd\":\"restart\"}"), command.CodeMalformed, nil, false, ""},
			{"empty payload", []byte{}, command.CodeMalformed, nil, false, ""},
		}
		var table strings.Builder
		table.WriteString("| what an attacker at the broker tries | refused as | answer to the sender |\n|---|---|---|\n")
		for _, row := range rows {
			if row.before != nil {
				row.before()
			}
			a.refused.mu.Lock()
			a.refused.spent = 0
			a.refused.mu.Unlock()
			events, ran := o.countEvents("command_refused"), len(s.ran())
			// Answers with this row's code: more than one row ends in the same.
			answers := func() (n int) {
				for _, r := range all(o, &o.results) {
					if r.Error != nil && r.Error.Code == string(row.code) && (row.answer == "" || r.Status == row.answer) {
						n++
					}
				}
				return n
			}
			answered := answers()
			if row.retain { // whoever is there gets it as an ordinary one, whoever comes later as a retained one
				a.stop()
				a = begin()
			} else {
				o.send(row.token, false)
			}
			var data struct{ Code command.Code }
			eventually(t, row.attack+" is refused", func() bool {
				return o.countEvents("command_refused") > events
			})
			list := all(o, &o.events)
			if err := json.Unmarshal(list[len(list)-1].Data, &data); err != nil || data.Code != row.code {
				t.Errorf("%s: event %s (%v), want %s", row.attack, list[len(list)-1].Data, err, row.code)
			}
			if got := s.ran(); len(got) != ran {
				t.Errorf("%s: ran %v", row.attack, got)
			}
			answer := "none"
			if row.answer != "" {
				answer = "`" + string(row.answer) + "`"
				eventually(t, row.attack+" is answered", func() bool { return answers() > answered })
			} else if n := answers() - answered; n > 0 {
				t.Errorf("%s is answered %d times", row.attack, n)
			}
			fmt.Fprintf(&table, "| %s | `%s` | %s |\n", row.attack, row.code, answer)
		}
		if got := o.countEvents("command_refused"); got > len(rows) {
			t.Errorf("%d attacks made %d events", len(rows), got)
		}
		golden := filepath.Join("testdata", "security.md")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != table.String() {
			t.Errorf("%s is not what was tried (%v):\n%s", golden, err, table.String())
		}
	})
}

// A flood of refused commands becomes a handful of events that count the rest.
func TestFloodIsBounded(t *testing.T) {
	b := nats(t)
	o := newOperator(t, b)
	s := newShop(1)
	a := start(t, t.TempDir(), s, options(b.url))
	o.awaitState(message.Ready)
	const flood = 500
	topic := message.TopicsOf(tenant, storeID).Command
	for i := range flood {
		done(t, o.client.Publish(topic, byte(i%2), false, fmt.Appendf(nil, "rubbish %d", i)))
	}
	o.send(order(t, observer, "still-there", command.Ping), false)
	o.awaitResult("still-there")
	time.Sleep(2 * look)
	if n := o.countEvents("command_refused"); n != refusalBurst {
		t.Errorf("%d events of a flood", n)
	}
	a.refused.mu.Lock()
	defer a.refused.mu.Unlock()
	if total := a.refused.omitted + refusalBurst + int(a.drops.Load()); total < flood { // what was given again counts twice
		t.Errorf("%d of %d accounted for", total, flood)
	}
}

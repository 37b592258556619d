package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// inboxSize bounds the messages that wait to be judged: with maxPayload each, 2 MB.
// Mosquitto and EMQX hold back long before what is not acknowledged; NATS does so
// after a thousand, and gives again after 30 s what did not fit here. A flood at
// QoS 0, which promises nothing, is dropped.
const inboxSize = 128

// incoming is one message from the broker.
type incoming struct {
	c *connection
	m mqtt.Message
}

// accept takes a message from the library, whose handlers must not block. What
// does not fit is not acknowledged: the next connection gets it again.
func (r *Remote) accept(c *connection, m mqtt.Message) {
	select {
	case r.inbox <- incoming{c, m}:
	default:
		r.drops.Add(1)
	}
}

func (r *Remote) receive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-r.inbox:
			if in.m.Topic() == r.topics.State {
				r.ownState(ctx, in)
			} else if err := r.judge(ctx, in); err != nil {
				// Not acknowledged: the broker gives it again to the next connection.
				r.log.Error().Err(err).Msg("cannot take a command")
				in.c.fail(err)
				continue
			}
			in.m.Ack()
		}
	}
}

// ownState compares what the broker says of this shop with what is so. A will of an
// earlier connection may come late and then stand there for ever; a higher number
// means that the journal was lost and counts anew.
func (r *Remote) ownState(ctx context.Context, in incoming) {
	var s message.State
	if err := json.Unmarshal(in.m.Payload(), &s); err != nil {
		in.c.contradicted.Store(true)
		return
	}
	const most = 1 << 52
	switch {
	case s.Session < in.c.session:
		in.c.contradicted.Store(true)
		r.rouse()
	case s.Session > in.c.session && s.Session < most && in.m.Retained():
		if err := r.journal.RaiseSession(ctx, s.Session); err != nil {
			r.log.Error().Err(err).Msg("session not noted")
		}
		r.mu.Lock()
		r.session = max(r.session, s.Session)
		r.mu.Unlock()
		in.c.fail(fmt.Errorf("the broker remembers session %d of this shop, this is %d: beginning anew above it; "+
			"is the same shop running twice?", s.Session, in.c.session))
	}
}

// judge takes or refuses a command. An error means that it could not be stored.
func (r *Remote) judge(ctx context.Context, in incoming) error {
	r.at("arrived")
	if in.m.Retained() {
		return r.refuse(ctx, command.Claims{}, &command.Refusal{Code: command.CodeRetained,
			Message: "the command was retained by the broker; send it without the retain flag"})
	}
	clock := r.o.Clock()
	c, err := command.Verify(in.m.Payload(), r.o.Store, r.o.Keys, clock)
	refusal, refused := errors.AsType[*command.Refusal](err)
	if refused && (c.Key == "" || refusal.Code == command.CodeClaims) {
		return r.refuse(ctx, c, refusal)
	}
	replay := &command.Refusal{Code: command.CodeReplay, Message: "the command was here before"}
	seen, err := r.journal.SeenCommand(ctx, c.Key, c.ID)
	if err != nil {
		return err
	}
	if seen && in.m.Duplicate() {
		return nil // the broker missed our acknowledgement
	}
	if seen {
		return r.refuse(ctx, c, replay)
	}
	row := journal.Command{
		Key: c.Key, ID: c.ID, Issuer: c.Issuer, Cmd: c.Cmd, Args: c.Args, Right: string(c.Right), Lane: laneOf(c.Cmd),
		IssuedAt: c.IssuedAt.UnixMilli(), ExpiresAt: c.ExpiresAt.UnixMilli(), State: journal.CommandReceived, Clock: doubt(clock),
	}
	if refused {
		row.State, row.ErrorCode, row.Error = ending(refusal), string(refusal.Code), refusal.Message
	}
	receipt, err := r.journal.TakeCommand(ctx, &row)
	if err != nil {
		return err
	}
	if receipt == journal.Busy {
		refusal = &command.Refusal{Code: command.CodeBusy, Message: "too many commands are waiting; send it again when they are done"}
		row.State, row.ErrorCode, row.Error = journal.CommandRejected, string(refusal.Code), refusal.Message
		if receipt, err = r.journal.TakeCommand(ctx, &row); err != nil {
			return err
		}
	}
	switch receipt {
	case journal.Taken:
		r.at("received")
		r.rouse()
		if refusal != nil {
			return r.refuse(ctx, c, refusal)
		}
		r.log.Info().Str("command", c.Cmd).Str("id", c.ID).Str("key", c.Key).Str("issuer", c.Issuer).Msg("command received")
		signal(r.lanes[row.Lane])
		return nil
	case journal.Old:
		if refusal == nil {
			replay.Message = "the command is older than what this shop remembers, so it may have been done; sign a new one"
			refusal = replay
		}
		r.answer(c, refusal)
	case journal.NoRoom:
		refusal = &command.Refusal{Code: command.CodeBusy, Message: "the shop has no room for more commands"}
		r.answer(c, refusal)
	case journal.Seen:
		refusal = replay
	}
	return r.refuse(ctx, c, refusal)
}

// ending is the state in which a refusal leaves a command.
func ending(refusal *command.Refusal) journal.CommandState {
	if refusal.Code == command.CodeExpired {
		return journal.CommandExpired
	}
	return journal.CommandRejected
}

// answer tells the sender of a refusal that is not kept, once and without warranty.
func (r *Remote) answer(c command.Claims, refusal *command.Refusal) {
	const most = 100
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.progress) < most {
		r.progress[c.ID] = message.Result{ID: c.ID, Cmd: c.Cmd, Status: message.Outcome(ending(refusal)), At: r.now(),
			Error: &message.Error{Code: string(refusal.Code), Message: refusal.Message}}
	}
}

func signal(lane chan struct{}) {
	select {
	case lane <- struct{}{}:
	default:
	}
}

// doubt says by what time expiry was judged when the clock was not trusted.
func doubt(c command.Clock) string {
	if c.Trusted {
		return ""
	}
	return "the shop's clock is not trusted; expiry was judged as of " + c.Best.UTC().Format(time.RFC3339)
}

// The bound on events about refused commands: a burst, then one in each interval.
// What is left out is counted in the next one.
const (
	refusalBurst = 10
	refusalEvery = 10 * time.Minute
)

// refusals bounds how many refused commands become events: whoever gets at the
// broker must not be able to fill the journal.
type refusals struct {
	mu      sync.Mutex
	spent   int
	since   time.Time
	omitted int
}

// admit tells whether one more may be told of, and how many were not before it.
func (l *refusals) admit() (ok bool, omitted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spent == 0 {
		l.since = time.Now()
	}
	for l.spent > 0 && time.Since(l.since) >= refusalEvery {
		l.spent--
		l.since = l.since.Add(refusalEvery)
	}
	if l.spent >= refusalBurst {
		l.omitted++
		return false, 0
	}
	l.spent++
	omitted, l.omitted = l.omitted, 0
	return true, omitted
}

// refuse tells of a refused command, as an event within bounds.
func (r *Remote) refuse(ctx context.Context, c command.Claims, refusal *command.Refusal) error {
	ok, omitted := r.refused.admit()
	if !ok {
		return nil
	}
	data, err := json.Marshal(map[string]any{"code": refusal.Code, "id": c.ID, "cmd": c.Cmd, "key": c.Key, "issuer": c.Issuer, "omitted": omitted})
	if err != nil {
		return err
	}
	if len(data) > 1<<10 {
		data = nil // claims of a key that is ours, but not sensible ones
	}
	r.log.Warn().Str("code", string(refusal.Code)).Str("id", c.ID).Str("key", c.Key).Int("omitted", omitted).Msg("command refused")
	defer r.rouse()
	return r.journal.AddEvent(ctx, journal.Event{Kind: "command_refused", Severity: journal.Warning,
		Message: "a command was refused: " + refusal.Message, Data: data})
}

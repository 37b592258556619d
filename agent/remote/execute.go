package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/message"
)

// Commands of one lane run one after another in the order they came. Reading does
// not wait for changing, and what brings a shop back waits for nothing.
const (
	reading = iota
	changing
	rescuing
	lanes
)

// readTime is how long a command that only reads may take.
const readTime = 5 * time.Minute

func laneOf(cmd string) int {
	if cmd == command.Restart || cmd == command.Rollback {
		return rescuing
	}
	if right, _ := command.Needs(cmd); right == command.Observe {
		return reading
	}
	return changing
}

// work does the commands of a lane.
func (r *Remote) work(ctx context.Context, lane int) {
	for ctx.Err() == nil {
		row, found, err := r.journal.NextCommand(ctx, lane)
		if err == nil && found {
			err = r.run(ctx, row)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Error().Err(err).Msg("cannot do a command for now")
			pause(ctx, storeAgain)
		case err == nil && !found:
			select {
			case <-ctx.Done():
			case <-r.lanes[lane]:
			}
		}
	}
}

// run does one command. Between start and end lies the moment at which a crash
// leaves open how far it came; it is not run again then. Errors are the journal's.
func (r *Remote) run(ctx context.Context, row journal.Command) error {
	c := claims(row)
	clock := r.o.Clock()
	row.Clock = doubt(clock)
	if c.Expired(clock) {
		row.State, row.ErrorCode = journal.CommandExpired, string(command.CodeExpired)
		row.Error = "the command expired at " + c.ExpiresAt.Format(time.RFC3339) + " before it could begin"
		return r.finish(ctx, row)
	}
	ok, err := r.journal.StartCommand(ctx, row.Seq)
	if err != nil || !ok {
		return err
	}
	r.at("started")
	r.rouse()
	answer, err := r.do(ctx, c, row)
	// A word of progress must not follow the outcome.
	r.mu.Lock()
	delete(r.progress, c.ID)
	r.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return nil // the agent stops; the next one asks Interrupted
	}
	outcome(&row, answer, err)
	r.at("done")
	for {
		err := r.finish(context.WithoutCancel(ctx), row)
		if err == nil {
			r.at("finished")
			r.Wake()
			return nil
		}
		// It was done: the outcome must not be lost to a card that is full for now.
		r.log.Error().Err(err).Msg("cannot note what became of a command")
		if !pause(ctx, storeAgain) {
			return err
		}
	}
}

func (r *Remote) finish(ctx context.Context, row journal.Command) error {
	if err := r.journal.FinishCommand(ctx, row); err != nil {
		return err
	}
	r.log.Info().Str("command", row.Cmd).Str("id", row.ID).Str("outcome", string(row.State)).Str("code", row.ErrorCode).Msg("command ended")
	r.rouse()
	return nil
}

// outcome puts what a command came to into its row.
func outcome(row *journal.Command, answer any, err error) {
	var text []byte
	if err == nil && answer != nil {
		if text, err = json.Marshal(answer); err != nil {
			err = fmt.Errorf("cannot encode the result: %w", err)
		}
	}
	if err == nil && len(text) > maxResult {
		err = &message.Error{Code: "result_too_large",
			Message: fmt.Sprintf("done, but the result has %d bytes and %d can be sent; ask for less", len(text), maxResult)}
	}
	if err != nil {
		row.State, row.ErrorCode, row.Error = journal.CommandFailed, "failed", err.Error()
		if e, ok := errors.AsType[*message.Error](err); ok {
			row.ErrorCode = e.Code
		}
		return
	}
	row.State, row.Result = journal.CommandDone, text
}

func claims(row journal.Command) command.Claims {
	return command.Claims{ID: row.ID, Issuer: row.Issuer, Cmd: row.Cmd, Args: row.Args, Key: row.Key, Right: command.Right(row.Right),
		IssuedAt: time.UnixMilli(row.IssuedAt).UTC(), ExpiresAt: time.UnixMilli(row.ExpiresAt).UTC()}
}

// pong is the answer to ping.
type pong struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Session int64     `json:"session"`
}

// do runs the command here or in the shop. A panic is that command's failure.
func (r *Remote) do(ctx context.Context, c command.Claims, row journal.Command) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error().Str("command", c.Cmd).Any("panic", p).Bytes("stack", debug.Stack()).Msg("command panicked")
			err = &message.Error{Code: "panic", Message: fmt.Sprintf("the command broke down: %v", p)}
		}
	}()
	if row.Lane == reading {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTime)
		defer cancel()
	}
	switch c.Cmd {
	case command.Ping:
		return pong{At: r.now(), Version: r.o.Version, Session: r.Link().Session}, nil
	case command.Rebirth:
		if err := r.journal.AskRebirth(ctx); err != nil {
			return nil, err
		}
		r.rouse()
		return map[string]string{"state": "the parts follow on the topic stock"}, nil
	case command.SetConfig:
		return r.setConfig(ctx, c, row.Seq)
	}
	return r.shop.Do(ctx, c, func(p any) { r.report(c, p) })
}

// report keeps the newest word of a long command; the sender takes it with it.
func (r *Remote) report(c command.Claims, p any) {
	text, err := json.Marshal(p)
	if err != nil {
		r.log.Error().Err(err).Str("command", c.Cmd).Msg("cannot encode a command's progress")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress[c.ID] = message.Result{ID: c.ID, Cmd: c.Cmd, Status: message.Started, At: r.now(), Progress: text}
}

// recoverCommands ends those that were under way when the agent ended.
func (r *Remote) recoverCommands(ctx context.Context) error {
	list, err := r.journal.StartedCommands(ctx)
	if err != nil {
		return err
	}
	for _, row := range list {
		answer, err := r.interrupted(ctx, row)
		outcome(&row, answer, err)
		if err := r.finish(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

func (r *Remote) interrupted(ctx context.Context, row journal.Command) (any, error) {
	switch row.Cmd {
	case command.Ping, command.Rebirth:
		return nil, ErrInterrupted
	case command.SetConfig:
		overrides, err := r.journal.Overrides(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range overrides {
			if o.Command == row.Seq {
				return setResult(overrides), nil
			}
		}
		return nil, ErrInterrupted
	}
	return r.shop.Interrupted(ctx, claims(row))
}

package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/command"
	"ostatok/agent/message"
)

// order is a command and whom it goes to.
type order struct {
	stores []string // none: all
	cmd    string
	args   json.RawMessage

	expires time.Duration
	wait    time.Duration
	format  string
}

func (a *app) sendCommand() *cobra.Command {
	var o order
	var all bool
	var file string
	c := &cobra.Command{
		Use:   "send STORE|--all|--file LIST COMMAND [NAME=TEXT|NAME:=JSON…]",
		Short: "Send a signed command and wait for the results",
		Long: `Signs a command with the operator's key, sends it and prints each shop's result as
it comes. A shop that is offline gets the command when it is back, unless the
command has expired by then; a shop does no command twice.

Arguments are NAME=TEXT, NAME:=JSON for an object, or one JSON object. LIST
has one store's id in each line; # begins a comment.

Exit code 0 means that every shop has done it, 3 that some have not, refused, or
did not answer within --wait.

Commands that need the right to observe: ping, stock, explain, plan, rebirth,
config.get, log.tail, diagnose. To manage: sync, resync, plan.approve, plan.reject,
config.set, log.level, backup, update, update.rollback, restart.`,
		Example: `  ostatokctl send 20170222-D58C-40E0-8051-B53ADFF38860 ping
  ostatokctl send --all sync backfill=true --wait 5m
  ostatokctl send --file north.txt log.level level=debug --expires 12h --wait 0
  ostatokctl send STORE explain product=10234 limit=20
  ostatokctl send STORE config.set 'values:={"evotor.poll":"30s"}' for=2h`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			rest, err := o.aim(args, all, file)
			if err == nil {
				err = o.read(rest)
			}
			if err != nil {
				return err
			}
			return a.send(c.Context(), o)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "send to every shop of the tenant")
	c.Flags().StringVar(&file, "file", "", "send to the shops that this file lists")
	c.Flags().DurationVar(&o.expires, "expires", time.Hour, "how long the command is good for, at most 24h")
	c.Flags().DurationVar(&o.wait, "wait", time.Minute, "how long to wait for results; 0 sends and ends")
	formatFlag(c, &o.format, formatTable, formatJSON)
	return c
}

// aim finds out whom an order goes to, and returns the command and its arguments.
func (o *order) aim(args []string, all bool, file string) ([]string, error) {
	switch {
	case all && file != "":
		return nil, usage("--all and --file cannot both be meant")
	case file != "":
		stores, err := readList(file)
		o.stores = stores
		return args, err
	case all:
		return args, nil
	case len(args) == 0:
		return nil, usage("who is meant? Write a store's id, --all or --file LIST")
	}
	if _, isCommand := command.Needs(args[0]); isCommand {
		return nil, usage("who shall %s? Write a store's id, --all or --file LIST before it", args[0])
	}
	o.stores = args[:1]
	return args[1:], checkStore(args[0])
}

// readList reads a list of stores.
func readList(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("cannot read the list of shops: %v", err)
	}
	defer func() { _ = f.Close() }() // only read
	var stores []string
	seen := make(map[string]bool)
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		store := strings.TrimSpace(text)
		if store == "" || seen[store] {
			continue
		}
		if checkStore(store) != nil || strings.ContainsAny(store, " \t") {
			return nil, usage("%s, line %d: %q is no store's id", file, n, store)
		}
		seen[store] = true
		stores = append(stores, store)
	}
	if err := lines.Err(); err != nil {
		return nil, usage("cannot read the list of shops: %v", err)
	}
	if len(stores) == 0 {
		return nil, usage("%s lists no shop", file)
	}
	return stores, nil
}

// read reads the command and its arguments.
func (o *order) read(args []string) error {
	if len(args) == 0 {
		return usage("which command? See `ostatokctl send --help`")
	}
	o.cmd = args[0]
	if _, ok := command.Needs(o.cmd); !ok {
		return usage("there is no command %q; see `ostatokctl send --help`", o.cmd)
	}
	if o.expires < time.Second || o.expires > command.MaxLifetime {
		return usage("--expires must be between 1s and %v, not %v", command.MaxLifetime, o.expires)
	}
	if o.wait < 0 {
		return usage("--wait cannot be negative")
	}
	var err error
	o.args, err = readArguments(args[1:])
	return err
}

// readArguments makes one JSON object of what was written.
func readArguments(args []string) (json.RawMessage, error) {
	if len(args) == 0 {
		return nil, nil
	}
	object := make(map[string]any)
	if len(args) == 1 && strings.HasPrefix(args[0], "{") {
		if err := json.Unmarshal([]byte(args[0]), &object); err != nil {
			return nil, usage("the arguments are not a JSON object: %v", err)
		}
		return json.RawMessage(args[0]), nil
	}
	for _, arg := range args {
		// A code such as 10234 is a text although it looks like a number, so that
		// JSON is only what says that it is.
		name, text, ok := strings.Cut(arg, "=")
		name, isJSON := strings.CutSuffix(name, ":")
		if !ok || name == "" {
			return nil, usage("argument %q is not NAME=TEXT or NAME:=JSON", arg)
		}
		if _, twice := object[name]; twice {
			return nil, usage("argument %s is there twice", name)
		}
		object[name] = text
		if isJSON || neverText(name) && json.Valid([]byte(text)) {
			if !json.Valid([]byte(text)) {
				return nil, usage("argument %s is not JSON: write %s=… for a text", name, name)
			}
			object[name] = json.RawMessage(text)
		}
	}
	return json.Marshal(object)
}

// neverText tells whether an argument is a number or a truth value in every command
// that has it, so that nobody has to write := for it.
func neverText(name string) bool {
	switch name {
	case "limit", "lines", "backfill", "all", "assumed", "now":
		return true
	}
	return false
}

// send sends an order and waits for the results.
func (a *app) send(ctx context.Context, o order) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	key, err := s.signer()
	if err != nil {
		return err
	}
	f, sent := newFleet(a.now), newTally()
	topics := message.TopicsOf(s.Tenant, message.Any)
	if len(o.stores) == 1 {
		topics = message.TopicsOf(s.Tenant, o.stores[0])
	}
	c, err := a.connect(ctx, s, "", []subscription{{topics.Result, 1}, {topics.State, 0}}, func(p publication) {
		f.take(p)
		if r, ok := readAnswer(p); ok {
			sent.take(r)
		}
	})
	if err != nil {
		return err
	}
	defer c.close()
	// Who is there tells whom to wait for; when all are named it only tells who is
	// offline.
	if err := f.gathered(ctx, a.settle, func() bool { return len(o.stores) > 0 && f.has(o.stores) }); err != nil {
		return err
	}
	expires := a.now().Add(o.expires)
	if len(o.stores) == 0 {
		stores := f.stores()
		if len(stores) == 0 {
			return &exitError{exitNotFound, "no shop has shown itself under the tenant " + s.Tenant + ", so there is nobody to send to"}
		}
		id := rand.Text()
		sent.expectAll(id, stores)
		err = a.order(ctx, c, s, key, o, message.CommandToAll(s.Tenant), message.Everyone, id, expires)
	}
	for i := 0; i < len(o.stores) && err == nil; i++ {
		id, store := rand.Text(), o.stores[i]
		sent.expect(id, store)
		err = a.order(ctx, c, s, key, o, message.TopicsOf(s.Tenant, store).Command, store, id, expires)
	}
	switch {
	case err != nil:
		return err
	case o.wait == 0:
		a.say("sent to %d shops; good until %s", sent.size(), expires.UTC().Format(time.RFC3339))
		return nil
	}
	if err := a.await(ctx, o, sent); err != nil {
		return err
	}
	return a.sumUp(o, sent, f, expires)
}

// order signs and publishes one command.
func (a *app) order(ctx context.Context, c *connection, s *settings, key ed25519.PrivateKey, o order, topic, audience, id string, expires time.Time) error {
	now := a.now()
	token, err := command.Sign(key, command.Claims{
		ID: id, Issuer: s.Operator, Audience: []string{audience}, Cmd: o.cmd, Args: o.args,
		IssuedAt: now, ExpiresAt: expires,
	})
	if err != nil {
		return err
	}
	return c.publish(ctx, topic, []byte(token))
}

// await prints answers until all shops have given their last one.
func (a *app) await(ctx context.Context, o order, sent *tally) error {
	end := time.NewTimer(o.wait)
	defer end.Stop()
	for {
		answers, last := sent.news()
		for _, r := range answers {
			if err := a.printAnswer(o, r); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		select {
		case <-sent.changed:
		case <-end.C:
			return nil
		case <-ctx.Done(): // what came so far is worth a summary
			return nil
		}
	}
}

// sumUp says who did not do it, and what becomes of the command.
func (a *app) sumUp(o order, sent *tally, f *fleet, expires time.Time) error {
	silent, offline := sent.silent(), 0
	for _, store := range silent {
		if j, ok := f.find(store); !ok || j.phase() != message.Ready {
			offline++
		}
		if o.format == formatJSON {
			if err := a.printLine(answer{Store: store, Result: message.Result{ID: sent.id(store), Cmd: o.cmd, Status: unanswered}}); err != nil {
				return err
			}
		}
	}
	all, done := sent.size(), sent.done()
	text := fmt.Sprintf("%d of %d done", done, all)
	if failed := all - done - len(silent); failed > 0 {
		text += fmt.Sprintf(", %d not", failed)
	}
	if len(silent) > 0 {
		text += fmt.Sprintf(", %d without a final answer (%d of them offline); the command is good until %s",
			len(silent), offline, expires.UTC().Format(time.RFC3339))
	}
	a.say("%s", text)
	if done < all {
		return &exitError{code: exitIncomplete}
	}
	return nil
}

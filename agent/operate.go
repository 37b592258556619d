package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/message"
	"ostatok/agent/remote"
	"ostatok/agent/stock"
	"ostatok/platform/disk"
	"ostatok/sync/pull"
)

// Bounds of what is sent back: a result must fit into one message.
const (
	answerRows   = 100 // of a list, unless the command asks for another number
	answerMost   = 500
	bundleMost   = 180 << 10 // bytes of a diagnosis, before base64
	tailLines    = 100
	tailMost     = 1000
	backupsKept  = 3
	logLevelFor  = time.Hour // a level set from afar, unless told otherwise
	logLevelMost = 24 * time.Hour
)

// Do implements remote.Shop: the commands of design §5.3.
func (o operated) Do(ctx context.Context, c command.Claims, progress func(any)) (any, error) {
	switch c.Cmd {
	case command.Sync:
		return o.doSync(ctx, c.Args, progress)
	case command.Resync:
		return o.doResync(ctx, progress)
	case command.Stock:
		return o.doStock(ctx, c.Args)
	case command.Explain:
		return o.doExplain(ctx, c.Args)
	case command.Plan:
		return o.doPlan(ctx, c.Args)
	case command.Approve:
		return o.doApprove(ctx, c.Args)
	case command.Reject:
		return o.doReject(ctx, c.Args)
	case command.GetConfig:
		return o.config.Settings(), nil
	case command.LogLevel:
		return o.doLogLevel(c.Args)
	case command.Tail:
		return o.doTail(c.Args)
	case command.Diagnose:
		return o.doDiagnose(ctx)
	case command.Backup:
		return o.doBackup(ctx)
	case command.Update:
		return o.doUpdate(ctx, c.Args, progress)
	case command.Rollback:
		return o.doRollback(c)
	case command.Restart:
		o.end(Restart)
		return map[string]string{"state": "the agent ends and is started anew"}, nil
	}
	return nil, &message.Error{Code: "not_supported", Message: fmt.Sprintf("this agent cannot %s", c.Cmd)}
}

// Interrupted implements remote.Shop.
func (o operated) Interrupted(_ context.Context, c command.Claims) (any, error) {
	switch c.Cmd {
	case command.Restart: // here we are
		return map[string]any{"started": o.begun(), "version": o.build.Version}, nil
	case command.Update:
		return o.updateInterrupted(c.Args)
	case command.Rollback:
		return map[string]any{"version": o.build.Version}, nil
	}
	return nil, remote.ErrInterrupted
}

// decodeArgs reads the arguments of a command; an unknown one is refused, because
// what it was meant to do would silently not be done.
func decodeArgs(raw json.RawMessage, into any, form string) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badArgs("write the arguments as " + form)
	}
	return nil
}

func badArgs(text string) error { return &message.Error{Code: "arguments", Message: text} }

// answered gives errors that a command answers in its own way their code.
func answered(err error) error {
	if e, ok := errors.AsType[*local.Error](err); ok {
		return &message.Error{Code: string(e.Code), Message: e.Message}
	}
	return err
}

func (o operated) doSync(ctx context.Context, raw json.RawMessage, progress func(any)) (any, error) {
	var args struct {
		Backfill bool `json:"backfill"`
	}
	if err := decodeArgs(raw, &args, `{"backfill":false}`); err != nil {
		return nil, err
	}
	return o.Sync(ctx, args.Backfill, func(p local.Progress) { progress(p) })
}

func (o operated) doResync(ctx context.Context, progress func(any)) (any, error) {
	return o.sync(ctx, pull.Cycle{Again: true, Catalogue: true}, func(p local.Progress) { progress(p) })
}

func (o operated) doStock(ctx context.Context, raw json.RawMessage) (any, error) {
	var args struct {
		Query string `json:"query"`
		State string `json:"state"`
		Limit int    `json:"limit"`
	}
	if err := decodeArgs(raw, &args, `{"query":"","state":"","limit":100}`); err != nil {
		return nil, err
	}
	state := stock.State(args.State)
	if state != "" && !slices.Contains([]stock.State{stock.Known, stock.Assumed, stock.Unresolved, stock.Unknown}, state) {
		return nil, badArgs(`"state" must be known, assumed, unresolved or unknown`)
	}
	limit := bounded(args.Limit, answerRows, answerMost)
	answer := struct {
		Products []local.Item `json:"products"`
		More     bool         `json:"more"` // than fit: ask more narrowly
	}{Products: []local.Item{}}
	for row, err := range o.Stock(ctx, local.StockQuery{Text: args.Query, State: state}) {
		if err != nil {
			return nil, err
		}
		if len(answer.Products) == limit {
			answer.More = true
			break
		}
		answer.Products = append(answer.Products, row.Item)
	}
	return answer, nil
}

func (o operated) doExplain(ctx context.Context, raw json.RawMessage) (any, error) {
	var args struct {
		Product string `json:"product"`
		Limit   int    `json:"limit"`
	}
	const form = `{"product":"id, code, barcode, article or name","limit":100}`
	if err := decodeArgs(raw, &args, form); err != nil || args.Product == "" {
		return nil, badArgs("write the arguments as " + form)
	}
	e, err := o.Explain(ctx, args.Product)
	if err != nil {
		return nil, answered(err)
	}
	// The newest steps are those that somebody asks for.
	steps := len(e.Steps)
	e.Steps = e.Steps[max(0, steps-bounded(args.Limit, answerRows, answerMost)):]
	return map[string]any{"product": e.Product, "steps": e.Steps, "steps_total": steps, "from": e.From, "complete": e.Whole}, nil
}

func (o operated) doPlan(ctx context.Context, raw json.RawMessage) (any, error) {
	var args struct {
		Target string `json:"target"`
		All    bool   `json:"all"`
		Limit  int    `json:"limit"`
	}
	if err := decodeArgs(raw, &args, `{"target":"","all":false,"limit":100}`); err != nil {
		return nil, err
	}
	plans, err := o.Plans(ctx, args.Target, args.All)
	if err != nil {
		return nil, answered(err)
	}
	type cut struct {
		Plan           journal.Plan `json:"plan"`
		RowsTotal      int          `json:"rows_total"`
		UnmatchedTotal int          `json:"unmatched_total"`
	}
	limit := bounded(args.Limit, answerRows, answerMost)
	list := make([]cut, len(plans))
	for i, p := range plans {
		list[i] = cut{p, len(p.Rows), len(p.Unmatched)}
		list[i].Plan.Rows = p.Rows[:min(limit, len(p.Rows))]
		list[i].Plan.Unmatched = p.Unmatched[:min(limit, len(p.Unmatched))]
	}
	return list, nil
}

func (o operated) doApprove(ctx context.Context, raw json.RawMessage) (any, error) {
	var args struct {
		ID      string `json:"id"`
		Assumed bool   `json:"assumed"`
	}
	const form = `{"id":"PLAN","assumed":false}`
	if err := decodeArgs(raw, &args, form); err != nil || args.ID == "" {
		return nil, badArgs("write the arguments as " + form)
	}
	if err := o.Approve(ctx, args.ID, args.Assumed); err != nil {
		return nil, answered(err)
	}
	return map[string]string{"approved": args.ID}, nil
}

func (o operated) doReject(ctx context.Context, raw json.RawMessage) (any, error) {
	var args struct {
		ID string `json:"id"`
	}
	const form = `{"id":"PLAN"}`
	if err := decodeArgs(raw, &args, form); err != nil || args.ID == "" {
		return nil, badArgs("write the arguments as " + form)
	}
	if err := o.Reject(ctx, args.ID); err != nil {
		return nil, answered(err)
	}
	return map[string]string{"rejected": args.ID}, nil
}

func (o operated) doLogLevel(raw json.RawMessage) (any, error) {
	var args struct {
		Level string `json:"level"`
		For   string `json:"for"`
	}
	const form = `{"level":"debug","for":"1h"}`
	if err := decodeArgs(raw, &args, form); err != nil {
		return nil, err
	}
	length := logLevelFor
	if args.For != "" {
		var err error
		if length, err = time.ParseDuration(args.For); err != nil || length <= 0 || length > logLevelMost {
			return nil, badArgs(fmt.Sprintf(`"for" must be a duration up to %v`, logLevelMost))
		}
	}
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, args.Level) || o.logs.SetLevel == nil {
		return nil, badArgs("write the arguments as " + form)
	}
	o.logs.SetLevel(args.Level)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.logBack != nil {
		o.logBack.Stop()
	}
	// A chatty log wears out the card: it ends by itself.
	o.logBack = time.AfterFunc(length, func() { o.logs.SetLevel(o.config.Log.Level) })
	return map[string]any{"level": args.Level, "until": o.now().Add(length).UTC()}, nil
}

func (o operated) doTail(raw json.RawMessage) (any, error) {
	var args struct {
		Lines int `json:"lines"`
	}
	if err := decodeArgs(raw, &args, `{"lines":100}`); err != nil {
		return nil, err
	}
	if o.logs.Tail == nil {
		return nil, &message.Error{Code: "not_supported", Message: "this agent keeps no log"}
	}
	lines := o.logs.Tail(bounded(args.Lines, tailLines, tailMost))
	for i := range lines {
		for _, secret := range o.config.Secrets() {
			lines[i] = strings.ReplaceAll(lines[i], secret, "***")
		}
	}
	return map[string]any{"lines": lines}, nil
}

func (o operated) doDiagnose(ctx context.Context) (any, error) {
	checks, err := o.Check(ctx)
	if err != nil {
		return nil, err
	}
	var bundle bytes.Buffer
	if err := o.Diagnose(ctx, &bundle, checks); err != nil {
		return nil, err
	}
	if bundle.Len() > bundleMost {
		return nil, &message.Error{Code: "result_too_large", Message: fmt.Sprintf(
			"the diagnosis has %d bytes and %d can be sent; take it at the box with `ostatok diagnose FILE`", bundle.Len(), bundleMost)}
	}
	return map[string]any{"file": "diagnosis.tar.gz", "base64": bundle.Bytes()}, nil
}

// doBackup makes a backup beside the data: the way back after an update or a
// restore that went wrong. The card's own death needs a copy elsewhere.
func (o operated) doBackup(ctx context.Context) (any, error) {
	dir := filepath.Join(o.config.DataDir, "backups")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a backup: %w", err)
	}
	name := filepath.Join(dir, "ostatok-"+o.now().UTC().Format("20060102T150405Z")+".tar")
	file, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o600))
	if err != nil {
		return nil, fmt.Errorf("cannot make a backup: %w", err)
	}
	defer func() { _ = file.Cleanup() }()
	if err := o.Backup(ctx, file); err != nil {
		return nil, err
	}
	size, err := file.Seek(0, 1)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	// The names too, the folder's own among them: a power cut would take them.
	if err := errors.Join(err, disk.SyncDir(dir), disk.SyncDir(o.config.DataDir)); err != nil {
		return nil, fmt.Errorf("cannot make a backup: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "ostatok-*.tar"))
	if err != nil {
		return nil, err
	}
	slices.Sort(old) // by time, as they are named
	for _, f := range old[:max(0, len(old)-backupsKept)] {
		if err := os.Remove(f); err != nil {
			return nil, fmt.Errorf("cannot remove an old backup: %w", err)
		}
	}
	return map[string]any{"file": name, "bytes": size}, nil
}

func bounded(n, normal, most int) int {
	if n <= 0 {
		return normal
	}
	return min(n, most)
}

package push

import (
	"context"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// readBack reads what the target holds for rows that it has, or may have, taken.
// Those that are right are verified. The others wait for another look after the
// documents have been refreshed, because a sale may be under way or the target
// may be slow to apply; late tells that they have waited, and are returned to be
// sent again, at most mismatchesMost times.
func (e *Engine) readBack(ctx context.Context, r *run, jobs []job, late bool) (again []job, err error) {
	for len(jobs) > 0 && !r.stopped {
		part := jobs[:min(len(jobs), r.traits.ReadBatch)]
		jobs = jobs[len(part):]
		keys := make([]string, len(part))
		for i := range part {
			keys[i] = part[i].entry.Key
		}
		seen, err := r.Target.Read(ctx, keys)
		e.at("read")
		if err != nil {
			if err := e.readFailed(ctx, r, part, err); err != nil {
				return nil, err
			}
			continue
		}
		r.success = true
		more, err := e.compareBack(ctx, r, part, seen, late)
		if err != nil {
			return nil, err
		}
		again = append(again, more...)
	}
	return again, nil
}

func (e *Engine) compareBack(ctx context.Context, r *run, part []job, seen []target.Observation, late bool) (again []job, err error) {
	now := e.millis()
	byKey := make(map[string]target.Observation, len(seen))
	for _, o := range seen {
		byKey[o.Key] = o
	}
	var rows []journal.Entry
	var held []journal.Held
	for _, j := range part {
		entry := j.entry
		o, told := byKey[entry.Key]
		if told {
			held = append(held, observed(r.Name, entry.Product, o, j.want, now))
		}
		holds := func(q stock.Quantity) bool { return told && o.Found && o.Quantity == q }
		if entry.State == journal.Sent && holds(entry.Wanted) {
			// It did arrive, and nobody has been told.
			if err := e.wrote(ctx, r, &entry); err != nil {
				return nil, err
			}
		}
		switch {
		case holds(j.want):
			entry.Wanted = j.want
			r.rest(&entry, journal.Verified, "")
			rows = append(rows, entry)
		case !late:
			entry.NextTry = now + e.backoff(entry.Mismatches+1, nil).Milliseconds()
			entry.LastError = mismatch(told, o, entry.Wanted)
			r.report.Delayed++
			rows = append(rows, entry)
		case entry.State == journal.Sent || entry.Wanted != j.want:
			again = append(again, job{entry: entry, want: j.want}) // it never arrived, or is old
		case entry.Mismatches+1 >= mismatchesMost:
			entry.Mismatches++
			r.rest(&entry, journal.Blocked, "the target accepts the figure and does not hold it: "+mismatch(told, o, entry.Wanted))
			rows = append(rows, entry)
		default:
			entry.Mismatches++
			again = append(again, job{entry: entry, want: j.want})
		}
	}
	if _, err := e.record(ctx, r, rows, held); err != nil {
		return nil, err
	}
	e.at("compared")
	return again, nil
}

func mismatch(told bool, o target.Observation, sent stock.Quantity) string {
	if told && !o.Found && o.Reason != "" {
		return fmt.Sprintf("%s, %s was sent", o.Reason, sent)
	}
	if !told || !o.Found {
		return fmt.Sprintf("it does not know the key, %s was sent", sent)
	}
	return fmt.Sprintf("it holds %s, %s was sent", o.Quantity, sent)
}

// readFailed deals with a failed reading. The rows keep their state: they are
// looked at again before anything is sent.
func (e *Engine) readFailed(ctx context.Context, r *run, part []job, fault error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch v := judge(fault, true); v {
	case passing:
		e.callFailed(r, v, fault)
		return nil
	case shut:
		return e.shutOut(ctx, r, fault)
	}
	// Something about these keys: the others need not wait for them.
	rows := make([]journal.Entry, len(part))
	for i, j := range part {
		entry := &rows[i]
		*entry = j.entry
		entry.Attempts++
		if entry.Attempts >= mismatchesMost {
			r.rest(entry, journal.Blocked, "it cannot be read back: "+fault.Error())
			continue
		}
		entry.LastError = fault.Error()
		entry.NextTry = e.millis() + e.backoff(entry.Attempts, fault).Milliseconds()
		r.report.Delayed++
	}
	_, err := e.record(ctx, r, rows, nil)
	return err
}

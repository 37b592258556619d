package evotor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ostatok/sync/rest"
)

// Task is work that the cloud does later.
type Task struct {
	ID       string
	Type     string // product or product-group
	Status   string // ACCEPTED, RUNNING, COMPLETED, FAILED, DECLINED
	Modified int64  // epoch ms
	Failures []TaskFailure
}

// TaskFailure is one card that was not taken.
type TaskFailure struct {
	Product string
	Code    string // "validation_failed"
	Reason  string // message and violations, for people
}

// Done tells whether the task will not change any more.
func (t Task) Done() bool {
	switch t.Status {
	case "COMPLETED", "FAILED", "DECLINED":
		return true
	}
	return false
}

// Err is nil for a task that took every card, or is not done.
func (t Task) Err() error {
	switch {
	case t.Status == "DECLINED" || t.Status == "FAILED":
		if len(t.Failures) > 0 {
			return fmt.Errorf("the cloud refused the cards (%s): %s", t.Status, t.Failures[0].Reason)
		}
		return fmt.Errorf("the cloud refused the cards (%s)", t.Status)
	case t.Done() && len(t.Failures) > 0:
		return fmt.Errorf("the cloud refused %d cards, the first: %s", len(t.Failures), t.Failures[0].Reason)
	}
	return nil
}

// Task asks how a task stands.
func (c *Client) Task(ctx context.Context, id string) (Task, error) {
	resp, body, err := c.get(ctx, "bulks", "bulks", id)
	if err != nil {
		return Task{}, err
	}
	return readTask(resp, body)
}

// WaitTask asks until the task is done, less and less often. The error is about
// asking; whether the cards were taken is the task's Err.
func (c *Client) WaitTask(ctx context.Context, id string) (Task, error) {
	for wait := time.Second; ; wait = min(wait*2, 30*time.Second) {
		t, err := c.Task(ctx, id)
		if err != nil || t.Done() {
			return t, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return t, fmt.Errorf("cannot wait for task %s: %w", id, ctx.Err())
		case <-timer.C:
		}
	}
}

// readTask decodes the task in an answer.
func readTask(resp *rest.Response, body []byte) (Task, error) {
	t, err := decodeTask(body)
	if err != nil {
		return t, resp.Broken(err)
	}
	return t, nil
}

func decodeTask(body []byte) (Task, error) {
	if err := checkObject(body); err != nil {
		return Task{}, err
	}
	var t Task
	c := cursor{text: body}
	for c.enter(); c.more(); {
		switch string(c.name()) {
		case "id":
			t.ID, _ = text(c.skip())
		case "type":
			t.Type, _ = text(c.skip())
		case "status":
			t.Status, _ = text(c.skip())
		case "modified_at":
			t.Modified, _ = optional(c.skip(), moment)
		case "details":
			if c.kind() != '[' {
				c.skip()
				continue
			}
			for c.enter(); c.more(); {
				if f, bad := taskFailure(c.skip()); bad {
					t.Failures = append(t.Failures, f)
				}
			}
		default:
			c.skip()
		}
	}
	if t.ID == "" || t.Status == "" {
		return t, errors.New("the answer is not a task")
	}
	return t, nil
}

// taskFailure reads one element of details: a card that was taken comes back as
// it is, one that was not has a code, a message or violations.
func taskFailure(raw []byte) (f TaskFailure, bad bool) {
	c := cursor{text: raw}
	if c.kind() != '{' {
		return f, false
	}
	var reasons []string
	for c.enter(); c.more(); {
		switch string(c.name()) {
		case "product_id":
			f.Product, _ = text(c.skip())
		case "code":
			f.Code, _ = text(c.skip())
		case "message":
			s, _ := text(c.skip())
			reasons, bad = append(reasons, s), true
		case "violations":
			if c.kind() != '[' {
				c.skip()
				continue
			}
			for c.enter(); c.more(); {
				reasons, bad = append(reasons, violation(c.skip())), true
			}
		default:
			c.skip()
		}
	}
	f.Reason = strings.Join(reasons, "; ")
	return f, bad
}

func violation(raw []byte) string {
	c := cursor{text: raw}
	if c.kind() != '{' {
		return string(clip(raw))
	}
	var subject, reason string
	for c.enter(); c.more(); {
		switch string(c.name()) {
		case "subject":
			subject, _ = text(c.skip())
		case "reason":
			reason, _ = text(c.skip())
		default:
			c.skip()
		}
	}
	return subject + " " + reason
}

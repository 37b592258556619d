package main

import (
	"fmt"
	"slices"
	"time"

	"ostatok/agent/message"
)

// severity orders shops: what cannot wait comes first.
type severity int

const (
	fine    severity = iota
	notice           // somebody's turn to decide or to count
	warning          // the shop does not get on
	severe           // nobody knows how the shop is
)

func (s severity) String() string { return [...]string{"ok", "notice", "warning", "severe"}[s] }

const (
	// A shop tells how it is at least every five minutes; two missed ones are no
	// accident.
	silence = 11 * time.Minute
	// The cloud is looked at every minute or so.
	behind = 15 * time.Minute
	// Below this a box cannot update itself or keep a backup.
	littleDisk = 64 << 20
)

// finding is one thing that is wrong with a shop.
type finding struct {
	severity severity
	kind     string // stays the same while figures in the text change
	text     string
}

// judged is a shop and what is wrong with it, the worst first.
type judged struct {
	shop
	findings []finding
}

func (j judged) worst() severity {
	worst := fine
	for _, f := range j.findings {
		worst = max(worst, f.severity)
	}
	return worst
}

// judge says what an operator should look at.
func judge(s shop, now time.Time) judged {
	j := judged{shop: s}
	find := func(severity severity, kind, text string, args ...any) {
		j.findings = append(j.findings, finding{severity, kind, fmt.Sprintf(text, args...)})
	}
	j.judgeConnection(now, find)
	if s.Status != nil {
		judgeSync(s.Status, find)
		judgeTargets(s.Status, find)
		judgeBox(s.Status, find)
	}
	return j
}

type find func(severity severity, kind, text string, args ...any)

func (j judged) judgeConnection(now time.Time, find find) {
	if j.unreadable != "" {
		find(severe, "unreadable", "its %s is not what a shop sends", j.unreadable)
	}
	switch j.phase() {
	case message.Lost:
		if j.Status != nil {
			find(severe, "lost", "connection lost, last heard %s ago", age(now.Sub(j.spoke())))
		} else {
			find(severe, "lost", "connection lost")
		}
		return
	case message.Disconnected:
		find(warning, "stopped", "stopped on purpose")
		return
	case "unknown":
		find(severe, "unknown", "has never said that it is there")
	}
	if j.Status == nil {
		find(warning, "no status", "has not told yet how it is")
		return
	}
	// A shop with a wrong clock cannot be judged by the times that it writes.
	if quiet := now.Sub(j.spoke()); quiet > silence && (j.Status.Clock == "" || !j.heard.IsZero()) {
		find(warning, "silent", "silent for %s", age(quiet))
	}
}

// spoke is when the shop last told something: by our own clock when we were
// there, otherwise by the shop's.
func (j judged) spoke() time.Time {
	if !j.heard.IsZero() || j.Status == nil {
		return j.heard
	}
	return j.Status.At
}

func judgeSync(s *message.Status, find find) {
	switch {
	case s.Sync.Lag == nil:
		find(warning, "sync", "never in step with the cloud yet (%s, %.0f %%)", s.Sync.Phase, s.Sync.Percent)
	case time.Duration(*s.Sync.Lag)*time.Second > behind:
		find(warning, "behind", "%s behind the cloud", age(time.Duration(*s.Sync.Lag)*time.Second))
	case !s.Sync.Complete:
		find(notice, "sync", "still reading documents (%s, %.0f %%)", s.Sync.Phase, s.Sync.Percent)
	}
	for _, p := range s.Problems {
		find(warning, p.Kind, "%s", p.Message)
	}
	if s.Levels.Unknown > 0 {
		find(notice, "count", "%d to count", s.Levels.Unknown)
	}
	if s.Quarantine > 0 {
		find(notice, "quarantine", "%d set aside", s.Quarantine)
	}
}

func judgeTargets(s *message.Status, find find) {
	for _, t := range s.Targets {
		if t.Policy == "off" {
			continue
		}
		if t.LastError != "" {
			find(warning, t.Name+" error", "%s: %s", t.Name, t.LastError)
		}
		if t.Rejected > 0 {
			find(warning, t.Name+" rejected", "%s: %d rejected", t.Name, t.Rejected)
		}
		if t.Blocked > 0 {
			find(notice, t.Name+" blocked", "%s: %d blocked", t.Name, t.Blocked)
		}
	}
	for _, p := range s.Plans {
		// Under "off" a plan is for looking at; nobody is asked.
		off := slices.ContainsFunc(s.Targets, func(t message.Target) bool { return t.Name == p.Target && t.Policy == "off" })
		if p.State == "open" && !off {
			find(notice, p.Target+" plan", "%s: plan %s waits for approval", p.Target, p.ID)
		}
	}
}

func judgeBox(s *message.Status, find find) {
	if s.Clock != "" {
		find(warning, "clock", "clock: %s", s.Clock)
	}
	if s.Disk.Free > 0 && s.Disk.Free < littleDisk {
		find(warning, "disk", "%d MB of disk left", s.Disk.Free>>20)
	}
	if n := s.Feed.Dropped.Info + s.Feed.Dropped.Warning + s.Feed.Dropped.Error; n > 0 {
		find(notice, "dropped", "%d events were dropped", n)
	}
}

// age is a duration as people say it.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"ostatok/agent/message"
)

func (a *app) exportCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the present state of all shops as CSV or JSON",
		Long: `Writes the present state of all shops to FILE, or to stdout without one or for -: one row for each shop
as CSV, or one array with each shop's whole status as JSON. Rows of targets are
added up in the CSV.`,
		Example: `  ostatokctl export fleet.csv
  ostatokctl export --format json | jq '[.[] | .status.outbox] | add'`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.look(c.Context(), func(f *fleet) error {
				if len(args) == 0 || args[0] == "-" {
					return writeExport(a.out, f.list(), format)
				}
				return exportFile(args[0], f.list(), format)
			})
		},
	}
	formatFlag(c, &format, formatCSV, formatJSON)
	return c
}

// exportFile writes the whole file or none.
func exportFile(file string, shops []judged, format string) error {
	t, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err == nil {
		err = errors.Join(writeExport(t, shops, format), t.CloseAtomicallyReplace(), t.Cleanup())
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	return nil
}

// exported is one shop as JSON.
type exported struct {
	Store    string          `json:"store"`
	State    message.Phase   `json:"state"`
	Session  int64           `json:"session"`
	Version  string          `json:"version"`
	SeenAt   *time.Time      `json:"seen_at"` // null when it has never told
	Trouble  string          `json:"trouble"` // ok, notice, warning, severe
	Findings []string        `json:"findings"`
	Status   *message.Status `json:"status"` // null when it has never told
}

func export(shops []judged) []exported {
	all := make([]exported, 0, len(shops))
	for _, s := range shops {
		e := exported{
			Store: s.Store, State: s.phase(), Session: s.session(), Version: s.version(),
			Trouble: s.worst().String(), Findings: []string{}, Status: s.Status,
		}
		if t := s.spoke(); !t.IsZero() {
			t = t.UTC().Truncate(time.Second)
			e.SeenAt = &t
		}
		for _, f := range s.findings {
			e.Findings = append(e.Findings, f.text)
		}
		all = append(all, e)
	}
	return all
}

func writeExport(w io.Writer, shops []judged, format string) error {
	if format == formatJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(export(shops))
	}
	out := csv.NewWriter(w)
	_ = out.Write([]string{ // an error stays in the writer and is returned at the end
		"store", "state", "session", "version", "seen_at", "trouble", "findings",
		"sync_phase", "sync_percent", "lag_seconds", "known", "assumed", "unresolved", "unknown",
		"planned", "accepted", "rejected", "blocked", "drift", "outbox", "quarantine", "disk_free", "memory",
	})
	for _, s := range shops {
		seen := ""
		if t := s.spoke(); !t.IsZero() {
			seen = t.UTC().Format(time.RFC3339)
		}
		row := []string{
			s.Store, string(s.phase()), strconv.FormatInt(s.session(), 10), clean(s.version()), seen, s.worst().String(), clean(s.words()),
		}
		_ = out.Write(append(row, figures(s.Status)...))
	}
	out.Flush()
	return out.Error()
}

// figures are the columns of a status, empty ones for a shop that has none.
func figures(s *message.Status) []string {
	if s == nil {
		return make([]string, 16)
	}
	lag := ""
	if s.Sync.Lag != nil {
		lag = strconv.FormatInt(*s.Sync.Lag, 10)
	}
	row := []string{clean(s.Sync.Phase), strconv.FormatFloat(s.Sync.Percent, 'f', -1, 64), lag}
	var all message.Target
	for _, t := range s.Targets {
		all.Planned += t.Planned
		all.Accepted += t.Accepted
		all.Rejected += t.Rejected
		all.Blocked += t.Blocked
	}
	for _, n := range []int{
		s.Levels.Known, s.Levels.Assumed, s.Levels.Unresolved, s.Levels.Unknown,
		all.Planned, all.Accepted, all.Rejected, all.Blocked, s.Drift, s.Outbox, s.Quarantine,
	} {
		row = append(row, strconv.Itoa(n))
	}
	return append(row, strconv.FormatUint(s.Disk.Free, 10), strconv.FormatUint(s.Memory, 10))
}

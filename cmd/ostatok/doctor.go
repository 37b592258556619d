package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/local"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that the agent needs, and say what to do",
		Long:  "Checks the configuration, secrets, clock, network, token, disk and files, and changes nothing.\nExit 0: fine; 5: warnings; 6: errors.",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := a.examine(cmd.Context(), true)
			if err := a.printChecks(checks); err != nil {
				return err
			}
			return verdict(checks)
		},
	}
}

// examine runs the checks. A configuration that is not valid is the only finding
// then: nothing else can be looked at without it. asOwner is agent.Doctor.AsOwner.
func (a *app) examine(ctx context.Context, asOwner bool) []local.Check {
	c, err := config.Load(a.file, a.environ)
	if err != nil {
		invalid, ok := errors.AsType[*config.InvalidError](err)
		if !ok {
			return []local.Check{{Name: "config", Status: local.Failed, Message: err.Error(), Do: "see `ostatok config check`"}}
		}
		var checks []local.Check
		for _, p := range invalid.Problems {
			do := p.Do
			p.Do = ""
			checks = append(checks, local.Check{Name: "config", Status: local.Failed, Message: p.String(), Do: do})
		}
		return checks
	}
	d := agent.Doctor{Config: c, Options: a.options(zerolog.Nop()), AsOwner: asOwner}
	return d.Check(ctx)
}

func (a *app) printChecks(checks []local.Check) error {
	if a.format == formatJSON {
		return a.printJSON(checks)
	}
	if a.format == formatCSV {
		l := a.list(column{name: "name"}, column{name: "status"}, column{name: "message"}, column{name: "do"})
		for _, c := range checks {
			l.add(c.Name, string(c.Status), c.Message, c.Do)
		}
		return l.end()
	}
	for _, c := range checks {
		// One line a finding and one for what to do: these are sentences, which a
		// table would only cut.
		if _, err := fmt.Fprintf(a.out, "%-8s %-9s %s\n", c.Status, c.Name, c.Message); err != nil {
			return err
		}
		if c.Do != "" {
			if _, err := fmt.Fprintf(a.out, "%-8s %-9s → %s\n", "", "", c.Do); err != nil {
				return err
			}
		}
	}
	return nil
}

// verdict is the exit code of the worst finding.
func verdict(checks []local.Check) error {
	code := 0
	for _, c := range checks {
		switch c.Status {
		case local.Failed:
			code = exitErrors
		case local.Warning:
			code = max(code, exitWarnings)
		}
	}
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent"
)

// Set by the linker: -X main.version=1.2.3 -X main.commit=… -X main.built=…
// (RFC 3339).
var version, commit, built string

// oldest is the date of this source. A program that was built without a date is
// no older than this, and the clock of a box cannot be right before it.
const oldest = "2026-11-01T00:00:00Z"

func readBuild() agent.Build {
	b := agent.Build{Version: version, Commit: commit}
	stamp := built
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.time" && stamp == "":
				stamp = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "dev"
	}
	var err error
	if b.Time, err = time.Parse(time.RFC3339, stamp); err != nil {
		b.Time, _ = time.Parse(time.RFC3339, oldest) // a constant, known to parse
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit, the build and the schema level",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string    `json:"version"`
				Commit  string    `json:"commit"`
				Built   time.Time `json:"built"`
				Go      string    `json:"go"`
				System  string    `json:"system"`
				Schema  int       `json:"schema_level"`
			}{a.build.Version, a.build.Commit, a.build.Time.UTC(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, agent.SchemaLevel}
			if a.format == formatJSON {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintf(a.out, "ostatok %s\ncommit  %s\nbuilt   %s\ngo      %s %s\nschema  %d\n",
				v.Version, orNone(v.Commit), v.Built.Format(time.RFC3339), v.Go, v.System, v.Schema)
			return err
		},
	}
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

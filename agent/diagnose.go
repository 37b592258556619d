package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"ostatok/agent/local"
	"ostatok/agent/mirror"
)

// Diagnose implements local.Shop: a tar.gz that an installer can send to
// support as it is. A part that cannot be read is replaced by the error, because
// a diagnosis is asked for when things are broken.
func (a *Agent) Diagnose(ctx context.Context, w io.Writer, checks []local.Check) error {
	packed := gzip.NewWriter(w)
	out := tar.NewWriter(packed)
	status, statusErr := a.Status(ctx)
	plans, plansErr := a.engine.Plans(ctx, "", true)
	events, eventsErr := a.events(ctx)
	bad, badErr := a.mirror.Quarantine(ctx, 100)
	for _, part := range []struct {
		name string
		data any
		err  error
	}{
		{"version.json", a.version(), nil},
		{"config.json", a.config.Settings(), nil},
		{"warnings.json", a.config.Warnings, nil},
		{"doctor.json", checks, nil},
		{"status.json", status, statusErr},
		{"plans.json", plans, plansErr},
		{"events.json", events, eventsErr},
		{"quarantine.json", heads512(bad), badErr},
	} {
		data := part.data
		if part.err != nil {
			data = map[string]string{"error": part.err.Error()}
		}
		text, err := json.MarshalIndent(data, "", "  ")
		if err != nil {
			return fmt.Errorf("cannot write the diagnosis: %w", err)
		}
		// Nothing above holds a secret; this is for the day when something does.
		for _, secret := range a.config.Secrets() {
			text = bytes.ReplaceAll(text, []byte(secret), []byte("***"))
		}
		err = out.WriteHeader(&tar.Header{Name: part.name, Size: int64(len(text)), Mode: 0o600, ModTime: a.now()})
		if err != nil {
			return fmt.Errorf("cannot write the diagnosis: %w", err)
		}
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("cannot write the diagnosis: %w", err)
		}
	}
	if err := errors.Join(out.Close(), packed.Close()); err != nil {
		return fmt.Errorf("cannot write the diagnosis: %w", err)
	}
	return nil
}

func (a *Agent) version() map[string]string {
	return map[string]string{
		"version": a.build.Version, "commit": a.build.Commit, "go": runtime.Version(),
		"system": runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// badHead is the beginning of an item that was set aside: enough to see its
// form, too little to carry a shop's sales away.
type badHead struct {
	Where  string `json:"where"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Bytes  int    `json:"bytes"`
	Head   string `json:"head"`
}

func heads512(bad []mirror.Bad) []badHead {
	list := make([]badHead, 0, len(bad))
	for _, b := range bad {
		head := b.Raw[:min(512, len(b.Raw))]
		list = append(list, badHead{Where: b.Where, ID: b.ID, Reason: b.Reason, Bytes: len(b.Raw), Head: string(bytes.ToValidUTF8(head, []byte("?")))})
	}
	return list
}

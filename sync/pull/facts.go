package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ostatok/agent/mirror"
)

// facts is what the puller remembers between two starts. It lies in one row of
// the mirror: when the mirror is lost, everything is pulled anew, and what was
// remembered of the lost one would only mislead.
type facts struct {
	// High is where polling starts from, before the overlap: the newest close
	// time met by a listing that was read to its end, epoch ms. A listing that
	// broke off does not raise it, since nothing is promised about the order
	// within one (evotor-cloud §10).
	High int64 `json:"high,omitempty"`

	Started int64 `json:"started,omitempty"` // when the first synchronisation was planned, epoch ms
	Newest  int64 `json:"newest,omitempty"`  // newest close time met by it, epoch ms

	Deep    int64 `json:"deep,omitempty"`    // when the last deep re-scan ended, epoch ms
	Success int64 `json:"success,omitempty"` // when the last complete cycle ended, epoch ms
	Counted int64 `json:"counted,omitempty"` // close time of the newest full INVENTORY, epoch ms

	// Listed are the terminals whose history is in the mirror or planned; Heard
	// those of which at least one document came. The application's documents
	// appear, old ones too, when it is installed on a terminal (evotor-cloud §2),
	// which shows as a name new to either list.
	Listed []string `json:"listed,omitempty"`
	Heard  []string `json:"heard,omitempty"`

	// Refused is set while the cloud keeps the shop's documents to itself:
	// afterwards what is below the overlap has to be asked again.
	Refused bool `json:"refused,omitempty"`

	Run       int64   `json:"run,omitempty"`       // number of the last reading of the catalogue
	Catalogue int64   `json:"catalogue,omitempty"` // when the catalogue was last read to its end, epoch ms
	Shrunk    *shrunk `json:"shrunk,omitempty"`
}

// shrunk is a catalogue that came back much smaller than it was.
type shrunk struct {
	Since   int64  `json:"since"` // first reading of this very list, epoch ms
	Seen    int    `json:"seen"`
	List    uint64 `json:"list"` // what the list held, regardless of order
	Equal   int    `json:"equal"`
	Message string `json:"message"`
}

// factsKey names the row in the mirror.
const factsKey = "pull"

// successEvery bounds how often the mere passing of time is written: an idle
// shop must not wear out its flash card.
const successEvery = 10 * time.Minute

// load reads the facts once.
func (p *Puller) load(ctx context.Context) error {
	if p.loaded {
		return nil
	}
	text, err := p.mirror.Meta(ctx, factsKey)
	if err != nil {
		return fmt.Errorf("cannot read how far the pull has come: %w", err)
	}
	var f facts
	if text != "" {
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			// Without it more is asked of the cloud than needed, and nothing is lost.
			p.log.Warn().Err(err).Msg("the pull's notes are not readable, starting without")
			f = facts{}
		}
	}
	p.facts, p.saved, p.loaded = f, text, true
	coverage, err := p.mirror.Coverage(ctx)
	if err != nil {
		return fmt.Errorf("cannot read how far the pull has come: %w", err)
	}
	p.update(func(s *Status) {
		s.Coverage = coverage
		if f.Success > 0 {
			s.LastSuccess = time.UnixMilli(f.Success).UTC()
		}
	})
	return nil
}

// save writes the facts if they changed.
func (p *Puller) save(ctx context.Context) error {
	text, err := json.Marshal(p.facts)
	if err != nil {
		return fmt.Errorf("cannot note how far the pull has come: %w", err)
	}
	if string(text) == p.saved {
		return nil
	}
	if err := p.mirror.SetMeta(ctx, factsKey, string(text)); err != nil {
		return fmt.Errorf("cannot note how far the pull has come: %w", err)
	}
	p.saved = string(text)
	return nil
}

// cover makes coverage durable and visible.
func (p *Puller) cover(ctx context.Context, c mirror.Coverage) error {
	c.Newest = max(p.coverage().Newest, p.facts.Newest)
	if _, err := p.mirror.PutDocuments(ctx, mirror.Batch{Coverage: &c, Defer: true}); err != nil {
		return fmt.Errorf("cannot note the known history: %w", err)
	}
	p.update(func(s *Status) { s.Coverage = c })
	return nil
}

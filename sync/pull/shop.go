package pull

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"ostatok/agent/mirror"
	"ostatok/sync/evotor"
)

// visible asks for the stores and tells whether ours is among them. A token
// that sees other shops, or none, must not empty this one's mirror.
func (p *Puller) visible(ctx context.Context, found *findings) (bool, error) {
	var stores []evotor.Store
	err := p.attempt(ctx, func() (err error) {
		stores, err = p.cloud.Stores(ctx)
		return err
	})
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(stores, func(s evotor.Store) bool { return s.ID == p.o.Store }) {
		return true, nil
	}
	message := "The token sees no shop at all."
	advice := "Check in the Evotor account that the application is installed and may see shops."
	if len(stores) > 0 {
		message = "The token sees " + plural(len(stores), "shop") + ", but not " + p.o.Store + "."
		advice = "Check `store` in the configuration, letter by letter; the token's shops are:"
		for _, s := range stores[:min(len(stores), 5)] {
			advice += " " + s.ID + " (" + s.Name + ")"
		}
	}
	found.add(Problem{Kind: StoreNotVisible, Message: message, Advice: advice, Blocks: true})
	return false, nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "one other " + what
	}
	return strconv.Itoa(n) + " other " + what + "s"
}

// devices asks for the terminals and plans to read the documents of those that
// were not there before: a terminal on which the application is installed later
// brings its old documents with it (evotor-cloud §2).
func (p *Puller) devices(ctx context.Context) ([]mirror.Device, error) {
	var answer []evotor.Device
	err := p.attempt(ctx, func() (err error) {
		answer, err = p.cloud.Devices(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	var devices []mirror.Device
	var ids, fresh []string
	for _, d := range answer {
		if d.Store != "" && d.Store != p.o.Store {
			continue
		}
		devices = append(devices, mirror.Device{ID: d.ID, Name: d.Name, Created: d.Created})
		ids = append(ids, d.ID)
		if !slices.Contains(p.facts.Listed, d.ID) {
			fresh = append(fresh, d.ID)
		}
	}
	if len(devices) == 0 {
		// A shop has a terminal; an empty list says nothing, and forgetting all
		// of them would read everything anew when they come back.
		return nil, nil
	}
	if _, err := p.mirror.PutDevices(ctx, devices); err != nil {
		return nil, fmt.Errorf("cannot store terminals: %w", err)
	}
	started := p.facts.Started > 0
	if started {
		if err := p.planRescans(ctx, fresh); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	p.facts.Listed = ids
	return devices, p.save(ctx)
}

// planRescans plans to read all that is known of the history again for these
// terminals.
func (p *Puller) planRescans(ctx context.Context, devices []string) error {
	since := p.coverage().From
	if since == 0 { // the first synchronisation goes on
		first, err := p.windows(ctx, kindFirst)
		if err != nil {
			return err
		}
		if len(first) == 0 {
			return nil
		}
		since = first[len(first)-1].Since
	}
	var windows []mirror.Window
	for _, device := range devices {
		p.log.Info().Str("device", device).Msg("older documents of the terminal are read again")
		windows = append(windows, years(kindRescan, device, since, p.now())...)
	}
	return p.putWindows(ctx, windows)
}

// rescans reads the planned windows of terminals that became visible later.
func (p *Puller) rescans(ctx context.Context, found *findings, r *Report) error {
	windows, err := p.windows(ctx, kindRescan)
	if err != nil || len(windows) == 0 {
		return err
	}
	for i, w := range windows {
		if w.Done {
			continue
		}
		in := reading{window: w, kept: true, bulk: true}
		p.progress(PhaseRescan, 100*float64(i)/float64(len(windows)), label(w))
		err := p.read(ctx, &in)
		p.taken(&in, r)
		p.hear(in.heard)
		if err != nil {
			if err = p.deviceRefused(ctx, in.window, err, found); err != nil {
				return err
			}
		}
	}
	if err := p.save(ctx); err != nil {
		return err
	}
	if err := p.fold(ctx, r, false); err != nil {
		return err
	}
	return p.dropWindows(ctx, kindRescan)
}

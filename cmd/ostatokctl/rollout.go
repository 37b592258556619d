package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/agent/command"
	"ostatok/agent/message"
	"ostatok/platform/release"
)

// rollout is a release on its way through the fleet.
type rollout struct {
	version string
	now     bool
	stages  []stage
	most    float64       // share of a stage that may fail
	silence time.Duration // a shop that tells nothing for so long has failed
	wait    time.Duration // for a stage

	fleet *fleet
	heard *answers
	send  func(ctx context.Context, store string) (id string, err error)
}

// stage is how many shops have a release when it ends: a number, or a share.
type stage struct {
	shops int
	share float64
}

// size is a stage's number of shops among so many.
func (s stage) size(all int) int {
	if s.share > 0 {
		return min(all, int(math.Ceil(s.share*float64(all))))
	}
	return min(all, s.shops)
}

func parseStages(text string) ([]stage, error) {
	var stages []stage
	for part := range strings.SplitSeq(text, ",") {
		number, isShare := strings.CutSuffix(strings.TrimSpace(part), "%")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || (isShare && n > 100) {
			return nil, usage("--stages %s: %q is neither a number of shops nor a share; write 1,10%%,100%%", text, part)
		}
		s := stage{shops: n}
		if isShare {
			s = stage{share: float64(n) / 100}
		}
		stages = append(stages, s)
	}
	return stages, nil
}

func (a *app) rolloutCommand() *cobra.Command {
	var r rollout
	var stages, file string
	var percent int
	c := &cobra.Command{
		Use:   "rollout VERSION",
		Short: "Bring a release to the fleet in stages, and stop when it does no good",
		Long: `Sends update to the shops of one stage after the other. A stage ends when each of
its shops runs the version and has kept it, went back from it, refused it, or fell
silent. When more than --most of a stage did not keep it, the rollout stops: shops
that were told already go on by themselves, others are not told.

Shops that are offline at the start are left out; run it again for them. Without
--now a shop switches when it does not trade, so a stage may take a day.

Exit code 0 means that every shop runs the version, 3 that some do not.`,
		Example: `  ostatokctl release rollout 1.4.0
  ostatokctl release rollout 1.4.0 --file north.txt --stages 5,100% --now`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if r.version = args[0]; !release.ValidVersion(r.version) {
				return usage("%q is not a version such as 1.4.0", r.version)
			}
			if r.stages, err = parseStages(stages); err != nil {
				return err
			}
			if percent < 0 || percent > 100 || r.silence <= 0 || r.wait <= 0 {
				return usage("--most is a share up to 100, --silence and --wait are durations")
			}
			r.most = float64(percent) / 100
			var stores []string
			if file != "" {
				if stores, err = readList(file); err != nil {
					return err
				}
			}
			return a.rollout(c.Context(), &r, stores)
		},
	}
	c.Flags().StringVar(&stages, "stages", "1,10%,100%", "how many shops, or which share of them, have it at the end of each stage")
	c.Flags().StringVar(&file, "file", "", "only the shops that this file lists")
	c.Flags().BoolVar(&r.now, "now", false, "also while the shops trade")
	c.Flags().IntVar(&percent, "most", 10, "percent of a stage that may go back, refuse or fall silent")
	c.Flags().DurationVar(&r.silence, "silence", 20*time.Minute, "a shop that tells nothing for so long has fallen silent")
	c.Flags().DurationVar(&r.wait, "wait", 24*time.Hour, "how long a stage may take; who is not done then has failed")
	return c
}

// rollout finds the shops and takes the release through the stages.
func (a *app) rollout(ctx context.Context, r *rollout, stores []string) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	key, err := s.signer()
	if err != nil {
		return err
	}
	r.fleet, r.heard = newFleet(a.now), newAnswers(a.now)
	topics := message.TopicsOf(s.Tenant, message.Any)
	c, err := a.connect(ctx, s, "", []subscription{{topics.Result, 1}, {topics.State, 0}, {topics.Status, 0}}, func(p publication) {
		r.fleet.take(p)
		r.heard.take(p)
	})
	if err != nil {
		return err
	}
	defer c.close()
	if err := r.fleet.gathered(ctx, a.settle, nil); err != nil {
		return err
	}
	args, err := json.Marshal(map[string]any{"version": r.version, "now": r.now})
	if err != nil {
		return err
	}
	r.send = func(ctx context.Context, store string) (string, error) {
		id := r.heard.expect(store)
		o := order{cmd: command.Update, args: args}
		return id, a.order(ctx, c, s, key, o, message.TopicsOf(s.Tenant, store).Command, store, id, a.now().Add(command.MaxLifetime))
	}
	if len(stores) == 0 {
		stores = r.fleet.stores()
	}
	if len(stores) == 0 {
		return &exitError{exitNotFound, "no shop has shown itself under the tenant " + s.Tenant}
	}
	return a.takeThrough(ctx, r, stores)
}

// takeThrough goes through the stages.
func (a *app) takeThrough(ctx context.Context, r *rollout, stores []string) error {
	var todo, offline []string
	had := 0
	for _, store := range stores {
		j, ok := r.fleet.find(store)
		switch {
		case !ok || j.phase() != message.Ready:
			offline = append(offline, store)
		case r.runs(j.shop):
			had++
		default:
			todo = append(todo, store)
		}
	}
	// By chance, and for one version always alike: run again, it goes on with the
	// same shops.
	slices.SortFunc(todo, func(x, y string) int {
		return cmp.Or(cmp.Compare(r.lot(x), r.lot(y)), cmp.Compare(x, y))
	})
	a.say("%d shops: %d to update, %d run %s already, %d offline and left out", len(stores), len(todo), had, r.version, len(offline))
	kept, sent := 0, 0
	for i, st := range r.stages {
		shops := todo[sent:max(sent, st.size(len(todo)))]
		if len(shops) == 0 {
			continue
		}
		sent += len(shops)
		good, bad, err := a.goThrough(ctx, r, shops)
		if err != nil {
			return err
		}
		kept += good
		a.say("stage %d: %d of %d shops keep %s", i+1, good, len(shops), r.version)
		if float64(bad) > r.most*float64(len(shops)) {
			return &exitError{exitIncomplete, fmt.Sprintf(
				"stopped: %d of the %d shops of this stage did not keep %s, and %d shops were not told; see the reasons above and `ostatokctl show STORE`",
				bad, len(shops), r.version, len(todo)-sent)}
		}
	}
	if left := len(todo) - kept + len(offline); left > 0 {
		return &exitError{exitIncomplete, fmt.Sprintf("%d shops run %s, %d do not", had+kept, r.version, left)}
	}
	a.say("all %d shops run %s", len(stores), r.version)
	return nil
}

// lot is the place of a shop in the order of a rollout.
func (r *rollout) lot(store string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.version + "\x00" + store))
	return h.Sum64()
}

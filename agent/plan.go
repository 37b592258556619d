package agent

import (
	"context"
	"errors"
	"slices"

	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/sync/pull"
	"ostatok/sync/push"
)

// Plans implements local.Shop.
func (a *Agent) Plans(ctx context.Context, target string, all bool) ([]journal.Plan, error) {
	plans, err := a.engine.Plans(ctx, target, all)
	return plans, decision(err)
}

// Approve implements local.Shop.
func (a *Agent) Approve(ctx context.Context, id string, assumed bool) error {
	plans, err := a.journal.PlanHeads(ctx)
	if err != nil {
		return err
	}
	if err := a.engine.Approve(ctx, id, assumed); err != nil {
		return decision(err)
	}
	a.lookAtTargets()
	a.stateChanged()
	// Only a plan that said that something was set aside has been approved with it.
	told := func(g journal.Guard) bool { return g.Kind == pull.SetAside }
	if slices.ContainsFunc(plans, func(p journal.PlanHead) bool { return p.ID == id && slices.ContainsFunc(p.Guards, told) }) {
		return a.mirror.Reviewed(ctx)
	}
	return nil
}

// Reject implements local.Shop.
func (a *Agent) Reject(ctx context.Context, id string) error {
	return decision(a.engine.Reject(ctx, id))
}

// decision tells a mistaken request from an error of ours.
func decision(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, journal.ErrNoPlan) || errors.Is(err, push.ErrNoTarget) {
		return &local.Error{Code: local.NotFound, Message: err.Error()}
	}
	if _, ok := errors.AsType[*journal.PlanError](err); ok || errors.Is(err, journal.ErrOnlyAssumed) {
		return &local.Error{Code: local.Refused, Message: err.Error()}
	}
	if _, ok := errors.AsType[*push.OffError](err); ok {
		return &local.Error{Code: local.Refused, Message: err.Error()}
	}
	return err
}

// heads are the plans that have something to write.
func (a *Agent) heads(ctx context.Context, states ...journal.PlanState) ([]local.PlanHead, error) {
	plans, err := a.journal.PlanHeads(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]local.PlanHead, 0, len(plans))
	for _, p := range plans {
		if p.Size == 0 || !slices.Contains(states, p.State) {
			continue
		}
		list = append(list, local.PlanHead{ID: p.ID, Target: p.Target, State: p.State, Rows: p.Size, Guards: p.Guards})
	}
	return list, nil
}

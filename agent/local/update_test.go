package local_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"ostatok/agent/local"
)

// updater is an agent that takes releases.
type updater struct {
	local.Shop
	order local.UpdateOrder
	file  string
	back  bool
}

func (u *updater) Update(_ context.Context, o local.UpdateOrder, progress func(string)) (local.UpdateResult, error) {
	u.order = o
	if o.File != nil {
		text, err := io.ReadAll(o.File)
		if err != nil {
			return local.UpdateResult{}, err
		}
		u.file = string(text)
	}
	if o.Version == "9.9.9" {
		return local.UpdateResult{}, &local.Error{Code: local.Refused, Message: "no such release"}
	}
	progress("downloading")
	progress("verifying")
	return local.UpdateResult{Version: "1.4.0", State: local.UpdateStaged, Reason: "the shop is trading"}, nil
}

func (u *updater) Updates(context.Context) (local.Updates, error) {
	return local.Updates{Version: "1.3.0", Failed: "1.2.0", Bad: []local.BadRelease{{Version: "1.2.0", Reason: "it hung"}}}, nil
}

func (u *updater) RollBack(context.Context) error {
	u.back = true
	return nil
}

func TestUpdatesGoThrough(t *testing.T) {
	u := new(updater)
	client, _ := serve(t, &shop{Shop: u})
	var doing []string
	note := func(what string) { doing = append(doing, what) }
	file := strings.Repeat("release\n", 1<<20)
	result, err := client.Update(t.Context(), local.UpdateOrder{File: strings.NewReader(file), Now: true}, note)
	if err != nil || result.Version != "1.4.0" || result.State != local.UpdateStaged || result.Reason == "" || u.file != file || !u.order.Now {
		t.Errorf("%+v, %v: %d bytes came with %+v", result, err, len(u.file), u.order.Now)
	}
	if !slices.Equal(doing, []string{"downloading", "verifying"}) {
		t.Errorf("progress %q", doing)
	}
	if _, err := client.Update(t.Context(), local.UpdateOrder{Version: "1.4.0"}, nil); err != nil || u.order.Version != "1.4.0" || u.order.File != nil || u.order.Now {
		t.Errorf("%v: ordered %+v", err, u.order)
	}
	if _, err := client.Update(t.Context(), local.UpdateOrder{Version: "9.9.9"}, nil); local.CodeOf(err) != local.Refused || err.Error() != "no such release" {
		t.Errorf("refused as %v", err)
	}
	if all, err := client.Updates(t.Context()); err != nil || all.Version != "1.3.0" || len(all.Bad) != 1 || all.Bad[0].Reason != "it hung" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := client.RollBack(t.Context()); err != nil || !u.back {
		t.Errorf("%v, %t", err, u.back)
	}
}

package journal_test

import (
	"fmt"
	"testing"

	"ostatok/agent/journal"
)

func TestInbox(t *testing.T) {
	j, _ := open(t, t.TempDir())
	ctx := t.Context()
	var list []journal.Received
	for i := range 1200 { // more than one statement drops
		list = append(list, journal.Received{ID: fmt.Sprintf("d-%d", i), Closed: int64(i + 1), Raw: []byte("12345")})
	}
	fresh, err := j.Receive(ctx, append(list[:1:1], list...))
	if err != nil || fresh != (journal.InboxSize{Documents: 1200, Bytes: 6000}) {
		t.Fatalf("%+v, %v", fresh, err)
	}
	again, err := j.Receive(ctx, []journal.Received{{ID: "d-7", Closed: 99, Raw: []byte("other")}})
	if err != nil || again.Documents != 0 {
		t.Fatalf("%+v, %v", again, err)
	}
	got, err := j.Received(ctx, 0, 10)
	if err != nil || len(got) != 10 || got[7].ID != "d-7" || got[7].Closed != 8 || got[7].Size != 5 || got[7].At == 0 || got[7].Raw != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if raw, err := j.ReceivedBody(ctx, got[7].Seq); err != nil || string(raw) != "12345" {
		t.Fatalf("%q, %v", raw, err)
	}
	if raw, err := j.ReceivedBody(ctx, 1<<40); err != nil || raw != nil {
		t.Fatalf("%q, %v", raw, err)
	}
	all, err := j.Received(ctx, got[9].Seq, 5000)
	if err != nil || len(all) != 1190 || all[0].ID != "d-10" {
		t.Fatalf("%d, %v", len(all), err)
	}
	var seqs []int64
	for _, r := range all {
		seqs = append(seqs, r.Seq)
	}
	if err := j.DropReceived(ctx, seqs); err != nil {
		t.Fatal(err)
	}
	if size, err := j.InboxSize(ctx); err != nil || size != (journal.InboxSize{Documents: 10, Bytes: 50}) {
		t.Fatalf("%+v, %v", size, err)
	}
	if raw, err := j.ReceivedBody(ctx, seqs[0]); err != nil || raw != nil {
		t.Errorf("the body outlives its row: %q, %v", raw, err)
	}
}

package main

import (
	"testing"

	"ostatok/agent/message"
)

func TestTally(t *testing.T) {
	tell := func(store, id string, status message.Outcome) answer {
		return answer{Store: store, Result: message.Result{ID: id, Status: status}}
	}
	sent := newTally()
	sent.expect("1", "a")
	sent.expect("2", "b")
	sent.take(tell("a", "1", message.Received))
	sent.take(tell("a", "1", message.Done))
	sent.take(tell("a", "1", message.Done))    // a repetition
	sent.take(tell("a", "1", message.Started)) // older than the last word
	sent.take(tell("b", "1", message.Done))    // another's order
	sent.take(tell("c", "3", message.Done))    // nobody we sent to
	if news, last := sent.news(); len(news) != 1 || news[0].Status != message.Done || last {
		t.Errorf("got %v, last %v", news, last)
	}
	sent.take(tell("b", "2", message.Expired))
	// The last answer and that it is the last are told together.
	if news, last := sent.news(); len(news) != 1 || news[0].Status != message.Expired || !last {
		t.Errorf("got %v, last %v", news, last)
	}
	if sent.size() != 2 || sent.done() != 1 || len(sent.silent()) != 0 {
		t.Errorf("%d shops, %d done, silent %v", sent.size(), sent.done(), sent.silent())
	}

	all := newTally()
	all.expectAll("9", []string{"a"})
	all.take(tell("b", "9", message.Done)) // it had not shown itself before
	if _, last := all.news(); last || all.size() != 2 {
		t.Errorf("last %v of %d", last, all.size())
	}
}

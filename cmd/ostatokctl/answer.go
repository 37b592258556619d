package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"ostatok/agent/message"
)

// unanswered stands for the outcome that did not come in time.
const unanswered message.Outcome = "unanswered"

// answer is a result and the shop that it came from.
type answer struct {
	Store string `json:"store"`
	message.Result
}

// readAnswer reads a publication on a result topic.
func readAnswer(p publication) (answer, bool) {
	_, store, rest, ok := message.Split(p.topic)
	if !ok || rest != "command/result" {
		return answer{}, false
	}
	r := answer{Store: store}
	if json.Unmarshal(p.payload, &r.Result) != nil || r.ID == "" {
		return answer{}, false // nothing that could be told apart from another order's
	}
	return r, true
}

// printAnswer prints what a shop says. Programs get only what is final.
func (a *app) printAnswer(o order, r answer) error {
	if o.format == formatJSON {
		if !r.Status.Final() {
			return nil
		}
		return a.printLine(r)
	}
	line := fmt.Sprintf("%s  %s", r.Store, r.Status)
	switch {
	case r.Error != nil:
		line += "  " + r.Error.Message + " (" + r.Error.Code + ")"
	case len(r.Result.Result) > 0 && len(o.stores) != 1:
		line += "  " + short(r.Result.Result)
	case len(r.Progress) > 0 && !r.Status.Final():
		line += "  " + short(r.Progress)
	}
	if r.Clock != "" {
		line += "  (the shop's clock: " + r.Clock + ")"
	}
	if _, err := fmt.Fprintln(a.out, clean(line)); err != nil {
		return err
	}
	if len(o.stores) == 1 && len(r.Result.Result) > 0 { // one shop's result is what was asked for
		return a.printJSON(r.Result.Result)
	}
	return nil
}

// short is JSON in one line, if that is not too long.
func short(text json.RawMessage) string {
	const longest = 160
	s := strings.TrimSpace(string(text))
	if len(s) > longest {
		return fmt.Sprintf("%d bytes of result, see --format json", len(s))
	}
	return s
}

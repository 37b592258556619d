package target

import (
	"context"
	"iter"
)

// Lister is a Target that can tell which keys it knows. List may run beside the
// other methods and takes as long as the target's rate allows, which can be many
// minutes.
type Lister interface {
	List(ctx context.Context) iter.Seq2[Known, error]
}

// Known is something that a target keeps the stock of.
type Known struct {
	Key  string
	Name string // "" when the target does not tell
}

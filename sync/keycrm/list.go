package keycrm

import (
	"context"
	"iter"
	"strconv"

	"ostatok/sync/target"
)

var _ target.Lister = (*warehouse)(nil)

// List implements target.Lister by a sweep, which takes a request for each page
// and shares the account's rate with everything else. A SKU that several offers
// share comes several times; offers without one, or with one that cannot be read,
// are left out. KeyCRM's list of stocks has no names.
func (w *warehouse) List(ctx context.Context) iter.Seq2[target.Known, error] {
	return func(yield func(target.Known, error) bool) {
		var keys []string // none counts before the sweep has held together
		err := w.client.Sweep(ctx, func() { keys = nil }, func(o Offer) error {
			switch {
			case w.o.ByOffer && o.ID != 0:
				keys = append(keys, strconv.FormatInt(o.ID, 10))
			case !w.o.ByOffer && o.SKU != "":
				keys = append(keys, o.SKU)
			}
			return nil
		})
		if err != nil {
			yield(target.Known{}, err)
			return
		}
		for _, key := range keys {
			if !yield(target.Known{Key: key}, nil) {
				return
			}
		}
	}
}

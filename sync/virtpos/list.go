package virtpos

import (
	"context"
	"iter"

	"ostatok/sync/target"
)

var _ target.Lister = (*warehouse)(nil)

// List implements target.Lister with the items of the whole account, whatever
// the warehouse: one without a balance there holds 0 and can be written. Where
// keys are external codes, items without one cannot be addressed and are left
// out.
func (w *warehouse) List(ctx context.Context) iter.Seq2[target.Known, error] {
	return func(yield func(target.Known, error) bool) {
		var known []target.Known // none counts before the last has come
		err := w.client.Items(ctx, nil, func(e Entry) {
			key := e.ID
			if w.o.External {
				key = e.External
			}
			if key != "" {
				known = append(known, target.Known{Key: key, Name: e.Name})
			}
		})
		if err != nil {
			yield(target.Known{}, err)
			return
		}
		for _, k := range known {
			if !yield(k, nil) {
				return
			}
		}
	}
}

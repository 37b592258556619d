package virtpos

import "context"

// fewKeys is up to how many items are asked for one by one; a listing is one
// request, but for the whole catalogue.
const fewKeys = 50

// find returns VirtPOS's number of the warehouse, "" when there is none.
func (w *warehouse) find(ctx context.Context) (id string, err error) {
	err = w.client.Warehouses(ctx, &w.o.Warehouse, func(e Entry) {
		// A filter that is not understood must not choose for us.
		if w.o.Warehouse.External && e.External == w.o.Warehouse.ID || !w.o.Warehouse.External && e.ID == w.o.Warehouse.ID {
			id = e.ID
		}
	})
	return id, err
}

// resolve finds the numbers of the warehouse and of the items that are known by
// external codes only: balances can be read by numbers only.
func (w *warehouse) resolve(ctx context.Context, keys []string) error {
	if w.id == "" {
		id, err := w.find(ctx)
		switch {
		case isRefusal(err) && !w.o.Warehouse.External:
			id = w.o.Warehouse.ID // where there is no such lookup, the number is taken on trust
		case err != nil:
			return err
		case id == "":
			return w.noWarehouse(nil) // and not a warehouse in which everything is 0
		}
		w.id = id
	}
	if !w.o.External {
		return nil
	}
	var open []string
	for _, key := range keys {
		if w.items[key] == "" {
			open = append(open, key)
		}
	}
	if len(open) == 0 {
		return nil
	}
	found, err := w.lookup(ctx, open, true)
	if err != nil {
		return err
	}
	for _, key := range open {
		switch ids := found[key]; len(ids) {
		case 0:
		case 1:
			w.items[key] = ids[0]
		default:
			return &RowError{key, ErrAmbiguous}
		}
	}
	return nil
}

// lookup finds items by number or external code and returns the numbers of those
// that exist.
func (w *warehouse) lookup(ctx context.Context, keys []string, external bool) (map[string][]string, error) {
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		wanted[key] = true
	}
	found := make(map[string][]string)
	take := func(e Entry) {
		key := e.ID
		if external {
			key = e.External
		}
		if wanted[key] {
			found[key] = append(found[key], e.ID)
		}
	}
	if len(keys) > fewKeys {
		return found, w.client.Items(ctx, nil, take)
	}
	asked := false
	for _, key := range keys {
		err := w.client.Items(ctx, &Ref{ID: key, External: external}, take)
		if isRefusal(err) {
			if !asked {
				if err := w.refusesAll(ctx, err); err != nil {
					return nil, err
				}
				asked = true
			}
			continue // that is how an unknown item is answered
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// balances reads what items hold. An item without a balance row that exists
// holds 0; one that does not exist is not in the result.
func (w *warehouse) balances(ctx context.Context, ids []string) (map[string]balance, error) {
	seen, err := w.rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	var open []string
	for _, id := range ids {
		if b := seen[id]; b.rows > 0 {
			w.known[id] = b
		} else {
			delete(w.known, id)
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return seen, nil
	}
	exists, err := w.lookup(ctx, open, false)
	if err != nil {
		return nil, err
	}
	for _, id := range open {
		if len(exists[id]) == 0 {
			delete(seen, id)
			continue
		}
		// A refused reading of an item that exists is not 0.
		seen[id] = balance{err: seen[id].err}
		w.known[id] = seen[id]
	}
	return seen, nil
}

// rows reads the balance rows of items. One whose reading is refused has an error
// and no rows.
func (w *warehouse) rows(ctx context.Context, ids []string) (map[string]balance, error) {
	if len(ids) > fewKeys {
		all, err := w.all(ctx)
		if err != nil {
			return nil, err
		}
		wanted := make(map[string]balance, len(ids))
		for _, id := range ids {
			if b, ok := all[id]; ok {
				wanted[id] = b
			}
		}
		return wanted, nil
	}
	seen := make(map[string]balance, len(ids))
	asked := false
	for _, id := range ids {
		one := make(map[string]balance)
		err := w.client.Store(ctx, Query{Warehouse: w.id, Item: id}, w.add(one))
		if isRefusal(err) {
			if !asked {
				if err := w.refusesAll(ctx, err); err != nil {
					return nil, err
				}
				asked = true
			}
			seen[id] = balance{err: err}
			continue
		}
		if err != nil {
			return nil, err
		}
		if b, ok := one[id]; ok {
			seen[id] = b
		}
	}
	return seen, nil
}

// all reads the balances of the whole warehouse, zeros included.
func (w *warehouse) all(ctx context.Context) (map[string]balance, error) {
	all := make(map[string]balance)
	err := w.client.Store(ctx, Query{Warehouse: w.id}, w.add(all))
	if isRefusal(err) {
		if err := w.refusesAll(ctx, err); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// add sums up the rows of an item: whether there is one row an item or one a lot
// is not documented (backends §1.5). Rows of other warehouses, of a server that
// does not understand the filter, are left out.
func (w *warehouse) add(to map[string]balance) func(Row) error {
	return func(row Row) error {
		switch {
		case row.Warehouse != w.id:
			return nil
		case row.Item == "":
			return row.Err // it may be any item's
		}
		b := to[row.Item]
		b.rows++
		b.quantity += row.Quantity
		if row.Err != nil {
			b.err = row.Err
		}
		to[row.Item] = b
		return nil
	}
}

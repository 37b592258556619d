package pushtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// Memory is a target in memory, with the faults that real ones have.
type Memory struct {
	mu     sync.Mutex
	traits target.Traits
	holds  map[string]stock.Quantity
	refuse map[string]error
	down   error
	writes []target.Row
	calls  int
	reads  int

	// Frozen targets accept figures and do not hold them; Strict ones refuse a
	// whole call for one bad row; Telling ones say what they held before. Set
	// before use.
	Frozen, Strict, Telling bool
}

// NewMemory returns a target with these traits that knows the keys and holds 0
// of each.
func NewMemory(traits target.Traits, keys ...string) *Memory {
	m := &Memory{traits: traits, holds: make(map[string]stock.Quantity), refuse: make(map[string]error)}
	for _, key := range keys {
		m.holds[key] = 0
	}
	return m
}

// Traits implements target.Target.
func (m *Memory) Traits() target.Traits { return m.traits }

// Read implements target.Target.
func (m *Memory) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if err := m.fault(ctx); err != nil {
		return nil, err
	}
	if !m.traits.Reads || len(keys) > max(m.traits.Batch, m.traits.ReadBatch, 1) {
		return nil, errors.New("the engine must not read so")
	}
	var seen []target.Observation
	for _, key := range keys {
		q, found := m.holds[key]
		seen = append(seen, target.Observation{Key: key, Quantity: q, Found: found})
	}
	return seen, nil
}

// Write implements target.Target.
func (m *Memory) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if err := m.fault(ctx); err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows) > max(m.traits.Batch, 1) {
		return nil, fmt.Errorf("a call of %d rows", len(rows))
	}
	if m.Strict {
		for _, row := range rows {
			if err := m.refuse[row.Key]; err != nil {
				return nil, err
			}
		}
	}
	var outcomes []target.Outcome
	for _, row := range rows {
		err := m.refuse[row.Key]
		var before *stock.Quantity
		if q, held := m.holds[row.Key]; held && m.Telling {
			before = &q
		}
		if err == nil {
			m.writes = append(m.writes, row)
			if !m.Frozen {
				m.holds[row.Key] = row.Quantity
			}
		}
		outcomes = append(outcomes, target.Outcome{Key: row.Key, Err: err, Before: before})
	}
	return outcomes, nil
}

func (m *Memory) fault(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.down
}

// Down makes every call fail with err; nil ends that.
func (m *Memory) Down(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// Refuse makes the target refuse a key with err; nil ends that.
func (m *Memory) Refuse(key string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse[key] = err
}

// Set changes what the target holds behind the agent's back.
func (m *Memory) Set(key string, q stock.Quantity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[key] = q
}

// Holds is what the target really holds.
func (m *Memory) Holds(key string) (stock.Quantity, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, ok := m.holds[key]
	return q, ok
}

// Writes is how many figures it has taken.
func (m *Memory) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.writes)
}

// Calls is how often it was written to and read, failed calls included.
func (m *Memory) Calls() (writes, reads int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls, m.reads
}

// Subject is the target with all that the suite wants to know of it.
func (m *Memory) Subject(kind string, keys []string) Subject {
	return Subject{
		Kind: kind, Target: m, Keys: keys,
		Holds: m.Holds, Set: m.Set, Writes: m.Writes,
		Refuse: func(key string) { m.Refuse(key, Fault(rest.Invalid)) },
		Down: func(down bool) {
			if down {
				m.Down(Fault(rest.Temporary))
			} else {
				m.Down(nil)
			}
		},
	}
}

// Fault is an error of a kind as the HTTP layer makes them.
func Fault(kind rest.Kind) error {
	return &rest.Error{Kind: kind, Method: "PUT", Path: "/figures", Detail: "played by the test"}
}

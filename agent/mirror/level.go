package mirror

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"ostatok/agent/stock"
)

// levelRow is the stored level of a product. Its Level is the bare one.
type levelRow struct {
	product int64
	stock.Level
	document int64  // behind it; 0 for none
	late     bool   // a document from before the kept history was refused
	evidence []byte // what its chain taught, nil for nothing
}

// shown is the level with what the mirror knows beside the fold.
func (l *levelRow) shown() stock.Level {
	out := l.Level
	if l.late && out.State == stock.Known {
		out.State, out.Reason = stock.Assumed, stock.ReasonLate
	}
	return out
}

func (l *levelRow) same(other *levelRow) bool {
	return l.Level == other.Level && l.document == other.document && l.late == other.late &&
		bytes.Equal(l.evidence, other.evidence)
}

const (
	levelNames = `(product, quantity, state, reason, as_of, device, number, document, last_key, type,
		outside, late, evidence)`
	levelWidth   = 13
	levelColumns = `l.product, l.quantity, l.state, l.reason, l.as_of, l.device, l.number, l.document, l.last_key, l.type,
		l.outside, l.late, l.evidence`
)

// levelScan receives levelColumns of a LEFT JOIN.
type levelScan struct {
	product, quantity, asOf, device, number, document, kind sql.NullInt64
	outside                                                 sql.NullInt64
	late                                                    sql.NullBool
	state, reason                                           sql.NullString
	evidence                                                []byte
	key                                                     any
}

func (s *levelScan) targets() []any {
	return []any{&s.product, &s.quantity, &s.state, &s.reason, &s.asOf, &s.device, &s.number, &s.document, &s.key, &s.kind,
		&s.outside, &s.late, &s.evidence}
}

// row is nil when the product has no level.
func (s *levelScan) row(devices, types map[int64]string) *levelRow {
	if !s.product.Valid {
		return nil
	}
	return &levelRow{
		product: s.product.Int64,
		Level: stock.Level{
			Quantity: stock.Quantity(s.quantity.Int64),
			State:    stock.State(s.state.String), Reason: stock.Reason(s.reason.String),
			AsOf: s.asOf.Int64,
			Last: stock.Order{
				Closed: s.asOf.Int64, Device: devices[s.device.Int64], Number: s.number.Int64, Document: documentID(s.key),
			},
			LastType: stock.Type(types[s.kind.Int64]),
			Outside:  int(s.outside.Int64),
		},
		document: s.document.Int64, late: s.late.Bool, evidence: s.evidence,
	}
}

// statements are prepared on first use within one transaction.
type statements struct {
	ctx    context.Context
	tx     *sql.Tx
	byText map[string]*sql.Stmt
}

func (s *statements) prepare(query string) (*sql.Stmt, error) {
	if statement, ok := s.byText[query]; ok {
		return statement, nil
	}
	statement, err := s.tx.PrepareContext(s.ctx, query)
	if err != nil {
		return nil, err
	}
	if s.byText == nil {
		s.byText = make(map[string]*sql.Stmt)
	}
	s.byText[query] = statement
	return statement, nil
}

func (s *statements) exec(query string, args ...any) (sql.Result, error) {
	statement, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(s.ctx, args...)
}

// each calls fn for every row.
func (s *statements) each(fn func(*sql.Rows) error, query string, args ...any) error {
	statement, err := s.prepare(query)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(s.ctx, args...)
	if err != nil {
		return err
	}
	return drain(rows, fn)
}

func (s *statements) close() error {
	var errs []error
	for _, statement := range s.byText {
		errs = append(errs, statement.Close())
	}
	return errors.Join(errs...)
}

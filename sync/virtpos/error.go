package virtpos

import (
	"errors"
	"fmt"
	"strings"

	"ostatok/sync/rest"
)

// RefusedError is the cause of the *rest.Error of an answer with success=0. How
// the error is to be taken is the Kind of the *rest.Error.
type RefusedError struct {
	Info string // VirtPOS's own words, without secrets; may be empty
}

func (e *RefusedError) Error() string {
	if e.Info == "" {
		return "VirtPOS refuses and does not say why"
	}
	return "VirtPOS refuses: " + e.Info
}

// Words by which a refusal is told from others. No list of texts or codes is
// documented (backends §1.8), so what is not recognised is taken as permanent:
// that is seen by a person and never repeated blindly.
var (
	keyWords     = []string{"apikey", "api key", "api-key", "ключ доступа", "секретный ключ", "авториз", "unauthorized"}
	passingWords = []string{"try again", "try later", "timeout", "timed out", "deadlock", "lock wait", "too many", "temporar", "unavailable", "busy", "позже", "повторите", "занят", "временно", "перегруж", "недоступ"}
)

func kindOf(info string) rest.Kind {
	info = strings.ToLower(info)
	has := func(words []string) bool {
		for _, w := range words {
			if strings.Contains(info, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has(keyWords):
		return rest.Unauthorized
	case has(passingWords):
		return rest.Temporary
	}
	return rest.Invalid
}

// refused is the error of an answer with success=0.
func refused(resp *rest.Response, info string) error {
	info = strings.Join(strings.Fields(info), " ")
	fault, ok := errors.AsType[*rest.Error](resp.Broken(errors.New(info)))
	if !ok {
		return &RefusedError{}
	}
	// Detail is info without secrets: a server may echo the request.
	fault.Kind, fault.Err = kindOf(info), &RefusedError{Info: fault.Detail}
	return fault
}

// Why a single row cannot be written or read. They are causes of a RowError.
var (
	// ErrLots: the item has several balance rows, and a write without a lot would
	// change an unspecified one (backends §1.5).
	ErrLots = errors.New("it is kept by lots, and a figure without a lot would change only one of them: write it in VirtPOS")

	// ErrUnknown: there is no such item.
	ErrUnknown = errors.New("VirtPOS does not know this item, check the mapping")

	// ErrAmbiguous: several items have this external code.
	ErrAmbiguous = errors.New("several items of VirtPOS have this external code, make it unique there")

	// ErrNewRow: VirtPOS created a row beside the one that there was.
	ErrNewRow = errors.New("VirtPOS added a second balance row instead of changing the first: look at the item in VirtPOS")

	// ErrOther: the answer names another item or warehouse than the request.
	ErrOther = errors.New("VirtPOS changed another item or warehouse than was asked for: check the mapping")

	// ErrFigure: the balance row of the item could not be read.
	ErrFigure = errors.New("its balance cannot be read")
)

// RowError is about one item and does not pass by itself.
type RowError struct {
	Key string // as the caller named the item
	Err error  // one of the Err values, with details
}

func (e *RowError) Error() string {
	return fmt.Sprintf("cannot keep the figure of item %q in step: %v", e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Err }

// Retryable is false: someone has to change something first.
func (e *RowError) Retryable() bool { return false }

// AccountError says that VirtPOS refuses not one item but everything: the key,
// the warehouse or the address is wrong.
type AccountError struct {
	Reason string
	kind   rest.Kind
	Err    error // the refusal, may be nil
}

func (e *AccountError) Error() string { return "cannot use VirtPOS: " + e.Reason }

// Unwrap makes rest.KindOf tell Unauthorized or Forbidden.
func (e *AccountError) Unwrap() []error {
	kind := &rest.Error{Kind: e.kind, Method: "POST", Path: "/api/store", Detail: e.Reason}
	if e.Err == nil {
		return []error{kind}
	}
	return []error{kind, e.Err}
}

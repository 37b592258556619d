package zelenka

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ostatok/sync/rest"
)

// RowError is Zelenka's refusal of one row.
type RowError struct {
	Key    string // the item's id
	Reason string // Zelenka's own words, without secrets
}

func (e *RowError) Error() string {
	return fmt.Sprintf("Zelenka does not take item %q: %s", e.Key, e.Reason)
}

// passingWords stand in refusals that may pass. There is no list of texts
// (backends §2.10), so what is not recognised is taken as permanent: that is seen
// by a person and not repeated blindly.
var passingWords = []string{"try again", "try later", "timeout", "timed out", "deadlock", "lock wait", "too many", "temporar", "unavailable", "gone away", "позже", "повторите", "временно", "недоступ"}

// Retryable tells whether the refusal may pass without anybody changing anything.
func (e *RowError) Retryable() bool {
	reason := strings.ToLower(e.Reason)
	return slices.ContainsFunc(passingWords, func(word string) bool { return strings.Contains(reason, word) })
}

// CountError says that an answer counts other rows than were sent and refused, so
// that it is not known which of the rest were taken.
type CountError struct {
	Rows     int   // sent
	Taken    int64 // as the answer says
	Refused  int   // named in its errors
	Nameless int   // errors that name no row that was sent
}

func (e *CountError) Error() string {
	return fmt.Sprintf("Zelenka's answer does not add up: of %d rows it took %d and refused %d, with %d errors that name none of them",
		e.Rows, e.Taken, e.Refused, e.Nameless)
}

// Retryable is true: figures are absolute, so the rows can be sent again.
func (e *CountError) Retryable() bool { return true }

// TakenError says that Zelenka took another figure than it was sent.
type TakenError struct {
	Key         string
	Sent, Taken string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("Zelenka took %s for item %q where %s was sent", e.Taken, e.Key, e.Sent)
}

// Retryable is false.
func (e *TakenError) Retryable() bool { return false }

// WarehouseError says that Zelenka does not know the point of sale, which
// concerns every row.
type WarehouseError struct{ Warehouse Warehouse }

func (e *WarehouseError) Error() string {
	return fmt.Sprintf("Zelenka does not know the point of sale %s, correct the target's warehouse", e.Warehouse)
}

// Unwrap makes rest.KindOf tell Forbidden: nothing can be written there.
func (e *WarehouseError) Unwrap() error {
	return &rest.Error{Kind: rest.Forbidden, Status: http.StatusOK, Method: http.MethodPost, Path: "/onhand/batch-update", Detail: e.Error()}
}

// isWarehouse tells whether a refusal is about the point of sale. The text is the
// vendor's (api_docs_onhand).
func isWarehouse(reason string) bool { return strings.EqualFold(reason, "Warehouse not found") }

// BusyError says that a full run is under way; a batch that overtook it, or was
// overtaken by it, would leave old figures.
type BusyError struct{}

func (e *BusyError) Error() string {
	return "a full run of Zelenka is under way, the figures are sent after it"
}

// Retryable is true.
func (e *BusyError) Retryable() bool { return true }

// Why a full run refuses to send anything. Zelenka may zero what a full list does
// not hold (backends §2.7), so the list must be whole and credible.
var (
	// ErrEmpty: there is no row to send.
	ErrEmpty = errors.New("there is nothing to send, and an empty list could empty the shop")

	// ErrTooLarge: the rows do not fit into one request, and in two the second
	// would zero the first.
	ErrTooLarge = fmt.Errorf("the list is larger than %d bytes and must not be split", MaxBody)
)

// DuplicateError says that two rows of a full run have the same id.
type DuplicateError struct{ Key string }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("item %q is in the list twice, correct the mapping: its figure would be one or the other", e.Key)
}

// KeyError says that the id of a row cannot be sent.
type KeyError struct {
	Key string
	Err error
}

func (e *KeyError) Error() string { return fmt.Sprintf("item %q cannot be sent: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// Retryable is false: somebody has to correct the mapping.
func (e *KeyError) Retryable() bool { return false }

// IncompleteError says that products are known whose figures, or ids, are not.
type IncompleteError struct {
	Rows  int
	First []string // keys of some of them
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%d products have no figure or no id and would be shown as sold out, settle them first: %s", e.Rows, strings.Join(e.First, ", "))
}

// GuardError says that more would vanish from the shop than is usual.
type GuardError struct{ Had, Has int64 } // rows above zero, in the last full run and now

func (e *GuardError) Error() string {
	if e.Has == 0 {
		return "no product of the list is in stock, which would empty the shop: approve it if that is so"
	}
	return fmt.Sprintf("%d products were in stock in the last full run and %d are now: approve it if that is so", e.Had, e.Has)
}

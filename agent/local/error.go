package local

import "errors"

// Code says what kind of error a command has to answer.
type Code string

// The codes.
const (
	NotFound Code = "not_found" // no such product, no such plan
	Refused  Code = "refused"   // understood and not possible as asked
	Internal Code = "internal"
)

// Error is an error that keeps its kind across the socket.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// CodeOf returns the code of err, Internal when it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

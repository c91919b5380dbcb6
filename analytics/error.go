package analytics

import (
	"errors"
	"fmt"
)

// Code classifies an error for whoever has to act on it. The numbers cross the
// wire and are frozen; new ones go at the end.
type Code uint8

const (
	Internal     Code = iota // our fault; the user sees a request id and nothing else
	Invalid                  // the input is wrong; the text names the field
	Unauthorized             // no or unknown credentials
	Forbidden                // known, but not allowed
	NotFound                 //
	Conflict                 // exists already, or changed meanwhile
	TooLarge                 // over a limit; the text names it
	Overloaded               // try again after a while
	Unavailable              // cannot be done now: no leader, disk nearly full, draining
	TooMany                  // the caller's own rate limit
)

// Error carries a Code, a text for the user and the cause for the operator.
type Error struct {
	Code Code
	Text string
	Err  error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error; %w keeps the cause.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Text: err.Error(), Err: errors.Unwrap(err)}
}

// CodeOf gives the code of the first *Error in err's chain, else Internal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Package fault holds the one error type for what a caller caused, or must be
// told about in a way that programs understand. A fault has a small kind, by
// which code branches, and a message for people. The rooms behind api/ speak
// in kinds; only api/ and gate know how AWS spells them. It never wraps an
// internal error for a caller to see: what is not a fault is an internal
// failure, logged once and answered without detail.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in the words that all services share.
type Kind uint8

// The kinds. Zero is not a kind: Of answers Internal for what is no fault.
const (
	_            Kind = iota
	Internal          // our failure; the caller may retry
	Invalid           // an argument that no state of the system would make right
	Constraint        // an argument outside its documented bounds, found before any state was looked at
	Malformed         // bytes that do not parse as what they claim to be
	NotFound          // names something that does not exist
	InUse             // exists already, or is in a state that forbids the call
	Limit             // a quota on resources or on control calls is used up
	Throttled         // the throughput of a shard is used up; retry later
	Expired           // an iterator that was valid once
	ExpiredToken      // a paging token that was valid once
	Denied            // authenticated, but not allowed
	Unknown           // an operation that does not exist, or not yet
	TooLarge          // more bytes than are read
	Unavailable       // cannot be served now (starting, draining, disk full)
	Unauthentic       // no credentials, or wrong ones; Code says which
)

// Error is a fault. Code, when set, is a finer name within the kind that the
// edge prints as it is (a signature error has several); most faults need none.
type Error struct {
	Kind    Kind
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// New makes a fault of kind k with a formatted message.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Coded makes a fault with a finer name within its kind.
func Coded(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Of returns the kind of err: that of the first fault in its chain, Internal
// when there is none, and zero for nil.
func Of(err error) Kind {
	if err == nil {
		return 0
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return Of(err) == k }

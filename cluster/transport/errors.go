package transport

import (
	"context"
	"errors"
	"fmt"

	"footfall/analytics"
)

// Fate tells what may have become of a call or stream that failed.
type Fate uint8

const (
	// NotSent: the other node has certainly not begun it.
	NotSent Fate = iota + 1
	// Lost: it may or may not have been executed, or was given up at its deadline.
	Lost
	// Remote: the other node's handler answered with this error.
	Remote
)

func (f Fate) String() string {
	switch f {
	case NotSent:
		return "not sent"
	case Lost:
		return "lost"
	case Remote:
		return "remote"
	}
	return fmt.Sprintf("fate %d", uint8(f))
}

// CallError is the error of Call, CallAddress, Stream and Dial. Its chain holds
// an *analytics.Error: for Remote the handler's code and text, else one that
// says why, Unavailable unless the cause has a better code. context's errors
// are in the chain too.
type CallError struct {
	Fate Fate
	Err  error
}

func (e *CallError) Error() string { return e.Err.Error() }

func (e *CallError) Unwrap() error { return e.Err }

// FateOf gives the fate told by the first CallError in err's chain, or 0.
func FateOf(err error) Fate {
	var e *CallError
	if errors.As(err, &e) {
		return e.Fate
	}
	return 0
}

// failed makes the error of a call that got no answer.
func failed(fate Fate, what string, err error) error {
	code := analytics.Unavailable
	var known *analytics.Error
	if errors.As(err, &known) {
		code = known.Code
	}
	return &CallError{fate, analytics.Errorf(code, "%s: %w", what, err)}
}

// Refusal is why a node does not open a connection. Numbers are frozen.
type Refusal uint8

const (
	RefusedVersion  Refusal = iota + 1 // no protocol version in common
	RefusedCluster                     // member of another cluster
	RefusedJoining                     // one of the two is not a member yet; only CallAddress works
	RefusedSelf                        // the node reached itself
	RefusedNode                        // at this address is another node than expected
	RefusedConflict                    // the node number belongs to another disk
	RefusedPeer                        // Config.Admit said no
	RefusedLane                        // unknown purpose
	RefusedBusy                        // too many connections from this node
	RefusedRemoved                     // the node that connects was removed from the cluster; see ErrRemoved
)

// RefusedError is in the chain of errors when the other node, or this one,
// would not open a connection between them.
type RefusedError struct {
	Refusal Refusal
	Text    string
}

func (e *RefusedError) Error() string { return e.Text }

// RefusalOf gives the refusal told by err's chain, or 0.
func RefusalOf(err error) Refusal {
	var e *RefusedError
	if errors.As(err, &e) {
		return e.Refusal
	}
	return 0
}

// ErrRemoved in the chain of what Config.Admit gives says that the peer was
// removed from the cluster for ever; a peer that says it of this node is told to
// Config.Expelled.
var ErrRemoved = errors.New("was removed from the cluster")

// ErrAborted is in the chain of what a stream's reader gives when the sender said
// that the rest will not come; a connection that broke says nothing of the kind.
var ErrAborted = errors.New("the sender gave up")

// ErrClosed is the reason given to Handler.Down when this side ended the
// connections: the peer's address changed or it was taken off the list. It
// tells nothing about the peer.
var ErrClosed = errors.New("closed by this node")

var (
	errNotConnected = errors.New("not connected")
	errNotRunning   = errors.New("the transport is not running")
	errNotMember    = errors.New("this node is not a member of a cluster yet")
	errSilent       = errors.New("nothing heard for too long")
)

// Status of a reply or of the result of a stream.
const (
	statusOK      = 0
	statusError   = 1 // the handler's error
	statusRefused = 2 // not begun
	statusGaveUp  = 3 // the handler stopped at its deadline, or was stopped
)

// encodeError gives what crosses the wire of a handler's error. ctx is the
// handler's: an error that comes of its end says nothing of what was done.
func encodeError(ctx context.Context, err error) (status, code uint8, text string) {
	text = err.Error()
	text = text[:min(len(text), errorBytesMax)]
	if ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return statusGaveUp, uint8(analytics.Unavailable), text
	}
	return statusError, uint8(analytics.CodeOf(err)), text
}

const errorBytesMax = 4 << 10

// decodeStatus turns what crossed the wire into an error.
func decodeStatus(status, code uint8, text string) error {
	known := analytics.Code(code)
	if known > analytics.TooMany {
		known = analytics.Internal // from a newer version
	}
	switch status {
	case statusOK:
		return nil
	case statusRefused:
		return &CallError{NotSent, &analytics.Error{Code: known, Text: text}}
	case statusGaveUp:
		return &CallError{Lost, &analytics.Error{Code: analytics.Unavailable, Text: text}}
	default:
		return &CallError{Remote, &analytics.Error{Code: known, Text: text}}
	}
}

// cause is the reason why ctx ended, with ctx.Err() in its chain.
func cause(ctx context.Context) error {
	err, why := ctx.Err(), context.Cause(ctx)
	if why == nil || errors.Is(why, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, why)
}

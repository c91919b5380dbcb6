package cluster

import (
	"sync/atomic"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
)

// round is one batch of a shard, from its first view to its answer. Fields up to
// settled are guarded by the shard's mu.
type round struct {
	buf    []byte // nil: in the spool only
	events int
	since  time.Time // of its first view, on the process's own clock
	weight int64     // bytes counted as pending
	alone  bool      // holds a command: nothing is added to it

	// Its number, once it has one.
	epoch    uint32
	sequence uint64
	size     int // bytes

	sent    bool // handed out; false again when that came to nothing
	sentAt  time.Time
	turn    uint64 // the shard's when it was handed out
	after   uint64 // last sequence of the epoch acknowledged when it was
	spooled bool   // is in the spool
	landed  bool   // acknowledged
	loaded  int    // bytes read back from the spool

	settled atomic.Bool
	done    chan struct{} // closed once those below are set
	reasons []analytics.Reason
	index   uint64
	err     error
}

func newRound(room int) *round {
	return &round{done: make(chan struct{}), since: time.Now(), buf: make([]byte, entry.HeaderLen, room)}
}

// settle answers those who wait, once. No reasons say that everything is
// counted, as far as is known.
func (r *round) settle(reasons []analytics.Reason, index uint64, err error) bool {
	if !r.settled.CompareAndSwap(false, true) {
		return false
	}
	r.reasons, r.index, r.err = reasons, index, err
	close(r.done)
	return true
}

// receipt gives what became of the event at a place, once done is closed. Of one
// that waits in the spool, and of a batch that had been counted before, it says
// Counted: what exactly became of it nobody knows yet, or any more.
func (r *round) receipt(shard uint16, place int) (analytics.Receipt, error) {
	if r.err != nil {
		return analytics.Receipt{}, r.err
	}
	reason := analytics.Counted
	if place < len(r.reasons) {
		reason = r.reasons[place]
	}
	if reason == analytics.Undecided {
		return analytics.Receipt{}, errQuarantine
	}
	receipt := analytics.Receipt{Reason: reason}
	if r.index > 0 {
		receipt.Token = analytics.Token{Shard: shard, Index: r.index}
	}
	return receipt, nil
}

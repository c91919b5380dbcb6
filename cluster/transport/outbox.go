package transport

import (
	"encoding/binary"
	"sync"
)

// outbox collects the messages of a lane until its goroutine writes them.
//
// Invariant: 0 <= queued, and queued <= bytesMax unless a single message is
// larger than that.
type outbox struct {
	bytesMax int
	check    bool
	wake     chan struct{} // holds a token when there may be something to take

	mu      sync.Mutex
	closed  bool
	pending [][]byte // frames to be written, whole ones in each crate
	spare   [][]byte // empty crates, for reuse
	queued  int      // bytes pending or being written
}

const (
	// crateBytes is how much is written at once. Crates of a fixed size, instead
	// of one buffer that grows, keep a full lane from copying itself.
	crateBytes = 128 << 10
	sparesMax  = bufferKept / crateBytes
)

func (o *outbox) init(bytesMax int, check bool) {
	o.bytesMax, o.check, o.wake = bytesMax, check, make(chan struct{}, 1)
}

// put queues a message, or says that there is no room.
func (o *outbox) put(body []byte) bool {
	size := frameHead + len(body)
	if o.check {
		size += checkBytes
	}
	o.mu.Lock()
	if o.closed || o.queued > 0 && o.queued+size > o.bytesMax {
		o.mu.Unlock()
		return false
	}
	last := len(o.pending) - 1
	if last < 0 || cap(o.pending[last])-len(o.pending[last]) < size {
		o.pending = append(o.pending, o.crateLocked(size))
		last++
	}
	b := o.pending[last]
	start := len(b)
	b = append(beginFrame(b, frameMessage), body...)
	o.pending[last] = endFrame(b, start, o.check)
	o.queued += size
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

// crateLocked gives an empty crate for a frame of the size given.
func (o *outbox) crateLocked(size int) []byte {
	if n := len(o.spare) - 1; n >= 0 && size <= crateBytes {
		b := o.spare[n]
		o.spare[n] = nil
		o.spare = o.spare[:n]
		return b
	}
	return make([]byte, 0, max(size, crateBytes))
}

// take gives a crate of what waits, or nil. written is to be called before the
// next take.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 {
		return nil
	}
	b := o.pending[0]
	n := copy(o.pending, o.pending[1:]) // a few hundred at most
	o.pending[n] = nil
	o.pending = o.pending[:n]
	return b
}

// countFrames counts the frames in a crate.
func countFrames(b []byte) (n uint64) {
	for len(b) >= frameHead {
		b = b[4+int(binary.BigEndian.Uint32(b)):]
		n++
	}
	return n
}

// written gives back what take gave.
func (o *outbox) written(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.queued -= len(b)
	if cap(b) == crateBytes && len(o.spare) < sparesMax {
		o.spare = append(o.spare, b[:0])
	}
}

// close refuses further messages and tells how many will never be written.
func (o *outbox) close() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	var lost uint64
	for _, b := range o.pending {
		lost += countFrames(b)
	}
	o.pending, o.spare, o.queued = nil, nil, 0
	return lost
}

func (o *outbox) bytes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued
}

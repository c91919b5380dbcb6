package transport

import (
	"context"
	"encoding/binary"
	"sync"
	"time"
)

// batchBytes is how much of waiting letters is put into one write.
const batchBytes = 128 << 10

// letter is a request or a reply on its way out. Letters leave in pieces of
// chunkBytes, taking turns, so that a small one waits for a piece of each large
// one before it and not for all of it.
type letter struct {
	reply    bool
	id       uint64
	deadline time.Time // of a request
	kind     uint8     // of a request
	status   uint8     // of a reply
	code     uint8     // of a reply
	body     []byte
	gone     func() // called without locks when the last piece was taken; may be nil

	// Guarded by the postbox.
	begun     bool
	finished  bool
	withdrawn bool
}

// append adds the next piece of the letter as a frame.
func (l *letter) append(dst []byte, check bool) []byte {
	start := len(dst)
	total := len(l.body)
	piece := l.body[:min(total, chunkBytes)]
	switch {
	case l.reply && l.begun:
		dst = binary.BigEndian.AppendUint64(beginFrame(dst, frameReplyMore), l.id)
	case l.reply:
		dst = binary.BigEndian.AppendUint64(beginFrame(dst, frameReply), l.id)
		dst = append(dst, l.status, l.code)
		dst = binary.BigEndian.AppendUint32(dst, uint32(total))
	case l.begun:
		dst = binary.BigEndian.AppendUint64(beginFrame(dst, frameCallMore), l.id)
	default:
		dst = binary.BigEndian.AppendUint64(beginFrame(dst, frameCall), l.id)
		left := max(time.Until(l.deadline).Milliseconds(), 0) + 1
		dst = binary.BigEndian.AppendUint32(dst, uint32(min(left, 1<<31)))
		dst = append(dst, l.kind)
		dst = binary.BigEndian.AppendUint32(dst, uint32(total))
	}
	dst = append(dst, piece...)
	l.body = l.body[len(piece):]
	l.begun, l.finished = true, len(l.body) == 0
	return endFrame(dst, start, check)
}

const (
	callHead     = 8 + 4 + 1 + 4
	replyHead    = 8 + 1 + 1 + 4
	callFrameMax = callHead + chunkBytes
)

// postbox holds the letters that wait to be written on one connection. Its
// users bound how many there are.
type postbox struct {
	check bool
	wake  chan struct{}

	mu     sync.Mutex
	first  []byte    // small frames that go before all letters
	queue  []*letter // a ring would save little: it is as long as calls are at once
	closed bool
}

func (p *postbox) init(check bool) {
	p.check, p.wake = check, make(chan struct{}, 1)
}

func (p *postbox) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// post queues a letter, or says that the connection is gone.
func (p *postbox) post(l *letter) bool {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return false
	}
	p.queue = append(p.queue, l)
	p.mu.Unlock()
	p.ring()
	return true
}

// cancel tells the other side that nobody waits for a call any more.
func (p *postbox) cancel(id uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], id)
	p.mu.Lock()
	if !p.closed {
		p.first = appendFrame(p.first, frameCallCancel, p.check, b[:]...)
	}
	p.mu.Unlock()
	p.ring()
}

// withdraw stops a letter from being written further. It tells whether a part
// and whether all of it was taken for writing already.
func (p *postbox) withdraw(l *letter) (begun, finished bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.withdrawn = true
	return l.begun, l.finished
}

// close refuses further letters and forgets those that wait.
func (p *postbox) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.first, p.queue = true, nil, nil
}

// take appends what is to be written next to dst, and the letters of which it
// took the last piece to done.
func (p *postbox) take(dst []byte, done []*letter) ([]byte, []*letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dst = append(dst, p.first...)
	p.first = p.first[:0]
	i := 0
	for ; i < len(p.queue) && len(dst) < batchBytes; i++ {
		l := p.queue[i]
		if l.withdrawn {
			done = append(done, l)
			continue
		}
		if dst = l.append(dst, p.check); l.finished {
			done = append(done, l)
			continue
		}
		p.queue = append(p.queue, l)
	}
	n := copy(p.queue, p.queue[i:])
	clear(p.queue[n:])
	p.queue = p.queue[:n]
	return dst, done
}

// write writes letters until ctx ends or the connection breaks, and pings while
// there are none.
func (p *postbox) write(ctx context.Context, w *wire, within, pingEvery time.Duration) error {
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	var (
		b    []byte
		done []*letter
	)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
			b = appendFrame(b[:0], framePing, w.check, 0, 0, 0, 0, 0, 0, 0, 0)
			if err := w.write(b, within); err != nil {
				return err
			}
			continue
		case <-p.wake:
		}
		for {
			b, done = p.take(b[:0], done[:0])
			for _, l := range done {
				if l.gone != nil {
					l.gone()
				}
			}
			clear(done)
			if len(b) == 0 {
				break
			}
			if err := w.write(b, within); err != nil {
				return err
			}
		}
	}
}

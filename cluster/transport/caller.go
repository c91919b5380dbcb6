package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"footfall/analytics"
)

// caller is the asking end of a call lane.
type caller struct {
	node     Node
	callsMax int
	bodyMax  int
	within   time.Duration
	box      postbox

	mu      sync.Mutex
	broken  error // why no call is taken any more
	last    uint64
	waiting map[uint64]*question
}

// question is a call that waits for its reply.
type question struct {
	letter letter
	done   chan struct{} // closed when the fields below are set
	reply  []byte
	err    error
	// What has come of the reply so far; the reading goroutine's.
	begun        bool
	total        int
	status, code uint8
	partial      []byte
}

func (c *caller) init(node Node, cfg *Config, check bool) {
	c.node, c.callsMax, c.bodyMax, c.within = node, cfg.CallsMax, cfg.MessageBytesMax, cfg.LaneIdleMax
	c.waiting = map[uint64]*question{}
	c.box.init(check)
}

// do sends a request and waits for its reply. ctx must have a deadline.
func (c *caller) do(ctx context.Context, kind uint8, body []byte) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	q := &question{done: make(chan struct{})}
	c.mu.Lock()
	switch {
	case c.broken != nil:
		err := c.broken
		c.mu.Unlock()
		return nil, failed(NotSent, c.name(), err)
	case len(c.waiting) >= c.callsMax:
		c.mu.Unlock()
		return nil, failed(NotSent, c.name(), &analytics.Error{Code: analytics.Overloaded, Text: fmt.Sprintf("%d calls are waiting already", c.callsMax)})
	}
	c.last++
	q.letter = letter{id: c.last, deadline: deadline, kind: kind, body: body}
	c.waiting[q.letter.id] = q
	c.mu.Unlock()
	c.box.post(&q.letter) // if the lane broke meanwhile, close ends the call
	select {
	case <-q.done:
	case <-ctx.Done():
		c.give(ctx, q)
		<-q.done
	}
	return q.reply, q.err
}

func (c *caller) name() string { return fmt.Sprintf("call to node %d", c.node) }

// give gives a call up, unless its reply came at the same time.
func (c *caller) give(ctx context.Context, q *question) {
	c.mu.Lock()
	mine := c.waiting[q.letter.id] == q
	delete(c.waiting, q.letter.id)
	c.mu.Unlock()
	begun, finished := c.box.withdraw(&q.letter)
	if !mine {
		return // the reply, or the end of the lane, has it
	}
	if begun {
		c.box.cancel(q.letter.id)
	}
	q.end(finished, c.name(), cause(ctx))
}

// end ends a call without a reply.
func (q *question) end(sent bool, name string, err error) {
	fate := NotSent
	if sent {
		fate = Lost
	}
	q.reply, q.err = nil, failed(fate, name, err)
	close(q.done)
}

// close ends all calls: the lane broke.
func (c *caller) close(err error) {
	if err == nil {
		err = errNotConnected
	}
	c.mu.Lock()
	if c.broken == nil {
		c.broken = err
	}
	waiting := c.waiting
	c.waiting = map[uint64]*question{}
	c.mu.Unlock()
	for _, q := range waiting {
		_, finished := c.box.withdraw(&q.letter)
		q.end(finished, c.name(), err)
	}
	c.box.close()
}

func (c *caller) write(ctx context.Context, w *wire, pingEvery time.Duration) error {
	return c.box.write(ctx, w, c.within, pingEvery)
}

// read takes replies until the lane breaks.
func (c *caller) read(w *wire) error {
	for {
		kind, body, err := w.frames.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameReply, frameReplyMore:
			err = c.take(kind == frameReply, body)
		case framePing:
		case frameBye:
			err = byeError(body)
		default:
			err = unknown(kind, w.lane)
		}
		if err != nil {
			return err
		}
	}
}

// take adds a piece to the reply it belongs to. A reply that nobody waits for
// any more is passed over.
func (c *caller) take(first bool, body []byte) error {
	if len(body) < 8 || first && len(body) < replyHead {
		return errShort
	}
	id := binary.BigEndian.Uint64(body)
	c.mu.Lock()
	q := c.waiting[id]
	c.mu.Unlock()
	if q == nil {
		return nil
	}
	// Only this goroutine touches the reply until it is complete; who gives the
	// call up meanwhile leaves it alone.
	whole, err := q.add(first, body, c.bodyMax)
	if err != nil || !whole {
		return err
	}
	c.mu.Lock()
	mine := c.waiting[id] == q
	delete(c.waiting, id)
	c.mu.Unlock()
	if mine {
		q.complete()
	}
	return nil
}

func (q *question) add(first bool, body []byte, bodyMax int) (whole bool, err error) {
	piece := body[8:]
	if first {
		if q.begun {
			return false, errors.New("a reply begins twice")
		}
		total := binary.BigEndian.Uint32(body[10:])
		if int64(total) > int64(bodyMax) {
			return false, fmt.Errorf("reply of %d bytes, at most %d are allowed", total, bodyMax)
		}
		q.begun, q.total, q.status, q.code = true, int(total), body[8], body[9]
		piece = body[replyHead:]
		q.partial = make([]byte, 0, min(q.total, bufferKept))
	}
	if !q.begun || len(q.partial)+len(piece) > q.total || len(piece) == 0 && q.total > 0 {
		return false, errors.New("a piece of a reply does not fit")
	}
	q.partial = append(slices.Grow(q.partial, len(piece)), piece...)
	return len(q.partial) == q.total, nil
}

// complete ends a call whose reply is whole.
func (q *question) complete() {
	if q.err = decodeStatus(q.status, q.code, string(q.errorText())); q.err == nil {
		q.reply = q.partial
	}
	close(q.done)
}

func (q *question) errorText() []byte {
	if q.status == statusOK {
		return nil
	}
	return q.partial
}

// Call asks a node and waits for its answer, which belongs to the caller. body
// may be reused when Call returns. Errors are *CallError: see Fate. Without a
// deadline in ctx, Config.CallTimeMax is one.
func (t *Transport) Call(ctx context.Context, to Node, kind uint8, body []byte) ([]byte, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	if err := t.fits(body); err != nil {
		return nil, failed(NotSent, fmt.Sprintf("call to node %d", to), err)
	}
	l := (*t.links.Load())[to]
	if l == nil {
		return nil, failed(NotSent, fmt.Sprintf("call to node %d", to), errNotConnected)
	}
	s := l.session.Load()
	if s == nil {
		return nil, failed(NotSent, fmt.Sprintf("call to node %d", to), errNotConnected)
	}
	return s.calls.do(ctx, kind, body)
}

func (t *Transport) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.cfg.CallTimeMax)
}

func (t *Transport) fits(body []byte) error {
	if len(body) <= t.cfg.MessageBytesMax {
		return nil
	}
	return &analytics.Error{Code: analytics.TooLarge, Text: fmt.Sprintf("body: %d bytes, at most %d are allowed", len(body), t.cfg.MessageBytesMax)}
}

// CallAddress asks whoever listens at an address, over a connection of its own.
// It works before this node, or the other, is a member; the Peer tells who
// answered, also when the answer is an error or, with RefusalOf, a refusal.
func (t *Transport) CallAddress(ctx context.Context, addr string, kind uint8, body []byte) ([]byte, Peer, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	name := "call to " + addr
	if err := t.fits(body); err != nil {
		return nil, Peer{}, failed(NotSent, name, err)
	}
	w, err := t.dial(ctx, addr, laneOnce, 0, t.clientTLS())
	if err != nil {
		var who Peer
		if w != nil {
			who = w.peer
		}
		if ctx.Err() != nil {
			err = cause(ctx)
		}
		return nil, who, failed(NotSent, name, err)
	}
	defer w.close()
	defer w.closeAfter(ctx)()
	reply, err := t.callOnce(ctx, w, kind, body)
	if err != nil && FateOf(err) == 0 {
		if ctx.Err() != nil {
			err = cause(ctx)
		}
		err = failed(Lost, name, err)
	}
	return reply, w.peer, err
}

// callOnce makes the only call of a connection.
func (t *Transport) callOnce(ctx context.Context, w *wire, kind uint8, body []byte) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	l := letter{id: 1, deadline: deadline, kind: kind, body: body}
	var b []byte
	for !l.finished {
		if b = l.append(b[:0], w.check); l.finished {
			break
		}
		if err := w.write(b, t.cfg.LaneIdleMax); err != nil {
			return nil, failed(NotSent, "call to "+w.peer.Addr, err)
		}
	}
	if err := w.write(b, t.cfg.LaneIdleMax); err != nil {
		return nil, err
	}
	w.read(0, callFrameMax, nil) // ctx ends it
	q := question{done: make(chan struct{})}
	for {
		kind, body, err := w.frames.next()
		if err != nil {
			return nil, err
		}
		switch kind {
		case frameReply, frameReplyMore:
			if len(body) < 8 || kind == frameReply && len(body) < replyHead {
				return nil, errShort
			}
			whole, err := q.add(kind == frameReply, body, t.cfg.MessageBytesMax)
			if err != nil {
				return nil, err
			}
			if whole {
				q.complete()
				return q.reply, q.err
			}
		case framePing:
		case frameBye:
			return nil, byeError(body)
		default:
			if err := unknown(kind, w.lane); err != nil {
				return nil, err
			}
		}
	}
}

package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"footfall/analytics"
)

// callee is the answering end of a call lane.
type callee struct {
	t    *Transport
	w    *wire
	box  postbox
	ctx  context.Context // ends with the lane
	work sync.WaitGroup  // handlers

	mu    sync.Mutex
	tasks map[uint64]*task // until their reply is on its way
	bytes int              // of their requests
}

// task is a request that comes in or is being answered.
type task struct {
	id       uint64
	kind     uint8
	deadline time.Time
	total    int
	body     []byte
	running  bool
	cancel   context.CancelFunc // while running
}

// takeCalls answers the calls of a lane until it ends, and waits for the
// handlers. left is called when no new one will begin.
func (t *Transport) takeCalls(ctx context.Context, w *wire, left func()) error {
	ctx, cancel := context.WithCancel(ctx)
	c := &callee{t: t, w: w, ctx: ctx, tasks: map[uint64]*task{}}
	c.box.init(w.check)
	var writing sync.WaitGroup
	writing.Go(func() {
		// An error of the writer is one of the connection; the reader has it too.
		_ = c.box.write(ctx, w, t.cfg.LaneIdleMax, t.cfg.LaneIdleMax/5)
		w.close()
	})
	err := c.read()
	if left != nil {
		left()
	}
	cancel()
	w.close()
	c.box.close()
	writing.Wait()
	c.work.Wait()
	return err
}

func (c *callee) read() error {
	for {
		kind, body, err := c.w.frames.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameCall:
			err = c.begin(body)
		case frameCallMore:
			err = c.add(body)
		case frameCallCancel:
			err = c.drop(body)
		case framePing:
		default:
			err = unknown(kind, c.w.lane)
		}
		if err != nil {
			c.w.bye(err) // beside the writer: its writes are of whole frames
			return err
		}
	}
}

// begin takes the first piece of a request, or says at once that it is too much.
func (c *callee) begin(body []byte) error {
	if len(body) < callHead {
		return errShort
	}
	k := &task{id: binary.BigEndian.Uint64(body), kind: body[12]}
	left := time.Duration(binary.BigEndian.Uint32(body[8:])) * time.Millisecond
	k.deadline = time.Now().Add(left)
	cfg := &c.t.cfg
	total := int64(binary.BigEndian.Uint32(body[13:]))
	if total > int64(cfg.MessageBytesMax) {
		return fmt.Errorf("request of %d bytes, at most %d are allowed", total, cfg.MessageBytesMax)
	}
	k.total = int(total)
	c.mu.Lock()
	if c.tasks[k.id] != nil {
		c.mu.Unlock()
		return fmt.Errorf("request %d begins twice", k.id)
	}
	full := ""
	switch {
	case len(c.tasks) >= cfg.CallsMax:
		full = fmt.Sprintf("node %d: %d calls of one node are being answered", cfg.Self(), cfg.CallsMax)
	case c.bytes > 0 && c.bytes+k.total > cfg.CallBytesMax:
		full = fmt.Sprintf("node %d: calls of one node hold %d bytes", cfg.Self(), c.bytes)
	default:
		c.tasks[k.id] = k
		c.bytes += k.total
	}
	c.mu.Unlock()
	if full != "" {
		return c.refuse(k.id, full)
	}
	k.body = make([]byte, 0, min(k.total, bufferKept))
	return c.grow(k, body[callHead:])
}

// refuse answers a request that is not begun. The pieces that may follow belong
// to no task and are passed over.
func (c *callee) refuse(id uint64, text string) error {
	c.mu.Lock()
	// Refusals wait in the postbox too, so they are tasks until they are gone. One
	// beyond twice the bound ends the connection: nobody reads the answers.
	if len(c.tasks) >= 2*c.t.cfg.CallsMax {
		c.mu.Unlock()
		return errors.New("far too many calls at once")
	}
	c.tasks[id] = &task{id: id, running: true, cancel: func() {}}
	c.mu.Unlock()
	c.send(&letter{reply: true, id: id, status: statusRefused, code: uint8(analytics.Overloaded), body: []byte(text)}, 0)
	return nil
}

// add takes a further piece of a request.
func (c *callee) add(body []byte) error {
	if len(body) < 8 {
		return errShort
	}
	c.mu.Lock()
	k := c.tasks[binary.BigEndian.Uint64(body)]
	c.mu.Unlock()
	if k == nil || k.running {
		return nil // refused or cancelled
	}
	return c.grow(k, body[8:])
}

func (c *callee) grow(k *task, piece []byte) error {
	if len(k.body)+len(piece) > k.total || len(piece) == 0 && k.total > 0 {
		return fmt.Errorf("a piece of request %d does not fit", k.id)
	}
	k.body = append(slices.Grow(k.body, len(piece)), piece...)
	if len(k.body) < k.total {
		return nil
	}
	ctx, cancel := context.WithDeadline(c.ctx, k.deadline)
	c.mu.Lock()
	k.running, k.cancel = true, cancel
	c.mu.Unlock()
	c.work.Go(func() {
		defer cancel()
		c.answer(ctx, k)
	})
	return nil
}

// drop forgets a request that nobody waits for, or tells its handler.
func (c *callee) drop(body []byte) error {
	if len(body) < 8 {
		return errShort
	}
	id := binary.BigEndian.Uint64(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.tasks[id]
	switch {
	case k == nil:
	case k.running:
		k.cancel()
	default:
		delete(c.tasks, id)
		c.bytes -= k.total
	}
	return nil
}

func (c *callee) answer(ctx context.Context, k *task) {
	reply, err := c.handle(ctx, k)
	l := &letter{reply: true, id: k.id, body: reply}
	if err == nil {
		err = c.t.fits(reply)
	}
	if err != nil {
		var text string
		l.status, l.code, text = encodeError(ctx, err)
		l.body = []byte(text)
	}
	c.send(l, k.total)
}

// handle calls the handler. What a peer sends must not end this process: a
// panic is an answer, and its place is in the log.
func (c *callee) handle(ctx context.Context, k *task) (reply []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.t.cfg.Logger.Error("the handler of a call panicked", "kind", k.kind, "node", c.w.peer.Node, "panic", r, "stack", string(debug.Stack()))
			reply, err = nil, analytics.Errorf(analytics.Internal, "the handler of a call of kind %d panicked", k.kind)
		}
	}()
	return c.t.cfg.Handler.Call(ctx, c.w.peer, k.kind, k.body)
}

// send puts a reply on its way; then the request counts no more.
func (c *callee) send(l *letter, held int) {
	l.gone = func() {
		c.mu.Lock()
		delete(c.tasks, l.id)
		c.bytes -= held
		c.mu.Unlock()
	}
	c.box.post(l)
}

package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// link keeps one peer connected while it is on the list. Its goroutine dials,
// serves the session until it breaks, tells the handler, and dials again.
type link struct {
	t       *Transport
	node    Node
	tls     *tls.Config
	traffic *traffic
	session atomic.Pointer[session] // nil while down
	dropped atomic.Uint64
	stop    context.CancelFunc // set when the goroutine starts
	after   <-chan struct{}    // if set, the end of an earlier link to the node
	done    chan struct{}      // closed when the goroutine has ended
	moved   chan struct{}      // holds a token when the address changed

	mu    sync.Mutex
	addr  string
	since time.Time // of up or down
	last  error     // why it is or was down
}

func newLink(t *Transport, node Node, addr string, c *traffic) *link {
	return &link{t: t, node: node, addr: addr, tls: t.clientTLS(), traffic: c, since: t.cfg.Clock(),
		done: make(chan struct{}), moved: make(chan struct{}, 1)}
}

func (l *link) address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// move gives the node another address.
func (l *link) move(addr string) {
	l.mu.Lock()
	same := l.addr == addr
	l.addr = addr
	l.mu.Unlock()
	if same {
		return
	}
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

func (l *link) note(err error, change bool) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if change {
		l.since = l.t.cfg.Clock()
	}
	news = change || err != nil && (l.last == nil || l.last.Error() != err.Error())
	if err != nil {
		l.last = err
	}
	return news
}

func (l *link) describe() PeerState {
	l.mu.Lock()
	p := PeerState{Node: l.node, Addr: l.addr, Since: l.since}
	if l.last != nil {
		p.LastError = l.last.Error()
	}
	l.mu.Unlock()
	p.Dropped = l.dropped.Load()
	p.SentBytes, p.ReceivedBytes = l.traffic.sent.Load(), l.traffic.received.Load()
	if s := l.session.Load(); s != nil {
		p.Up = true
		p.RTT = time.Duration(s.rtt.Load())
		p.QueuedBytes = s.boxes[Control].bytes() + s.boxes[Append].bytes()
		p.Version, p.CertExpires = s.wires[Control].version, s.wires[Control].expires
	}
	return p
}

// run keeps the peer connected until ctx ends.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	if l.after != nil {
		<-l.after
	}
	cfg, wait := &l.t.cfg, time.Duration(0)
	for ctx.Err() == nil {
		select {
		case <-l.moved: // the address is read after this
		default:
		}
		s, err := l.connect(ctx)
		if err != nil {
			if ctx.Err() == nil && l.note(err, false) {
				cfg.Logger.Warn("node cannot be reached", "node", l.node, "error", err)
			}
			wait = min(max(2*wait, cfg.RedialMin), cfg.RedialMax)
		} else {
			l.session.Store(s)
			l.note(nil, true)
			cfg.Logger.Info("node connected", "node", l.node, "address", s.wires[Control].peer.Addr)
			cfg.Handler.Up(l.node)
			err = s.serve(ctx, l.moved)
			l.session.Store(nil)
			s.calls.close(err)
			l.dropped.Add(s.boxes[Control].close() + s.boxes[Append].close())
			l.note(err, true)
			if l.t.ctx.Err() != nil {
				return // Run ends
			}
			cfg.Logger.Warn("node disconnected", "node", l.node, "error", err)
			cfg.Handler.Down(l.node, err)
			wait = cfg.RedialMin
		}
		l.pause(ctx, wait)
	}
}

// pause waits between half of and the whole time given, or for a new address.
func (l *link) pause(ctx context.Context, d time.Duration) {
	d -= time.Duration(l.t.cfg.Random() % uint64(d/2+1))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.moved:
	}
}

// sessionLanes are the lanes of a session: all are up, or none is.
var sessionLanes = [...]Lane{Control, Append, laneCall}

// session is the time from all lanes to a peer being connected to the first of
// them breaking.
type session struct {
	link  *link
	addr  string
	wires [laneCall + 1]*wire
	boxes [Append + 1]outbox
	calls caller
	rtt   atomic.Int64
}

// connect opens all lanes.
func (l *link) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addr := l.address()
	s := &session{link: l, addr: addr}
	var errs [laneCall + 1]error
	var dials sync.WaitGroup
	for _, lane := range sessionLanes {
		dials.Go(func() {
			w, err := l.t.dial(ctx, addr, lane, l.node, l.tls)
			if err != nil {
				errs[lane] = err
				cancel() // the others are of no use alone
				return
			}
			s.wires[lane] = w
		})
	}
	dials.Wait()
	// The first to fail made the others fail by ending ctx.
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	if first != nil {
		s.close()
		return nil, first
	}
	for _, lane := range sessionLanes {
		w := s.wires[lane]
		w.sent = &l.traffic.sent
		switch lane {
		case Control:
			w.read(l.t.cfg.SilenceMax, 1<<10, &l.traffic.received)
		case Append:
			w.read(0, 1<<10, &l.traffic.received)
		case laneCall:
			w.read(l.t.cfg.LaneIdleMax, callFrameMax, &l.traffic.received)
		}
	}
	s.boxes[Control].init(l.t.cfg.ControlBytesMax, s.wires[Control].check)
	s.boxes[Append].init(l.t.cfg.AppendBytesMax, s.wires[Append].check)
	s.calls.init(l.node, &l.t.cfg, s.wires[laneCall].check)
	return s, nil
}

func (s *session) close() {
	for _, w := range s.wires {
		if w != nil {
			w.close()
		}
	}
}

// serve writes and reads the lanes until one breaks, and says why.
func (s *session) serve(ctx context.Context, moved <-chan struct{}) error {
	t := s.link.t
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	var parts sync.WaitGroup
	run := func(lane Lane, part func() error) {
		parts.Go(func() {
			err := part()
			if err == nil || isEOF(err) {
				err = errors.New("the other node closed the connection")
			}
			cancel(fmt.Errorf("%s lane: %w", lane, err))
		})
	}
	run(Control, func() error { return s.writeMessages(ctx, Control, t.cfg.PingEvery) })
	run(Append, func() error { return s.writeMessages(ctx, Append, t.cfg.LaneIdleMax/5) })
	run(laneCall, func() error { return s.calls.write(ctx, s.wires[laneCall], t.cfg.LaneIdleMax/5) })
	run(Control, func() error { return s.readAnswers(Control) })
	run(Append, func() error { return s.readAnswers(Append) })
	run(laneCall, func() error { return s.calls.read(s.wires[laneCall]) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-moved:
			if s.link.address() != s.addr {
				cancel(fmt.Errorf("the address of the node changed: %w", ErrClosed))
			}
		}
	}
	s.close()
	parts.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the node was taken off the list: %w", ErrClosed)
}

// writeMessages writes what Send queued, and pings while nothing else is
// written or the answers are wanted.
func (s *session) writeMessages(ctx context.Context, lane Lane, pingEvery time.Duration) error {
	w, box, cfg := s.wires[lane], &s.boxes[lane], &s.link.t.cfg
	within := cfg.LaneIdleMax
	if lane == Control {
		within = cfg.SilenceMax
	}
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	var ping []byte
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
			ping = s.ping(ping[:0], w)
			if err := w.write(ping, within); err != nil {
				return err
			}
		case <-box.wake:
			for b := box.take(); b != nil; b = box.take() {
				err := w.write(b, within)
				box.written(b)
				if err != nil {
					return err
				}
				select {
				case <-ticks.C: // a busy lane must not hold back the pings of control
					if err := w.write(s.ping(ping[:0], w), within); err != nil {
						return err
					}
				default:
				}
			}
		}
	}
}

func (s *session) ping(dst []byte, w *wire) []byte {
	dst = beginFrame(dst, framePing)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.link.t.cfg.Clock().UnixNano()))
	return endFrame(dst, 0, w.check)
}

// readAnswers takes what comes back on a lane of messages: pongs, and the
// other side's reason for closing.
func (s *session) readAnswers(lane Lane) error {
	w := s.wires[lane]
	for {
		kind, body, err := w.frames.next()
		if err != nil {
			return err
		}
		switch kind {
		case framePong:
			at, err := stamp(body)
			if err != nil {
				return err
			}
			s.rtt.Store(max(1, s.link.t.cfg.Clock().UnixNano()-at))
		case frameBye:
			return byeError(body)
		default:
			if err := unknown(kind, lane); err != nil {
				return err
			}
		}
	}
}

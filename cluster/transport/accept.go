package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"footfall/analytics"
)

// incoming is a lane that another node opened. One node has one of a kind: a
// new one takes the place of the old, whose end the node may have seen first.
type incoming struct {
	w    *wire
	done chan struct{} // closed when nothing more of it reaches the handler in order
}

// accept takes connections until ctx ends.
func (t *Transport) accept(ctx context.Context) error {
	slots := make(chan struct{}, t.cfg.ConnectionsMax)
	wait := 5 * time.Millisecond
	for {
		conn, err := t.cfg.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting connections of the cluster: %w", err)
		case err != nil:
			// Too many open files, most likely; nothing is better than to wait.
			t.cfg.Logger.Error("the cluster port cannot accept", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			t.gate.refuse(conn.RemoteAddr().String(), errors.New("too many connections"))
			continue
		}
		t.gate.enter(conn)
		t.owned.Go(func() {
			defer func() { <-slots }()
			t.welcome(ctx, conn)
		})
	}
}

// welcome finds out who connected, and serves the lane if it is a node.
func (t *Transport) welcome(ctx context.Context, raw net.Conn) {
	addr := raw.RemoteAddr().String()
	w, h, err := t.meet(ctx, raw)
	if !t.gate.leave(raw) && err == nil {
		err = errors.New("took too long while many others came")
	}
	if err == nil {
		err = t.track(w)
	}
	if err != nil {
		raw.Close()
		if w != nil {
			t.release(h)
		}
		if ctx.Err() == nil {
			t.gate.refuse(addr, err)
		}
		return
	}
	if err := t.serve(ctx, w, h); err != nil && ctx.Err() == nil {
		t.cfg.Logger.Warn("a connection of the cluster broke", "node", h.node, "lane", h.lane.String(), "from", addr, "error", err)
	}
}

// meet shakes hands and answers the hello. Who is no node hears nothing.
func (t *Transport) meet(ctx context.Context, raw net.Conn) (*wire, hello, error) {
	if err := raw.SetDeadline(time.Now().Add(t.cfg.HelloTimeMax)); err != nil {
		return nil, hello{}, err
	}
	w := newWire(raw, raw, nil)
	if t.cfg.TLS != nil {
		conn, cork := secure(raw, t.cfg.TLS, true)
		if err := conn.HandshakeContext(ctx); err != nil {
			var plain tls.RecordHeaderError
			if errors.As(err, &plain) {
				err = fmt.Errorf("not TLS: %w", err)
			}
			return nil, hello{}, err
		}
		w = newWire(conn, raw, cork)
		w.expires = conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	h, err := readHello(w.Conn)
	if err != nil {
		return nil, h, fmt.Errorf("reading the hello: %w", err)
	}
	addr := raw.RemoteAddr().String()
	version, err := t.checkHello(h, addr)
	if err == nil {
		err = t.claim(h)
	}
	a := answer{version: version, versions: t.cfg.Versions, cluster: t.cfg.Cluster(), node: t.cfg.Self(), ident: t.cfg.Ident}
	if err != nil {
		a.refusal, a.version, a.text = RefusalOf(err), 0, err.Error()
	}
	if _, failed := w.Conn.Write(a.append(nil)); failed != nil && err == nil {
		t.release(h)
		return nil, h, fmt.Errorf("answering the hello: %w", failed)
	}
	if err != nil {
		return nil, h, fmt.Errorf("node %d: %w", h.node, err)
	}
	for _, step := range []error{
		limitUnacknowledged(raw, t.unacknowledged(h.lane)),
		keepAlong(raw),
		raw.SetDeadline(time.Time{}),
	} {
		if step != nil {
			t.release(h)
			return nil, h, step
		}
	}
	w.lane, w.version, w.peer = h.lane, version, Peer{h.node, h.ident, addr}
	return w, h, nil
}

func keepAlong(raw net.Conn) error {
	if tcp, ok := raw.(*net.TCPConn); ok {
		return tcp.SetKeepAliveConfig(keepAlive())
	}
	return nil
}

// claim counts a stream or tunnel of a node; release gives it back.
func (t *Transport) claim(h hello) error {
	most := 0
	switch h.lane {
	case laneStream:
		most = t.cfg.StreamsMax
	case laneTunnel:
		most = t.cfg.TunnelsMax
	default:
		return nil
	}
	key := laneKey{h.ident, h.lane}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[key] >= most {
		return refuse(RefusedBusy, "%s: %d are open already", h.lane, most)
	}
	t.open[key]++
	return nil
}

func (t *Transport) release(h hello) {
	key := laneKey{h.ident, h.lane}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[key]--; t.open[key] <= 0 {
		delete(t.open, key)
	}
}

// serve does what the lane is for, until it ends.
func (t *Transport) serve(ctx context.Context, w *wire, h hello) error {
	if h.lane == laneTunnel {
		t.cfg.Handler.Tunnel(&tunnel{Conn: w.Conn, w: w, release: func() { t.release(h) }}, w.peer)
		return nil
	}
	defer w.close()
	stop := w.closeAfter(ctx)
	defer stop()
	c := t.trafficOf(h.node)
	w.sent = &c.sent
	switch h.lane {
	case laneStream:
		defer t.release(h)
		w.read(t.cfg.StreamIdle, streamFrameMax, &c.received)
		return t.takeStream(ctx, w)
	case laneOnce:
		w.read(time.Minute, callFrameMax, &c.received)
		return ignoreEnd(t.takeCalls(ctx, w, nil))
	}
	in := t.replace(h, w)
	if h.lane == laneCall {
		w.read(t.cfg.LaneIdleMax, callFrameMax, &c.received)
		return ignoreEnd(t.takeCalls(ctx, w, func() { t.retire(h, in) }))
	}
	defer t.retire(h, in)
	silence := t.cfg.LaneIdleMax
	if h.lane == Control {
		silence = t.cfg.SilenceMax
	}
	w.read(silence, t.cfg.MessageBytesMax, &c.received)
	return ignoreEnd(t.takeMessages(w))
}

// replace makes w the lane of its node and waits until the one before it has
// handed over its last message.
func (t *Transport) replace(h hello, w *wire) *incoming {
	in := &incoming{w: w, done: make(chan struct{})}
	key := laneKey{h.ident, h.lane}
	t.mu.Lock()
	before := t.lanes[key]
	t.lanes[key] = in
	t.mu.Unlock()
	if before != nil {
		before.w.close()
		<-before.done
	}
	return in
}

func (t *Transport) retire(h hello, in *incoming) {
	key := laneKey{h.ident, h.lane}
	t.mu.Lock()
	if t.lanes[key] == in {
		delete(t.lanes, key)
	}
	t.mu.Unlock()
	close(in.done)
}

// takeMessages hands messages to the handler until the lane ends.
func (t *Transport) takeMessages(w *wire) error {
	var pong []byte
	for {
		kind, body, err := w.frames.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameMessage:
			t.cfg.Handler.Message(w.peer.Node, w.lane, body)
		case framePing:
			if w.lane != Control {
				break // who pings there only says that it lives
			}
			if len(body) < 8 {
				return errShort
			}
			pong = appendFrame(pong[:0], framePong, w.check, body[:8]...)
			if err := w.write(pong, t.cfg.SilenceMax); err != nil {
				return err
			}
		default:
			if err := unknown(kind, w.lane); err != nil {
				w.bye(err)
				return err
			}
		}
	}
}

// ignoreEnd takes the ends that need no word in the log of the accepting side:
// the dialling side has told its own handler.
func ignoreEnd(err error) error {
	switch {
	case errors.Is(err, errChecksum), errors.Is(err, errShort):
		return err
	case isConnectionEnd(err):
		return nil
	}
	return err
}

func isConnectionEnd(err error) bool {
	var op *net.OpError
	return err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, errSilent) || errors.As(err, &op) || isEOF(err)
}

// byeError is what the other side said before it closed.
func byeError(body []byte) error {
	return &analytics.Error{Code: analytics.Internal, Text: "the other node closed: " + string(body[:min(len(body), textBytesMax)])}
}

func stamp(body []byte) (int64, error) {
	if len(body) < 8 {
		return 0, errShort
	}
	return int64(binary.BigEndian.Uint64(body)), nil
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"footfall/analytics"
)

// streamFrameMax bounds a frame of a stream; the header is one frame.
const streamFrameMax = chunkBytes + 1

// errAnswered ends the writing of a stream whose result is there already.
var errAnswered = errors.New("the other node wants no more of the stream")

// Stream opens a stream to a node, lets send write it, and waits for what the
// other node's handler says. It blocks as the other side's reading does; at
// least one write or read of it must get on within Config.StreamIdle. If send
// returns an error the other side reads an error, and Stream returns that of
// send. Other errors are *CallError: see Fate; what was sent may have been used
// unless the fate is NotSent. kind and header are for the handler; the header is
// at most 64 KiB.
func (t *Transport) Stream(ctx context.Context, to Node, kind uint8, header []byte, send func(io.Writer) error) error {
	name := fmt.Sprintf("stream to node %d", to)
	if len(header) > chunkBytes {
		return failed(NotSent, name, &analytics.Error{Code: analytics.TooLarge, Text: fmt.Sprintf("header: %d bytes, at most %d are allowed", len(header), chunkBytes)})
	}
	w, err := t.dialPeer(ctx, to, laneStream)
	if err != nil {
		return failed(NotSent, name, err)
	}
	c := t.trafficOf(to)
	w.sent = &c.sent
	w.read(t.cfg.StreamIdle, streamFrameMax, &c.received)
	s := &streamWriter{w: w, within: t.cfg.StreamIdle, answered: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(s.await)
	stop := w.closeAfter(ctx)
	defer func() {
		stop()
		w.close()
		reading.Wait()
	}()
	s.begin(kind, header)
	failure := send(s)
	if failure == nil {
		failure = s.end()
	} else {
		s.abort(failure)
	}
	if failure != nil && s.broken == nil && !errors.Is(failure, errAnswered) {
		// Of send itself. Closing at once could take the reason away from the other
		// side.
		timer := time.AfterFunc(t.cfg.LaneIdleMax, w.close)
		<-s.answered
		timer.Stop()
		return failure
	}
	<-s.answered
	switch {
	case s.result == nil:
		return nil
	case FateOf(s.result) != 0:
		return s.result
	case ctx.Err() != nil:
		return failed(Lost, name, cause(ctx))
	case s.broken != nil:
		return failed(Lost, name, s.broken)
	}
	return failed(Lost, name, s.result)
}

// streamWriter is the sending end of a stream.
type streamWriter struct {
	w      *wire
	within time.Duration
	buf    []byte // a data frame that is being filled
	broken error  // of the connection, as writing found it

	answered chan struct{} // closed when result is set
	result   error         // nil: the handler was content
}

// await reads until the result is there.
func (s *streamWriter) await() {
	defer close(s.answered)
	for {
		kind, body, err := s.w.frames.next()
		switch {
		case err != nil:
			s.result = err
			s.w.close() // a writer that waits for room must not wait for ever
			return
		case kind == frameResult && len(body) >= 2:
			s.result = decodeStatus(body[0], body[1], string(body[2:]))
			return
		case kind == frameBye:
			s.result = byeError(body)
			return
		case kind == framePing:
		default:
			if err := unknown(kind, laneStream); err != nil {
				s.result = err
				s.w.close()
				return
			}
		}
	}
}

func (s *streamWriter) begin(kind uint8, header []byte) {
	start := len(s.buf)
	s.buf = append(append(beginFrame(s.buf, frameStream), kind), header...)
	s.buf = endFrame(s.buf, start, s.w.check)
	s.flush()
	s.buf = beginFrame(s.buf, frameData)
}

// flush writes the frames in buf.
func (s *streamWriter) flush() {
	select {
	case <-s.answered:
		if s.broken == nil && FateOf(s.result) == 0 && s.result != nil {
			s.broken = s.result
		}
	default:
		if s.broken == nil {
			s.broken = s.w.write(s.buf, s.within)
		}
	}
	s.buf = s.buf[:0]
}

// Write collects full frames, and writes them.
func (s *streamWriter) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		if err := s.over(); err != nil {
			return n, err
		}
		room := frameHead + chunkBytes - len(s.buf)
		piece := p[:min(len(p), room)]
		s.buf = append(s.buf, piece...)
		n, p = n+len(piece), p[len(piece):]
		if len(piece) == room {
			s.buf = endFrame(s.buf, 0, s.w.check)
			s.flush()
			s.buf = beginFrame(s.buf, frameData)
		}
	}
	return n, s.over()
}

// over tells why nothing more can be written.
func (s *streamWriter) over() error {
	if s.broken != nil {
		return s.broken
	}
	select {
	case <-s.answered:
		return errAnswered
	default:
		return nil
	}
}

// end writes what is left, and that it was all.
func (s *streamWriter) end() error {
	if len(s.buf) > frameHead {
		s.buf = endFrame(s.buf, 0, s.w.check)
	} else {
		s.buf = s.buf[:0]
	}
	s.buf = appendFrame(s.buf, frameEnd, s.w.check)
	s.flush()
	return s.over()
}

// abort tells the other side that the rest will not come.
func (s *streamWriter) abort(err error) {
	if s.over() != nil {
		return
	}
	text := err.Error()
	s.buf = appendFrame(s.buf[:0], frameAbort, s.w.check, []byte(text[:min(len(text), errorBytesMax)])...)
	s.flush()
}

// streamReader is the receiving end of a stream.
type streamReader struct {
	w    *wire
	rest []byte // of the frame read last
	err  error  // when nothing more comes; io.EOF: all came
}

func (r *streamReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill reads a frame.
func (r *streamReader) fill() {
	kind, body, err := r.w.frames.next()
	switch {
	case err != nil:
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // it ended without an end
		}
		r.err = fmt.Errorf("stream of node %d: %w", r.w.peer.Node, err)
	case kind == frameData:
		r.rest = body
	case kind == frameEnd:
		r.err = io.EOF
	case kind == frameAbort:
		r.err = fmt.Errorf("stream of node %d: %w: %s", r.w.peer.Node, ErrAborted, body)
	default:
		r.err = unknown(kind, laneStream)
	}
}

// takeStream hands a stream to the handler and sends back what it says.
func (t *Transport) takeStream(ctx context.Context, w *wire) error {
	kind, body, err := w.frames.next()
	if err != nil {
		return err
	}
	if kind != frameStream || len(body) < 1 {
		err := fmt.Errorf("a stream begins with a frame of kind %d", kind)
		w.bye(err)
		return err
	}
	header := append([]byte(nil), body[1:]...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &streamReader{w: w}
	watched := &watchedReader{r: r, gone: cancel}
	err = t.handleStream(ctx, w, body[0], header, watched, cancel)
	result := appendResult(ctx, err, w.check)
	failure := w.write(result, t.cfg.StreamIdle)
	// The sender closes when it has the result. Closing before that, with its
	// data unread, would take the result away from it.
	if failure == nil {
		watched.drain(t.cfg.LaneIdleMax)
	}
	w.close()
	watched.wait()
	return failure
}

func appendResult(ctx context.Context, err error, check bool) []byte {
	body := []byte{statusOK, 0}
	if err != nil {
		status, code, text := encodeError(ctx, err)
		body = append([]byte{status, code}, text...)
	}
	return appendFrame(nil, frameResult, check, body...)
}

// handleStream calls the handler, and lets the sender know meanwhile that the
// stream lives.
func (t *Transport) handleStream(ctx context.Context, w *wire, kind uint8, header []byte, r io.Reader, gone func()) (err error) {
	beat, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticks := time.NewTicker(t.cfg.StreamIdle / 4)
		defer ticks.Stop()
		for {
			select {
			case <-beat.Done():
				return
			case <-ticks.C:
				if w.write(appendFrame(nil, framePing, w.check), t.cfg.StreamIdle) != nil {
					gone()
					return
				}
			}
		}
	})
	defer beating.Wait()
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			t.cfg.Logger.Error("the handler of a stream panicked", "kind", kind, "node", w.peer.Node, "panic", p, "stack", string(debug.Stack()))
			err = analytics.Errorf(analytics.Internal, "the handler of a stream of kind %d panicked", kind)
		}
	}()
	return t.cfg.Handler.Stream(ctx, w.peer, kind, header, r)
}

// watchedReader is the reader that a handler gets. Once all was read it keeps
// an eye on the connection, so that the handler's context ends when the sender
// is gone.
type watchedReader struct {
	r        *streamReader
	gone     func()
	watching sync.WaitGroup
	once     sync.Once
}

func (o *watchedReader) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	switch err {
	case nil:
	case io.EOF:
		o.watch()
	default:
		o.gone()
	}
	return n, err
}

// watch reads on: nothing is to come, so what comes is the end.
func (o *watchedReader) watch() {
	o.once.Do(func() {
		conn := o.r.w.frames
		o.watching.Go(func() {
			for {
				if _, _, err := conn.next(); err != nil && !errors.Is(err, errSilent) {
					o.gone()
					return
				}
			}
		})
	})
}

// drain waits until the sender has closed, but not long.
func (o *watchedReader) drain(within time.Duration) {
	timer := time.AfterFunc(within, o.r.w.close)
	defer timer.Stop()
	o.watch()
	o.watching.Wait()
}

func (o *watchedReader) wait() { o.watching.Wait() }

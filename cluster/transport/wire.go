package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pieceBytes is how much is written under one deadline.
	pieceBytes = 256 << 10
	// chunkBytes is the largest piece of a call's or stream's body in one frame.
	chunkBytes = 64 << 10
)

// corked is a TCP connection under TLS. TLS writes one record of 16 KiB at a
// time; while a cork is in, records collect and leave together in one system
// call. Reading is buffered for the same reason.
type corked struct {
	net.Conn
	in *bufio.Reader

	// mu keeps records in the order in which TLS made them, also when the reading
	// side writes one of its own (a key update, an alert). It is held over the
	// write for that reason; deadlines bound it.
	mu  sync.Mutex
	on  bool
	out []byte
}

func (c *corked) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *corked) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		c.out = append(c.out, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corked) cork() {
	c.mu.Lock()
	c.on = true
	c.mu.Unlock()
}

func (c *corked) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > bufferKept {
		c.out = nil
	}
	return err
}

// patient gives each read its own deadline.
type patient struct {
	net.Conn
	within time.Duration // 0: for ever
}

func (p patient) Read(b []byte) (int, error) {
	if p.within == 0 {
		return p.Conn.Read(b)
	}
	n, err := p.readWithin(b, p.within)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// When this process itself did not get to run, what arrived meanwhile is
		// there to be read although the time is over.
		n, err = p.readWithin(b, p.within/10)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilent
	}
	return n, err
}

func (p patient) readWithin(b []byte, d time.Duration) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// wire is an open connection to another node, after the hello. One goroutine
// may read and one may write at a time; close may be called by anybody.
type wire struct {
	net.Conn // TLS, or plain TCP
	raw      net.Conn
	cork     *corked // nil without TLS
	check    bool
	lane     Lane
	peer     Peer
	version  uint16
	expires  time.Time // of the peer's certificate; zero without TLS
	frames   *frameReader
	sent     *atomic.Uint64 // may be nil
	untrack  func()         // tells the transport that the connection is gone
}

// newWire wraps conn, beneath which raw is the TCP connection.
func newWire(conn, raw net.Conn, cork *corked) *wire {
	return &wire{Conn: conn, raw: raw, cork: cork, check: cork == nil}
}

// read prepares for reading frames, each read within the given time.
func (w *wire) read(within time.Duration, bodyMax int, count *atomic.Uint64) {
	w.frames = newFrameReader(patient{w.Conn, within}, bodyMax, w.check)
	w.frames.count = count
}

// write sends b, giving each piece of it the time within.
func (w *wire) write(b []byte, within time.Duration) error {
	for len(b) > 0 {
		piece := b[:min(len(b), pieceBytes)]
		b = b[len(piece):]
		if err := w.raw.SetWriteDeadline(time.Now().Add(within)); err != nil {
			return err
		}
		if w.cork != nil {
			w.cork.cork()
		}
		_, err := w.Conn.Write(piece)
		if w.cork != nil {
			err = errors.Join(err, w.cork.uncork())
		}
		if err != nil {
			return err
		}
		if w.sent != nil {
			w.sent.Add(uint64(len(piece)))
		}
	}
	return nil
}

// close ends the connection at once; whoever reads or writes gets an error.
// There is no parting word of TLS: streams and calls have ends of their own.
func (w *wire) close() {
	w.raw.Close()
	if w.untrack != nil {
		w.untrack()
	}
}

// bye tells the other side why this one will close.
func (w *wire) bye(err error) {
	text := err.Error()
	// Nothing is left to do if that fails too.
	_ = w.write(appendFrame(nil, frameBye, w.check, []byte(text[:min(len(text), textBytesMax)])...), time.Second)
}

// closeAfter closes the connection when ctx ends. The function it gives stops
// that and is to be called by whoever is done.
func (w *wire) closeAfter(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, w.close)
}

func secure(raw net.Conn, settings *tls.Config, server bool) (*tls.Conn, *corked) {
	cork := &corked{Conn: raw, in: bufio.NewReaderSize(raw, readBytes)}
	if server {
		return tls.Server(cork, settings), cork
	}
	return tls.Client(cork, settings), cork
}

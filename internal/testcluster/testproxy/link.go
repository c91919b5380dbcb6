package testproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is one connection with its continuation.
type link struct {
	near net.Conn
	over chan struct{} // closed by reset

	mu  sync.Mutex
	far net.Conn // nil before join
}

// join adds the continuation; false when the link has been reset.
func (l *link) join(far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
		abort(far)
		return false
	default:
	}
	l.far = far
	return true
}

// reset breaks both connections, unless they have ended already.
func (l *link) reset() { l.finish(abort) }

// finish ends both connections by end, unless they have ended already.
func (l *link) finish(end func(net.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
		return
	default:
	}
	close(l.over)
	end(l.near)
	if l.far != nil {
		end(l.far)
	}
}

// abort closes with RST instead of FIN.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a connection that is gone needs none
	}
	_ = c.Close() // nothing is expected of it any more
}

// carry takes bytes from one side to the other until the stream ends or the link
// is reset. An orderly end is passed on as one, after what came before it.
func (p *Proxy) carry(l *link, from, to net.Conn, flow func(Rule) Flow) {
	chunks := make(chan chunk, chunksMax)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(chunks)
		for {
			buffer := make([]byte, chunkBytes)
			n, err := from.Read(buffer)
			select {
			case chunks <- chunk{buffer[:n], time.Now(), err}:
			case <-l.over:
				return
			}
			if err != nil {
				return
			}
		}
	})
	defer reading.Wait()
	for c := range chunks {
		if !p.await(l, c.at, flow) {
			return
		}
		if _, err := to.Write(c.bytes); err != nil {
			l.reset()
			return
		}
		if errors.Is(c.end, io.EOF) {
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite() // the other side may be gone already
			}
			return
		}
		if c.end != nil {
			l.reset()
			return
		}
	}
}

// await waits until something read at that time may arrive; false when the link
// is over before.
func (p *Proxy) await(l *link, at time.Time, flow func(Rule) Flow) bool {
	for met := false; ; {
		rule, _, changed := p.state()
		f := flow(rule)
		wait := time.Until(at.Add(f.Delay))
		if !f.Hole && (f.Delay == 0 || wait <= 0) {
			return true
		}
		if !met {
			met = true
			p.hindered.Add(1)
		}
		var due <-chan time.Time
		var timer *time.Timer
		if !f.Hole {
			timer = time.NewTimer(wait)
			due = timer.C
		}
		select {
		case <-due:
		case <-changed:
		case <-l.over:
			return false
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Serve answers on ln until Shutdown, then returns nil; it closes ln. After
// Shutdown it returns at once.
func (s *Server) Serve(ln net.Listener) error {
	if !s.conns.listen(ln) {
		return nil
	}
	err := s.http.Serve(listener{ln, s.conns})
	if err != nil && !s.draining.Load() {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown ends serving in the order that loses nothing: Draining turns true,
// so the node is no longer ready; streams are closed; no connection is taken
// any more; running requests are answered. What still runs when ctx ends is
// cut off, and ctx's error returned. All connections are closed after it; a
// handler that was cut off ends when what it waits for does.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	if s.opts.CloseStreams != nil {
		s.opts.CloseStreams()
	}
	s.conns.refuse()
	err := s.http.ShutdownWithContext(ctx)
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.conns.closeAll()
	s.forwards.close()
	if err != nil {
		return fmt.Errorf("drain connections: %w", err)
	}
	return nil
}

// tracker knows the open connections, so that a shutdown out of patience can
// close them. It is touched when a connection opens and closes, not per request.
type tracker struct {
	mu        sync.Mutex
	open      map[*conn]struct{}
	listeners []net.Listener
	refusing  bool
}

func newTracker() *tracker { return &tracker{open: map[*conn]struct{}{}} }

// listen takes ln into its care, or closes it when it is too late.
func (t *tracker) listen(ln net.Listener) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusing {
		ln.Close()
		return false
	}
	t.listeners = append(t.listeners, ln)
	return true
}

// refuse closes every listener, those to come included.
func (t *tracker) refuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusing = true
	for _, ln := range t.listeners {
		ln.Close()
	}
}

func (t *tracker) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *tracker) closeAll() {
	t.mu.Lock()
	var left []*conn
	for c := range t.open {
		left = append(left, c)
	}
	t.mu.Unlock()
	for _, c := range left {
		c.Close()
	}
}

type listener struct {
	net.Listener
	conns *tracker
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t, _ := l.conns.add(c) // one that came too late is answered all the same
	return t, nil
}

// add takes c into its care; false once connections are refused.
func (t *tracker) add(c net.Conn) (*conn, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tracked := &conn{Conn: c, conns: t}
	t.open[tracked] = struct{}{}
	return tracked, !t.refusing
}

type conn struct {
	net.Conn
	conns *tracker
}

func (c *conn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn lets door.Watch look whether the client is still there. Nothing
// must read from or write to it.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

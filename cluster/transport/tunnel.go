package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// tunnel is a connection that belongs to its user.
type tunnel struct {
	net.Conn
	w       *wire
	once    sync.Once
	release func() // may be nil
}

// Close says a parting word, where TLS has one, and closes.
func (c *tunnel) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.w.close()
		if c.release != nil {
			c.release()
		}
	})
	return err
}

// Dial opens a tunnel to a node, whose Handler.Tunnel gets the other end. It is
// the caller's to close; the transport closes it when Run ends. Of an error the
// fate is NotSent.
func (t *Transport) Dial(ctx context.Context, to Node) (net.Conn, error) {
	w, err := t.dialPeer(ctx, to, laneTunnel)
	if err != nil {
		return nil, failed(NotSent, fmt.Sprintf("tunnel to node %d", to), err)
	}
	return &tunnel{Conn: w.Conn, w: w}, nil
}

func (t *Transport) dialPeer(ctx context.Context, to Node, lane Lane) (*wire, error) {
	l := (*t.links.Load())[to]
	if l == nil {
		return nil, errNotConnected
	}
	return t.dial(ctx, l.address(), lane, to, l.tls)
}

// Tunnels makes a net.Listener of the tunnels that other nodes open, for the
// HTTP server that answers on them.
type Tunnels struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewTunnels makes a listener that holds at most waitingMax tunnels until they
// are accepted. addr is what its Addr gives.
func NewTunnels(addr net.Addr, waitingMax int) *Tunnels {
	return &Tunnels{addr: addr, conns: make(chan net.Conn, waitingMax), done: make(chan struct{})}
}

// Offer gives a tunnel to whoever accepts next, or closes it when too many wait
// or the listener is closed. It does not block: call it from Handler.Tunnel.
func (l *Tunnels) Offer(conn net.Conn) {
	select {
	case <-l.done:
		conn.Close()
		return
	default:
	}
	select {
	case l.conns <- conn:
	default:
		conn.Close()
		return
	}
	select {
	case <-l.done: // closed meanwhile: nobody accepts any more
		l.drain()
	default:
	}
}

// Accept waits for a tunnel, or for Close.
func (l *Tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and closes the tunnels that wait; those accepted stay.
func (l *Tunnels) Close() error {
	l.once.Do(func() { close(l.done) })
	l.drain()
	return nil
}

func (l *Tunnels) drain() {
	for {
		select {
		case c := <-l.conns:
			c.Close()
		default:
			return
		}
	}
}

// Addr is the address given to NewTunnels.
func (l *Tunnels) Addr() net.Addr { return l.addr }

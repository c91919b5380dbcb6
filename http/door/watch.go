package door

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// ErrClientLeft is the cause of a context that Watch ended.
var ErrClientLeft = errors.New("the client closed the connection")

// How long a request runs before its connection is looked at, and how often
// after that. Most are answered before the first look, which costs them a timer.
const (
	watchAfter = 50 * time.Millisecond
	watchEvery = 100 * time.Millisecond
)

// Watch gives a context that ends with parent, and soon after the client of ctx
// has closed its connection: work for nobody should stop. Its cause is then
// ErrClientLeft. A client that only ends its side of the connection counts as
// gone too, as it does for net/http.
//
// The handler must call stop before it returns; after that nothing looks at the
// connection any more. The bytes on it, such as a
// request that follows this one, are left alone. Connections that cannot be
// looked at, TLS among them, and clients that have sent more already end the
// context with parent only.
func Watch(ctx *fasthttp.RequestCtx, parent context.Context) (watched context.Context, stop func()) {
	conn := rawConn(ctx.Conn())
	within, cancel := context.WithCancelCause(parent)
	if conn == nil {
		return within, func() { cancel(nil) }
	}
	w := &watch{conn: conn, cancel: cancel, ended: make(chan struct{})}
	w.mu.Lock()
	w.timer = time.AfterFunc(watchAfter, w.look)
	w.mu.Unlock()
	return within, w.stop
}

// ClientLeft tells whether the client of ctx has closed its connection, as far as
// that can be told now.
func ClientLeft(ctx *fasthttp.RequestCtx) bool { return PeerLeft(ctx.Conn()) }

// PeerLeft is ClientLeft for a connection of which nobody reads meanwhile.
func PeerLeft(c net.Conn) bool {
	conn := rawConn(c)
	return conn != nil && closedByPeer(conn)
}

// rawConn gives the socket of a connection; nil if there is none or bytes on it
// are not those of the client.
func rawConn(c net.Conn) syscall.RawConn {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// watch looks at a connection from time to time. It owns the timer's goroutine:
// stop waits for it.
type watch struct {
	conn   syscall.RawConn
	cancel context.CancelCauseFunc

	mu      sync.Mutex // held over a look, which does not block
	timer   *time.Timer
	stopped bool
	ended   chan struct{} // closed when the timer has run for the last time
}

// look is run by the timer.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped && !closedByPeer(w.conn) {
		w.timer.Reset(watchEvery)
		return
	}
	if !w.stopped {
		w.cancel(ErrClientLeft)
	}
	close(w.ended)
}

func (w *watch) stop() {
	w.cancel(nil)
	w.mu.Lock()
	again := w.stopped
	w.stopped = true
	waiting := w.timer.Stop()
	w.mu.Unlock()
	if !waiting && !again { // it has begun to look, or has seen enough
		<-w.ended
	}
}

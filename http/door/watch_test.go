package door

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
	"go.uber.org/goleak"
)

// leaks is what fasthttp leaves: a coarse clock for the process, and for each
// server a goroutine that looks for idle workers and ends within ten seconds.
var leaks = []goleak.Option{goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leaks...) }

// serve answers with handler on connections of ln until the test ends.
func serve(t *testing.T, ln net.Listener, handler fasthttp.RequestHandler) {
	t.Helper()
	server := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true, CloseOnShutdown: true}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

const get = "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestAClientThatLeavesEndsItsQuestion(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(*net.TCPConn) error
	}{
		{"closes", func(c *net.TCPConn) error { return c.Close() }},
		{"resets", func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}},
		{"ends its side", func(c *net.TCPConn) error { return c.CloseWrite() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			began, causes := make(chan struct{}), make(chan error)
			ln := listen(t)
			serve(t, ln, func(ctx *fasthttp.RequestCtx) {
				watched, stop := Watch(ctx, context.Background())
				defer stop()
				close(began)
				<-watched.Done() // a question that takes for ever
				causes <- context.Cause(watched)
				if !ClientLeft(ctx) {
					t.Error("the client is gone and ClientLeft does not say so")
				}
			})
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			send(t, conn, fmt.Sprintf(get, 1))
			<-began
			if err := c.leave(conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			if cause := <-causes; cause != ErrClientLeft {
				t.Errorf("cause %v, want %v", cause, ErrClientLeft)
			}
		})
	}
}

// counted tells of every look at its connection.
type counted struct {
	net.Conn
	looks chan struct{}
}

func (c counted) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	return countedRaw{raw, c.looks}, err
}

type countedRaw struct {
	syscall.RawConn
	looks chan struct{}
}

func (c countedRaw) Control(f func(uintptr)) error {
	err := c.RawConn.Control(f)
	select {
	case c.looks <- struct{}{}:
	default:
	}
	return err
}

type countedListener struct {
	net.Listener
	looks chan struct{}
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return counted{c, l.looks}, err
}

// A client that waits, and one that has sent its next request meanwhile, are
// looked at and left alone: no byte is taken, and all requests are answered.
func TestAClientThatStaysGetsItsAnswers(t *testing.T) {
	looks := make(chan struct{})
	began := make(chan struct{})
	ln := countedListener{listen(t), looks}
	serve(t, ln, func(ctx *fasthttp.RequestCtx) {
		watched, stop := Watch(ctx, context.Background())
		defer stop()
		if string(ctx.Path()) != "/3" {
			began <- struct{}{}
			for range 3 {
				<-looks
			}
		}
		if watched.Err() != nil || ClientLeft(ctx) {
			t.Errorf("%s: %v", ctx.Path(), context.Cause(watched))
		}
		ctx.SetBody(ctx.Path())
	})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	answer := func(want string) {
		t.Helper()
		var resp fasthttp.Response
		if err := resp.Read(r); err != nil || string(resp.Body()) != want {
			t.Errorf("%q %v, want %s", resp.Body(), err, want)
		}
	}
	send(t, conn, fmt.Sprintf(get, 1))
	<-began
	answer("/1") // nothing more on the connection
	send(t, conn, fmt.Sprintf(get, 2))
	<-began
	send(t, conn, fmt.Sprintf(get, 3)) // while the second is being answered
	answer("/2")
	answer("/3")
}

func TestWatchingEndsWithItsParent(t *testing.T) {
	overTCP, inMemory := listen(t), fasthttputil.NewInmemoryListener()
	for _, c := range []struct {
		name string
		ln   net.Listener
		dial func() (net.Conn, error)
	}{
		{"over TCP", overTCP, func() (net.Conn, error) { return net.Dial("tcp", overTCP.Addr().String()) }},
		{"without a socket", inMemory, inMemory.Dial},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent, cancel := context.WithCancel(context.Background())
			began, proceed := make(chan struct{}), make(chan struct{})
			serve(t, c.ln, func(ctx *fasthttp.RequestCtx) {
				watched, stop := Watch(ctx, parent)
				close(began)
				<-watched.Done()
				if err := context.Cause(watched); err != context.Canceled {
					t.Errorf("cause %v, want the parent's", err)
				}
				stop()
				stop() // may be called again
				<-proceed
				if ClientLeft(ctx) {
					t.Error("a client that waits has left")
				}
			})
			conn, err := c.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			send(t, conn, fmt.Sprintf(get, 1))
			<-began
			cancel()
			close(proceed)
			var resp fasthttp.Response
			if err := resp.Read(bufio.NewReader(conn)); err != nil || resp.StatusCode() != 200 {
				t.Errorf("%d %v", resp.StatusCode(), err)
			}
		})
	}
}

func TestARequestWithoutConnectionIsWatchedInVain(t *testing.T) {
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	watched, stop := Watch(&ctx, context.Background())
	if watched.Err() != nil || ClientLeft(&ctx) {
		t.Error("it ends at once")
	}
	stop()
	if watched.Err() == nil {
		t.Error("stop does not end the context")
	}
}

// held is a socket that is looked at for as long as the test likes.
type held struct {
	syscall.RawConn
	looking, proceed chan struct{}
	done             atomic.Bool
}

func (h *held) Control(func(uintptr)) error {
	close(h.looking)
	<-h.proceed
	h.done.Store(true)
	return nil
}

type heldConn struct {
	net.Conn
	*held
}

func (c heldConn) SyscallConn() (syscall.RawConn, error) { return c.held, nil }

// After stop the connection may be closed and its number given to another one,
// so no look may be under way.
func TestStopWaitsForALookUnderWay(t *testing.T) {
	h := &held{looking: make(chan struct{}), proceed: make(chan struct{})}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	var ctx fasthttp.RequestCtx
	ctx.Init2(heldConn{near, h}, nil, false)
	_, stop := Watch(&ctx, context.Background())
	<-h.looking
	stopped := make(chan bool)
	go func() {
		stop()
		stopped <- h.done.Load()
	}()
	close(h.proceed)
	if !<-stopped {
		t.Error("stop returned while the connection was looked at")
	}
}

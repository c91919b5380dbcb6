package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
)

func TestAStreamArrivesWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		var header, body []byte
		a, _ := pair(t, &script{}, &script{stream: func(_ context.Context, p Peer, kind uint8, h []byte, r io.Reader) (err error) {
			if p.Node != 1 || kind != 7 {
				return errors.New("who and what?")
			}
			header = h
			body, err = io.ReadAll(r)
			return err
		}}, change)
		for _, size := range []int{0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3<<20 + 5} {
			want := make([]byte, size)
			for i := range want {
				want[i] = byte(i * 7 >> 3)
			}
			err := a.Stream(bounded(t), 2, 7, []byte("shard 3"), func(w io.Writer) error {
				for b := want; len(b) > 0; {
					n := min(len(b), 10_007)
					if _, err := w.Write(b[:n]); err != nil {
						return err
					}
					b = b[n:]
				}
				return nil
			})
			if err != nil || string(header) != "shard 3" || !bytes.Equal(body, want) {
				t.Errorf("%d bytes: %d arrived, header %q, error %v", size, len(body), header, err)
			}
		}
	})
}

func endless(w io.Writer) error {
	b := make([]byte, 10<<10)
	for {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
}

func TestTheReceiverEndsAStream(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		answers := []error{analytics.Errorf(analytics.Unavailable, "disk: full"), nil}
		a, _ := pair(t, &script{}, &script{stream: func(_ context.Context, _ Peer, kind uint8, _ []byte, r io.Reader) error {
			if kind == 2 {
				panic("at the handler")
			}
			io.CopyN(io.Discard, r, 1<<20)
			return answers[kind]
		}}, change)
		if err := a.Stream(bounded(t), 2, 0, nil, endless); FateOf(err) != Remote || analytics.CodeOf(err) != analytics.Unavailable || err.Error() != "disk: full" {
			t.Errorf("refused: %v (%v)", err, FateOf(err))
		}
		if err := a.Stream(bounded(t), 2, 1, nil, endless); err != nil {
			t.Errorf("content with a part: %v", err)
		}
		if err := a.Stream(bounded(t), 2, 2, nil, endless); FateOf(err) != Remote || analytics.CodeOf(err) != analytics.Internal {
			t.Errorf("panicked: %v (%v)", err, FateOf(err))
		}
	})
}

func TestTheSenderEndsAStream(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		began, read := make(chan struct{}, 4), make(chan error, 4)
		a, b := pair(t, &script{}, &script{stream: func(_ context.Context, _ Peer, _ uint8, _ []byte, r io.Reader) error {
			began <- struct{}{}
			_, err := io.Copy(io.Discard, r)
			read <- err
			return err
		}}, change)
		mine := errors.New("source is gone")
		err := a.Stream(bounded(t), 2, 0, nil, func(w io.Writer) error {
			w.Write(make([]byte, 1<<20))
			return mine
		})
		if err != mine {
			t.Errorf("the sender's own error came back as %v", err)
		}
		<-began
		if err := <-read; err == nil || !strings.Contains(err.Error(), "source is gone") {
			t.Errorf("the receiver read %v", err)
		}

		ctx, cancel := context.WithCancel(bounded(t))
		err = a.Stream(ctx, 2, 0, nil, func(w io.Writer) error {
			<-began
			w.Write(make([]byte, 1<<20))
			cancel()
			return endless(w)
		})
		if FateOf(err) != Lost || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v (%v)", err, FateOf(err))
		}
		if err := <-read; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the receiver of a cancelled stream read %v", err)
		}

		err = a.Stream(bounded(t), 2, 0, nil, func(w io.Writer) error {
			<-began
			go b.stop()
			return endless(w)
		})
		if FateOf(err) != Lost && FateOf(err) != Remote {
			t.Errorf("the receiver ended: %v (%v)", err, FateOf(err))
		}
		if err := <-read; err == nil {
			t.Error("the receiver read to the end of a stream without one")
		}
		if err := a.Stream(bounded(t), 3, 0, nil, endless); FateOf(err) != NotSent {
			t.Errorf("an unknown node: %v (%v)", err, FateOf(err))
		}
		if err := a.Stream(bounded(t), 2, 0, make([]byte, 1<<20), endless); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.TooLarge {
			t.Errorf("a large header: %v (%v)", err, FateOf(err))
		}
	})
}

func TestTheReceiverLearnsThatTheSenderIsGone(t *testing.T) {
	read, over := make(chan struct{}), make(chan struct{})
	a, _ := pair(t, &script{}, &script{stream: func(ctx context.Context, _ Peer, _ uint8, _ []byte, r io.Reader) error {
		io.Copy(io.Discard, r)
		close(read)
		<-ctx.Done() // installing what was read
		close(over)
		return ctx.Err()
	}}, nil)
	ctx, cancel := context.WithCancel(bounded(t))
	go func() {
		<-read
		cancel()
	}()
	err := a.Stream(ctx, 2, 0, nil, func(io.Writer) error { return nil })
	if FateOf(err) != Lost {
		t.Errorf("got %v", err)
	}
	select {
	case <-over:
	case <-time.After(patience):
		t.Error("the handler's context did not end")
	}
}

func TestASlowInstallationIsWaitedFor(t *testing.T) {
	finish := make(chan struct{})
	m := start(t, 2, &script{stream: func(ctx context.Context, _ Peer, _ uint8, _ []byte, r io.Reader) error {
		io.Copy(io.Discard, r)
		select {
		case <-finish:
		case <-ctx.Done():
		}
		return ctx.Err()
	}}, func(c *Config) { c.StreamIdle = 100 * time.Millisecond })
	c := open(t, m, laneStream)
	c.Write(appendFrame(appendFrame(nil, frameStream, true, 1), frameEnd, true))
	frames := newFrameReader(c, 1<<10, true)
	for range 6 { // longer than silence is borne
		if kind, _, err := frames.next(); kind != framePing {
			t.Fatalf("a frame of kind %d, %v; want signs of life", kind, err)
		}
	}
	close(finish)
	kind, body, err := frames.next()
	for kind == framePing {
		kind, body, err = frames.next()
	}
	if kind != frameResult || body[0] != statusOK {
		t.Errorf("a frame of kind %d, %q, %v; want a good result", kind, body, err)
	}
}

func TestStreamsOfANodeAreBounded(t *testing.T) {
	began, release := make(chan struct{}, 2), make(chan struct{})
	a, _ := pair(t, &script{}, &script{stream: func(ctx context.Context, _ Peer, _ uint8, _ []byte, r io.Reader) error {
		began <- struct{}{}
		<-release
		return nil
	}}, func(c *Config) { c.StreamsMax = 1 })
	none := func(io.Writer) error { return nil }
	first := make(chan error, 1)
	go func() { first <- a.Stream(bounded(t), 2, 0, nil, none) }()
	<-began
	if err := a.Stream(bounded(t), 2, 0, nil, none); FateOf(err) != NotSent || RefusalOf(err) != RefusedBusy {
		t.Errorf("a second one: %v (%v)", err, FateOf(err))
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	for { // the first is given back when its connection has ended
		err := a.Stream(bounded(t), 2, 0, nil, none)
		if err == nil {
			break
		}
		if RefusalOf(err) != RefusedBusy {
			t.Fatal(err)
		}
	}
}

func TestHTTPIsSpokenOverTunnels(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		tunnels := NewTunnels(&net.TCPAddr{}, 4)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Write(append([]byte(r.URL.Path+" "), b...))
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(tunnels) }()
		a, _ := pair(t, &script{}, &script{tunnel: func(c net.Conn, p Peer) {
			if p.Node != 1 {
				t.Errorf("from %+v", p)
			}
			tunnels.Offer(c)
		}}, change)
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return a.Dial(ctx, 2)
		}}}
		for range 3 {
			body := strings.Repeat("x", 300<<10)
			response, err := client.Post("http://node/stats", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || string(b) != "/stats "+body {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		}
		client.CloseIdleConnections()
		server.Close()
		<-served
		c, err := a.Dial(bounded(t), 2) // offered to a closed listener
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a tunnel that nobody accepts is open")
		}
		c.Close()
		if _, err := a.Dial(bounded(t), 3); FateOf(err) != NotSent {
			t.Errorf("an unknown node: %v", err)
		}
	})
}

func TestTunnelsEndWithTheTransport(t *testing.T) {
	conns := make(chan net.Conn, 4)
	a, b := pair(t, &script{}, &script{tunnel: func(c net.Conn, _ Peer) { conns <- c }}, func(c *Config) { c.TunnelsMax = 1 })
	here, err := a.Dial(bounded(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there := <-conns
	if _, err := a.Dial(bounded(t), 2); RefusalOf(err) != RefusedBusy {
		t.Errorf("one more tunnel: %v", err)
	}
	there.Close()
	again, err := a.Dial(bounded(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	there = <-conns
	defer there.Close()
	b.stop()
	if _, err := again.Read(make([]byte, 1)); err == nil {
		t.Error("a tunnel outlives the node at its other end")
	}
	a.waitDown(2)
	a.stop()
	if _, err := here.Write([]byte("x")); err == nil {
		t.Error("a tunnel outlives its transport")
	}
}

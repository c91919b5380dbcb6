package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
)

func TestCallsAreAnsweredEachWithItsOwn(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		a, _ := pair(t, &script{}, &script{call: func(_ context.Context, p Peer, kind uint8, body []byte) ([]byte, error) {
			if p.Node != 1 || p.Ident != 1001 {
				return nil, fmt.Errorf("from %+v", p)
			}
			return append(body, kind), nil
		}}, change)
		ctx := bounded(t)
		var calls sync.WaitGroup
		for i := range 100 {
			calls.Go(func() {
				body := bytes.Repeat([]byte{byte(i)}, i*i*30) // up to 300 kB: several pieces
				reply, err := a.Call(ctx, 2, uint8(i), body)
				if want := append(body, byte(i)); err != nil || !bytes.Equal(reply, want) {
					t.Errorf("call %d: %d bytes, error %v; want %d bytes", i, len(reply), err, len(want))
				}
			})
		}
		calls.Wait()
	})
}

func TestASmallCallIsNotBehindALargeOne(t *testing.T) {
	// The postbox alone, so that nothing depends on how fast somebody reads.
	var p postbox
	p.init(false)
	large := &letter{id: 1, body: make([]byte, 10<<20), deadline: time.Now().Add(time.Minute)}
	small := &letter{id: 2, body: make([]byte, 10), deadline: time.Now().Add(time.Minute)}
	p.post(large)
	b, done := p.take(nil, nil)
	p.post(small)
	before := len(b)
	for len(done) == 0 {
		b, done = p.take(b[:0], nil)
		before += len(b)
	}
	if done[0] != small || large.finished || before > 4*batchBytes {
		t.Errorf("the small call left after %d bytes of the large one", before)
	}
	for !large.finished {
		b, _ = p.take(b[:0], nil)
	}
	if b, done = p.take(b[:0], nil); len(b) != 0 || len(done) != 0 {
		t.Error("something is left over")
	}
}

func TestTheHandlersErrorArrives(t *testing.T) {
	cause := errors.New("disk")
	errs := []error{
		analytics.Errorf(analytics.Conflict, "name: taken"),
		fmt.Errorf("doing it: %w", analytics.Errorf(analytics.Overloaded, "queue: full: %w", cause)),
		errors.New("plain"),
		analytics.Errorf(analytics.Invalid, "%s", strings.Repeat("x", 2*errorBytesMax)),
	}
	a, _ := pair(t, &script{}, &script{call: func(_ context.Context, _ Peer, kind uint8, _ []byte) ([]byte, error) {
		if int(kind) == len(errs) {
			panic("at the handler")
		}
		return []byte("not to be seen"), errs[kind]
	}}, nil)
	for i, want := range errs {
		reply, err := a.Call(bounded(t), 2, uint8(i), nil)
		text := want.Error()
		if err == nil || reply != nil || FateOf(err) != Remote || analytics.CodeOf(err) != analytics.CodeOf(want) || err.Error() != text[:min(len(text), errorBytesMax)] {
			t.Errorf("got %v (%v, code %d) for %v", err, FateOf(err), analytics.CodeOf(err), want)
		}
	}
	if _, err := a.Call(bounded(t), 2, uint8(len(errs)), nil); FateOf(err) != Remote || analytics.CodeOf(err) != analytics.Internal {
		t.Errorf("a panic arrived as %v (%v)", err, FateOf(err))
	}
	if _, err := a.Call(bounded(t), 2, 0, nil); FateOf(err) != Remote {
		t.Errorf("after the panic: %v", err)
	}
}

func TestWhoGivesUpEndsTheHandler(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		began, ended := make(chan time.Time, 4), make(chan error, 4)
		a, _ := pair(t, &script{}, &script{call: func(ctx context.Context, _ Peer, kind uint8, body []byte) ([]byte, error) {
			if kind == 0 {
				return body, nil
			}
			at, _ := ctx.Deadline()
			began <- at
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}}, change)
		ctx, cancel := context.WithCancel(bounded(t))
		result := make(chan error, 1)
		go func() {
			_, err := a.Call(ctx, 2, 1, []byte("x"))
			result <- err
		}()
		<-began
		cancel()
		err := <-result
		if FateOf(err) != Lost || !errors.Is(err, context.Canceled) || analytics.CodeOf(err) != analytics.Unavailable {
			t.Errorf("a cancelled call: %v (%v)", err, FateOf(err))
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}

		ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err = a.Call(ctx, 2, 1, nil)
		if FateOf(err) != Lost || !strings.Contains(err.Error(), "deadline exceeded") {
			t.Errorf("a call past its deadline: %v (%v)", err, FateOf(err))
		}
		at := <-began
		if left := time.Until(at); left > 50*time.Millisecond {
			t.Errorf("the handler's deadline is %v away", left)
		}
		<-ended
		if _, err := a.Call(bounded(t), 2, 0, nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestCallsTellWhetherTheyWereSent(t *testing.T) {
	began := make(chan struct{}, 8)
	a, b := pair(t, &script{}, &script{call: func(ctx context.Context, _ Peer, _ uint8, _ []byte) ([]byte, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}}, nil)
	if _, err := a.Call(bounded(t), 3, 0, nil); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.Unavailable || !strings.Contains(err.Error(), "node 3") {
		t.Errorf("an unknown node: %v (%v)", err, FateOf(err))
	}
	if _, err := a.Call(bounded(t), 2, 0, make([]byte, 64<<20+1)); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.TooLarge {
		t.Errorf("too large: %v (%v)", err, FateOf(err))
	}
	result := make(chan error, 1)
	go func() {
		_, err := a.Call(bounded(t), 2, 0, nil)
		result <- err
	}()
	<-began
	b.stop()
	if err := <-result; FateOf(err) != Lost {
		t.Errorf("the node ended during the call: %v (%v)", err, FateOf(err))
	}
	a.waitDown(2)
	if _, err := a.Call(bounded(t), 2, 0, nil); FateOf(err) != NotSent {
		t.Errorf("a node that is down: %v (%v)", err, FateOf(err))
	}
	a.stop()
	if _, err := a.Call(bounded(t), 2, 0, nil); FateOf(err) != NotSent {
		t.Errorf("after Run: %v (%v)", err, FateOf(err))
	}
}

func TestACallThatWaitedBehindABrokenLaneWasNotSent(t *testing.T) {
	var c caller
	cfg, err := Config{Cluster: func() [16]byte { return ours }, Self: func() Node { return 1 }, Listener: listen(t), Handler: &script{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Listener.Close()
	c.init(2, &cfg, false)
	fate := func(body int, takes int) Fate {
		result := make(chan error, 1)
		go func() {
			_, err := c.do(bounded(t), 0, make([]byte, body))
			result <- err
		}()
		<-c.box.wake
		for range takes {
			c.box.take(nil, nil)
		}
		c.close(errors.New("broken"))
		c.broken, c.box.closed = nil, false // as for a new lane
		return FateOf(<-result)
	}
	if f := fate(10, 0); f != NotSent {
		t.Errorf("not written: %v", f)
	}
	if f := fate(1<<20, 1); f != NotSent {
		t.Errorf("written in part: %v", f)
	}
	if f := fate(10, 1); f != Lost {
		t.Errorf("written: %v", f)
	}
}

func TestCallsAtOnceAreBounded(t *testing.T) {
	began, release := make(chan struct{}, 8), make(chan struct{})
	serve := func(ctx context.Context, _ Peer, kind uint8, b []byte) ([]byte, error) {
		if kind == 1 {
			began <- struct{}{}
			<-release
		}
		return b, nil
	}
	a, b := start(t, 1, &script{}, nil), start(t, 2, &script{call: serve}, func(c *Config) {
		c.CallsMax, c.CallBytesMax = 2, 1<<20
	})
	a.SetPeers(map[Node]string{2: b.addr()})
	a.waitUp(2)
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if _, err := a.Call(bounded(t), 2, 1, make([]byte, 600<<10)); err != nil && analytics.CodeOf(err) != analytics.Overloaded {
				t.Error(err)
			}
		})
	}
	<-began // one of them; the other is over the bytes
	if _, err := a.Call(bounded(t), 2, 0, make([]byte, 600<<10)); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("over the bytes: %v (%v)", err, FateOf(err))
	}
	calls.Go(func() {
		if _, err := a.Call(bounded(t), 2, 1, nil); err != nil {
			t.Error(err)
		}
	})
	<-began
	if _, err := a.Call(bounded(t), 2, 0, nil); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("over the count: %v (%v)", err, FateOf(err))
	}
	close(release)
	calls.Wait()
	if _, err := a.Call(bounded(t), 2, 0, make([]byte, 600<<10)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestTheCallerIsBoundedToo(t *testing.T) {
	began, release := make(chan struct{}, 8), make(chan struct{})
	a, _ := pair(t, &script{}, &script{call: func(context.Context, Peer, uint8, []byte) ([]byte, error) {
		began <- struct{}{}
		<-release
		return nil, nil
	}}, func(c *Config) { c.CallsMax = 1 })
	var calls sync.WaitGroup
	calls.Go(func() {
		if _, err := a.Call(bounded(t), 2, 1, nil); err != nil {
			t.Error(err)
		}
	})
	<-began
	if _, err := a.Call(bounded(t), 2, 0, nil); FateOf(err) != NotSent || analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("a second call: %v (%v)", err, FateOf(err))
	}
	close(release)
	calls.Wait()
}

func TestAnAddressIsAskedBeforeJoining(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		from := make(chan Peer, 1)
		joining := start(t, 0, &script{}, func(c *Config) {
			change(c)
			c.Cluster = func() [16]byte { return [16]byte{} }
		})
		member := start(t, 2, &script{call: func(_ context.Context, p Peer, kind uint8, b []byte) ([]byte, error) {
			from <- p
			if kind == 9 {
				return nil, analytics.Errorf(analytics.Forbidden, "zone: unknown")
			}
			return b, nil
		}}, change)
		body := make([]byte, 200<<10)
		reply, who, err := joining.CallAddress(bounded(t), member.addr(), 1, body)
		if err != nil || len(reply) != len(body) || who != (Peer{2, 1002, member.addr()}) {
			t.Errorf("%d bytes of %+v, error %v", len(reply), who, err)
		}
		if p := <-from; p.Node != 0 || p.Ident != 1000 {
			t.Errorf("asked by %+v", p)
		}
		_, who, err = joining.CallAddress(bounded(t), member.addr(), 9, nil)
		if FateOf(err) != Remote || analytics.CodeOf(err) != analytics.Forbidden || who.Node != 2 {
			t.Errorf("got %v of %+v", err, who)
		}
		<-from
		_, _, err = joining.CallAddress(bounded(t), joining.addr(), 1, nil)
		if RefusalOf(err) != RefusedSelf || FateOf(err) != NotSent {
			t.Errorf("itself: %v", err)
		}
		// A member asks one that joins.
		if _, who, err := member.CallAddress(bounded(t), joining.addr(), 1, nil); err != nil || who.Node != 0 {
			t.Errorf("%+v, %v", who, err)
		}
		joining.SetPeers(map[Node]string{2: member.addr()})
		if _, err := joining.Call(bounded(t), 2, 1, nil); FateOf(err) != NotSent {
			t.Errorf("a call of no member: %v", err)
		}
		gone := listen(t)
		gone.Close()
		if _, _, err := joining.CallAddress(bounded(t), gone.Addr().String(), 1, nil); FateOf(err) != NotSent {
			t.Errorf("nobody there: %v", err)
		}
	})
}

func TestASingleCallTellsWhetherItWasSent(t *testing.T) {
	began := make(chan struct{}, 1)
	a := start(t, 1, &script{}, nil)
	b := start(t, 2, &script{call: func(ctx context.Context, _ Peer, _ uint8, _ []byte) ([]byte, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}}, nil)
	ctx, cancel := context.WithCancel(bounded(t))
	result := make(chan error, 1)
	ask := func(ctx context.Context) {
		_, _, err := a.CallAddress(ctx, b.addr(), 0, nil)
		result <- err
	}
	go ask(ctx)
	<-began
	cancel()
	if err := <-result; FateOf(err) != Lost || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v (%v)", err, FateOf(err))
	}
	go ask(bounded(t))
	<-began
	b.stop()
	if err := <-result; FateOf(err) != Lost {
		t.Errorf("the node ended: %v (%v)", err, FateOf(err))
	}
	if _, _, err := a.CallAddress(ctx, b.addr(), 0, nil); FateOf(err) != NotSent {
		t.Errorf("a context that has ended: %v (%v)", err, FateOf(err))
	}
}

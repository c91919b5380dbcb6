package testproxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every connection with what it hears.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// say sends text and wants it back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	hear(t, c, text)
}

func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

// silent fails when something arrives within a while.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %d bytes, %v; want nothing", n, err)
	}
	c.SetReadDeadline(time.Time{})
}

func TestEverythingPassesWholeAndEndsInOrder(t *testing.T) {
	p := New(t, echo(t))
	c := dial(t, p)
	sent := bytes.Repeat([]byte("footfall"), 1<<17) // more than may be under way
	var sending sync.WaitGroup
	sending.Go(func() {
		c.Write(sent)
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	sending.Wait()
	if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Fatalf("got %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
}

func TestHoleKeepsBytesUntilItIsGone(t *testing.T) {
	p := New(t, echo(t))
	old := dial(t, p)
	say(t, old, "before")
	p.Set(Hole())
	fresh := dial(t, p)
	for _, c := range []net.Conn{old, fresh} {
		if _, err := c.Write([]byte("inside")); err != nil {
			t.Fatal(err)
		}
		silent(t, c)
	}
	p.Set(Rule{})
	hear(t, old, "inside")
	hear(t, fresh, "inside")
}

func TestHoleHidesTheDeathOfAPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := New(t, l.Addr().String())
	c := dial(t, p)
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// The link is whole when a byte has come through.
	if _, err := peer.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.Set(Hole())
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	silent(t, c)
	p.Set(Rule{})
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want the end", err)
	}
}

func TestOneWayIsOneWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := New(t, l.Addr().String())
	near := dial(t, p)
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p.Set(Rule{Up: Flow{Hole: true}})
	if _, err := near.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("down")); err != nil {
		t.Fatal(err)
	}
	hear(t, near, "down")
	silent(t, far)
	p.Set(Rule{})
	hear(t, far, "up")
}

func TestCutResetsOldAndNewAndHeals(t *testing.T) {
	p := New(t, echo(t))
	c := dial(t, p)
	say(t, c, "before")
	p.Set(Rule{Cut: true})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("old connection: got %v, want a reset", err)
	}
	wantReset(t, p)
	p.Set(Rule{})
	say(t, dial(t, p), "after")
}

// wantReset dials and wants to be refused; the reset may come before dialling
// ends.
func wantReset(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("new connection: got %v, want a reset", err)
	}
}

func TestDelayIsAtLeastThatLong(t *testing.T) {
	p := New(t, echo(t))
	p.Set(Late(30 * time.Millisecond))
	c := dial(t, p)
	start := time.Now()
	say(t, c, "late")
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Fatalf("there and back took %v, want 60 ms at least", took)
	}
}

func TestRetargetAndTargetsThatAreGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := New(t, l.Addr().String())
	wantReset(t, p)
	p.Retarget(echo(t))
	say(t, dial(t, p), "there")
}

package member

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/cluster/rafthost"
	"footfall/cluster/transport"
	"footfall/internal/testcluster/testproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is a node of two that has nothing but its transport.
type side struct {
	wire     *transport.Transport
	passages *passages
	receive  func(ctx context.Context, r io.Reader) error
	up       chan transport.Node
}

func (s *side) Message(transport.Node, transport.Lane, []byte) {}
func (s *side) Tunnel(c net.Conn, _ transport.Peer)            { _ = c.Close() }
func (s *side) Up(n transport.Node)                            { s.up <- n }
func (s *side) Down(transport.Node, error)                     {}
func (s *side) Call(_ context.Context, from transport.Peer, _ uint8, b []byte) ([]byte, error) {
	name, _, _, err := parsePassage(from.Node, b)
	if err != nil {
		return nil, err
	}
	at, err := s.passages.got(name)
	return binary.BigEndian.AppendUint64(nil, at), err
}

func (s *side) Stream(_ context.Context, from transport.Peer, _ uint8, header []byte, r io.Reader) error {
	name, at, _, err := parsePassage(from.Node, header)
	if err != nil {
		return err
	}
	if at > 0 {
		return s.passages.resume(name, at, r)
	}
	return s.passages.begin(name, r, s.receive)
}

// pair connects two nodes; what the first dials goes through the proxy.
func pair(t *testing.T) (a, b *side, way *testproxy.Proxy) {
	t.Helper()
	life, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var sides []*side
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &side{passages: newPassages(life, time.Minute, slog.New(slog.DiscardHandler)), up: make(chan transport.Node, 1000)}
		s.wire, err = transport.New(transport.Config{Cluster: func() [16]byte { return [16]byte{1} }, Self: func() uint16 { return uint16(i + 1) },
			Ident: uint64(i + 1), Listener: l, Handler: s})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := s.wire.Run(life); err != nil {
				t.Error(err)
			}
		})
		sides = append(sides, s)
	}
	t.Cleanup(func() {
		end()
		running.Wait()
		for _, s := range sides {
			s.passages.all.Wait()
		}
	})
	way = testproxy.New(t, sides[1].wire.Addr().String())
	sides[0].wire.SetPeers(map[transport.Node]string{2: way.Address()})
	sides[1].wire.SetPeers(map[transport.Node]string{1: sides[0].wire.Addr().String()})
	return sides[0], sides[1], way
}

// content writes the same bytes each time.
func content(size int, seed uint64, w io.Writer) error {
	random := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, 100_000)
	for left := size; left > 0; left -= len(b) {
		b = b[:min(left, len(b))]
		if _, err := random.Read(b); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// counting counts what leaves the sender.
type counting struct {
	w io.Writer
	n *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.w.Write(b)
}

// TestACutSnapshotGoesOn cuts all connections at random places of a snapshot. It
// arrives whole, in one reading, and less is sent again than it has bytes.
func TestACutSnapshotGoesOn(t *testing.T) {
	const size = 64 << 20 // far more than what is under way
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			a, b, way := pair(t)
			random := rand.New(rand.NewPCG(seed, 1))
			cuts := []int{random.IntN(size / 2), size/2 + random.IntN(size/2)}
			var sum hash.Hash
			readings := 0
			b.receive = func(_ context.Context, r io.Reader) error {
				readings++
				sum = sha256.New()
				buf := make([]byte, 64<<10)
				for got, left := 0, cuts; ; {
					n, err := r.Read(buf)
					sum.Write(buf[:n])
					if got += n; len(left) > 0 && got >= left[0] {
						left = left[1:]
						way.Set(testproxy.Rule{Cut: true})
						way.Set(testproxy.Rule{})
					}
					if err == io.EOF {
						return nil
					}
					if err != nil {
						return err
					}
				}
			}
			for n := range a.up {
				if n == 2 {
					break
				}
			}
			var sent atomic.Int64
			name := passage{from: 1, group: 7, id: 99}
			parts := 0
			x := sending{
				stream: func(ctx context.Context, at uint64, send func(io.Writer) error) error {
					parts++
					return a.wire.Stream(ctx, 2, streamPassage, name.append(at), func(w io.Writer) error { return send(counting{w, &sent}) })
				},
				got: func(ctx context.Context) (uint64, error) {
					answer, err := a.wire.Call(ctx, 2, callPassage, name.append(0))
					if err != nil {
						return 0, err
					}
					return binary.BigEndian.Uint64(answer), nil
				},
				wait: time.Minute, pause: time.Millisecond, logger: slog.New(slog.DiscardHandler),
			}
			skips := 0
			err := x.send(t.Context(), func(_ context.Context, w io.Writer) error {
				if s, ok := w.(rafthost.Skipper); ok && s.Skips() {
					skips++
				}
				return content(size, seed, w)
			})
			if err != nil {
				t.Fatal(err)
			}
			want := sha256.New()
			if err := content(size, seed, want); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sum.Sum(nil), want.Sum(nil)) || readings != 1 {
				t.Errorf("%d readings, the content is another", readings)
			}
			again := sent.Load() - size
			if parts < 2 || skips == 0 || again < 0 || again >= size {
				t.Errorf("%d parts, %d went on, %d bytes were sent again of %d", parts, skips, again, size)
			}
			t.Logf("%d parts, %d KiB of %d sent again", parts, again>>10, size>>10)
		})
	}
}

// broken is a reader that gives a text and then an error.
func broken(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), failing{err})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

var errCut = errors.New("reset by peer")

// taken notes what a receiver got and how it ended.
type taken struct {
	text string
	err  error
	done chan struct{}
}

func (x *taken) receive(_ context.Context, r io.Reader) error {
	defer close(x.done)
	b, err := io.ReadAll(r)
	x.text, x.err = string(b), err
	return err
}

func TestPartsOfASnapshotAreJoined(t *testing.T) {
	p := newPassages(t.Context(), time.Minute, slog.New(slog.DiscardHandler))
	x := &taken{done: make(chan struct{})}
	name := passage{from: 1, group: 3, id: 5}
	if err := p.begin(name, broken("one ", errCut), x.receive); err != errCut {
		t.Fatalf("the first part ends with %v", err)
	}
	for _, other := range []passage{{1, 3, 6}, {2, 3, 5}, {1, 4, 5}} {
		if _, err := p.got(other); err != errPassageGone {
			t.Errorf("%+v is not there, but %v", other, err)
		}
	}
	if at, err := p.got(name); at != 4 || err != nil {
		t.Fatalf("it got to %d, %v", at, err)
	}
	if err := p.resume(name, 3, strings.NewReader("x")); analytics.CodeOf(err) != analytics.Conflict {
		t.Errorf("a part that does not fit: %v", err)
	}
	if err := p.resume(name, 4, broken("two ", errCut)); err != errCut {
		t.Fatalf("the second part ends with %v", err)
	}
	if err := p.resume(name, 8, strings.NewReader("three")); err != nil {
		t.Fatalf("the third part ends with %v", err)
	}
	if x.text != "one two three" {
		t.Errorf("arrived: %q", x.text)
	}
	if _, err := p.got(name); err != errPassageGone {
		t.Errorf("it is whole, and still there: %v", err)
	}
	p.all.Wait()
}

func TestACutSnapshotIsNotKeptForEver(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration
		end  func(p *passages, stop func())
		err  error
	}{
		"its sender does not come back": {time.Millisecond, func(*passages, func()) {}, errPassageWait},
		"another one comes": {time.Hour, func(p *passages, _ func()) {
			other := &taken{done: make(chan struct{})}
			if err := p.begin(passage{2, 3, 1}, strings.NewReader("all"), other.receive); err != nil || other.text != "all" {
				t.Errorf("the other one: %q %v", other.text, err)
			}
		}, errPassageOld},
		"the node stops": {time.Hour, func(_ *passages, stop func()) { stop() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			life, stop := context.WithCancel(t.Context())
			defer stop()
			p := newPassages(life, c.wait, slog.New(slog.DiscardHandler))
			x := &taken{done: make(chan struct{})}
			if err := p.begin(passage{1, 3, 5}, broken("one", errCut), x.receive); err != errCut {
				t.Fatalf("the first part ends with %v", err)
			}
			c.end(p, stop)
			<-x.done
			if !errors.Is(x.err, c.err) {
				t.Errorf("the receiver got %v, want %v", x.err, c.err)
			}
			p.all.Wait()
		})
	}
}

func TestASnapshotThatItsSenderGaveUpIsOver(t *testing.T) {
	p := newPassages(t.Context(), time.Hour, slog.New(slog.DiscardHandler))
	x := &taken{done: make(chan struct{})}
	gone := fmt.Errorf("no more: %w", transport.ErrAborted)
	if err := p.begin(passage{1, 3, 5}, broken("one", gone), x.receive); !errors.Is(err, transport.ErrAborted) {
		t.Errorf("ended with %v", err)
	}
	p.all.Wait()
}

func TestASenderKnowsWhenToStop(t *testing.T) {
	lost := &transport.CallError{Fate: transport.Lost, Err: errCut}
	notThere := &transport.CallError{Fate: transport.Remote, Err: errPassageGone}
	open := &transport.CallError{Fate: transport.Remote, Err: errPassageOpen}
	for name, c := range map[string]struct {
		streams []error // of each part; then nil
		got     []error // of each question; then nil
		at      uint64
		parts   int
		err     error
	}{
		"it arrives":                         {nil, nil, 0, 1, nil},
		"it is cut once":                     {[]error{lost}, []error{open, lost, nil}, 5, 2, nil},
		"the receiver has begun anew":        {[]error{lost}, []error{notThere}, 0, 1, errPassageGone},
		"the receiver refuses it":            {[]error{notThere}, nil, 0, 1, errPassageGone},
		"it is cut and gets no further":      {slicesOf(lost, 100), nil, 0, resumeIdle + 1, errCut},
		"the receiver could not be reached":  {[]error{&transport.CallError{Fate: transport.NotSent, Err: errCut}}, nil, 0, 1, errCut},
		"it is cut again before it is heard": {[]error{lost, &transport.CallError{Fate: transport.NotSent, Err: errCut}}, nil, 5, 3, nil},
	} {
		parts, asked := 0, 0
		x := sending{
			stream: func(context.Context, uint64, func(io.Writer) error) error {
				parts++
				if parts <= len(c.streams) {
					return c.streams[parts-1]
				}
				return nil
			},
			got: func(context.Context) (uint64, error) {
				asked++
				if asked <= len(c.got) {
					return c.at, c.got[asked-1]
				}
				return c.at, nil
			},
			wait: time.Minute, pause: time.Microsecond, logger: slog.New(slog.DiscardHandler),
		}
		err := x.send(t.Context(), func(context.Context, io.Writer) error { return nil })
		if parts != c.parts || (err == nil) != (c.err == nil) || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %d parts, %v; want %d, %v", name, parts, err, c.parts, c.err)
		}
	}
}

func slicesOf(err error, n int) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}

func FuzzParsePassage(f *testing.F) {
	f.Add(append(passage{group: 7, id: 1 << 60}.append(9), "message"...))
	f.Add([]byte{})
	f.Add([]byte{carryVersion + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		name, at, rest, err := parsePassage(3, b)
		if err != nil {
			return
		}
		if name.from != 3 || !bytes.Equal(append(name.append(at), rest...), b) {
			t.Errorf("%x is read as %+v at %d, then %x", b, name, at, rest)
		}
	})
}

package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"footfall/analytics"
	"footfall/cluster/transport"
)

// A snapshot is one sequence of bytes, which its sender can make again from the
// view that it keeps open. When the connection breaks, both sides keep what they
// have: the sender asks how far the other one got and goes on from there over a
// new connection. Whether the parts fit together is what the sums of the
// snapshot's chunks, and of all of them, tell in the end.
const (
	resumeWait  = 15 * time.Second       // that a cut snapshot is kept for its sender, and tried by it
	resumePause = 200 * time.Millisecond // between two tries
	resumeAsk   = 5 * time.Second        // for the answer to how far it got
	resumeIdle  = 20                     // parts in a row with which it gets no further
)

// passage names one sending of a snapshot.
type passage struct {
	from  transport.Node
	group uint16
	id    uint64 // the sender's
}

var (
	errPassageGone = &analytics.Error{Code: analytics.NotFound, Text: "snapshot: nothing of it is here"}
	errPassageOpen = &analytics.Error{Code: analytics.Overloaded, Text: "snapshot: its last connection has not ended yet"}
	errPassageOld  = &analytics.Error{Code: analytics.Conflict, Text: "snapshot: another one comes now"}
	errPassageWait = errors.New("its sender did not come back")
)

// passages are the snapshots that come in. Safe for concurrent use.
type passages struct {
	life   context.Context // ends all
	wait   time.Duration
	logger *slog.Logger
	all    sync.WaitGroup

	mu    sync.Mutex // guards open
	group map[uint16]*splice
}

func newPassages(life context.Context, wait time.Duration, logger *slog.Logger) *passages {
	return &passages{life: life, wait: wait, logger: logger, group: map[uint16]*splice{}}
}

// splice is a reader over parts that come one after the other.
type splice struct {
	name passage
	done chan struct{} // closed when err is the receiver's last word
	err  error

	mu   sync.Mutex // guards all below
	part *part      // nil while the connection is cut
	next chan *part // takes the next part, or nothing any more
	got  uint64     // bytes given to the receiver
	over error      // why no part is wanted any more
	quit chan struct{}
}

// part is what comes over one connection.
type part struct {
	r   io.Reader
	cut chan error // takes why it ended before the snapshot did
}

// begin takes the first part of a snapshot; receive reads it, and its other
// parts. begin returns when the connection has broken, or with what receive says.
// A snapshot that waits for its sender gives way to another one of its group.
func (p *passages) begin(name passage, r io.Reader, receive func(ctx context.Context, r io.Reader) error) error {
	s := &splice{name: name, done: make(chan struct{}), next: make(chan *part, 1), quit: make(chan struct{})}
	for {
		p.mu.Lock()
		old := p.group[name.group]
		if old == nil {
			p.group[name.group] = s
			p.mu.Unlock()
			break
		}
		p.mu.Unlock()
		if !old.giveUp(errPassageOld) {
			return errPassageOpen
		}
		<-old.done
	}
	first := &part{r: r, cut: make(chan error, 1)}
	s.part = first
	p.all.Go(func() {
		ctx, cancel := context.WithCancel(p.life)
		defer cancel()
		err := receive(ctx, &spliceReader{s, p, first})
		p.mu.Lock()
		delete(p.group, name.group)
		p.mu.Unlock()
		s.giveUp(errPassageGone)
		s.err = err
		close(s.done)
	})
	return s.follow(first)
}

// resume takes the next part of a snapshot, from byte at on.
func (p *passages) resume(name passage, at uint64, r io.Reader) error {
	s, err := p.find(name)
	if err != nil {
		return err
	}
	next := &part{r: r, cut: make(chan error, 1)}
	s.mu.Lock()
	switch {
	case s.over != nil:
		err = errPassageGone
	case s.part != nil:
		err = errPassageOpen
	case s.got != at:
		err = analytics.Errorf(analytics.Conflict, "snapshot: byte %d is next, not %d", s.got, at)
	default:
		s.part = next
		s.next <- next // there is room: the one before was taken
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	p.logger.Info("a snapshot goes on where it was cut", "group", name.group, "from", name.from, "byte", at)
	return s.follow(next)
}

// got tells how far a snapshot got whose connection is cut.
func (p *passages) got(name passage) (uint64, error) {
	s, err := p.find(name)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil:
		return 0, errPassageGone
	case s.part != nil:
		return 0, errPassageOpen
	}
	return s.got, nil
}

func (p *passages) find(name passage) (*splice, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.group[name.group]
	if s == nil || s.name != name {
		return nil, errPassageGone
	}
	return s, nil
}

// follow waits for the end of a part.
func (s *splice) follow(x *part) error {
	select {
	case err := <-x.cut:
		return err
	case <-s.done:
		return s.err
	}
}

// giveUp ends a snapshot that waits for its sender; false if one is connected.
func (s *splice) giveUp(why error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		if s.part != nil && why == errPassageOld {
			return false
		}
		s.over = why
		close(s.quit)
	}
	return true
}

// spliceReader is what the receiver reads. Only its goroutine calls it.
type spliceReader struct {
	s    *splice
	p    *passages
	part *part
}

func (r *spliceReader) Read(b []byte) (int, error) {
	for {
		n, err := r.part.r.Read(b)
		if n > 0 {
			r.s.mu.Lock()
			r.s.got += uint64(n)
			r.s.mu.Unlock()
			return n, nil // an error comes again
		}
		if err == nil {
			continue
		}
		if err == io.EOF || errors.Is(err, transport.ErrAborted) {
			return 0, err
		}
		if err := r.await(err); err != nil {
			return 0, err
		}
	}
}

// await waits for the next part after a cut.
func (r *spliceReader) await(cut error) error {
	r.s.mu.Lock()
	r.s.part = nil
	r.s.mu.Unlock()
	r.part.cut <- cut
	patience := time.NewTimer(r.p.wait)
	defer patience.Stop()
	select {
	case r.part = <-r.s.next:
		return nil
	case <-patience.C:
		if r.s.giveUp(errPassageOld) {
			return fmt.Errorf("%w: %w", errPassageWait, cut)
		}
		r.part = <-r.s.next // it came at the last moment
		return nil
	case <-r.s.quit:
		return r.s.over
	case <-r.p.life.Done():
		return r.p.life.Err()
	}
}

// sending is what a sender needs of the way to the other node.
type sending struct {
	// stream opens a stream whose receiver has got at bytes already and passes what
	// send writes.
	stream func(ctx context.Context, at uint64, send func(io.Writer) error) error
	// got asks how far the receiver got.
	got    func(ctx context.Context) (uint64, error)
	wait   time.Duration
	pause  time.Duration
	logger *slog.Logger
}

// send sends a snapshot, in as many parts as it takes. It gives up when the
// receiver has nothing of it any more, or cannot be reached for a while.
func (x sending) send(ctx context.Context, write func(ctx context.Context, w io.Writer) error) error {
	at := uint64(0)
	for idle := 0; ; {
		err := x.stream(ctx, at, func(w io.Writer) error { return write(ctx, &skipper{w: w, skip: at}) })
		if err == nil || !wasCut(err) || at == 0 && transport.FateOf(err) == transport.NotSent {
			return err
		}
		again, gone := x.whereabouts(ctx)
		if gone != nil {
			return fmt.Errorf("%w; it cannot go on: %w", err, gone)
		}
		if again > at {
			idle = 0
		} else if idle++; idle > resumeIdle || again < at {
			return err
		}
		x.logger.Info("a snapshot was cut and goes on", "at", again, "error", err)
		at = again
	}
}

// wasCut tells whether a stream failed because of its connection.
func wasCut(err error) bool {
	fate := transport.FateOf(err)
	return fate == transport.Lost || fate == transport.NotSent
}

// whereabouts asks until the receiver says how far it got, for a while.
func (x sending) whereabouts(ctx context.Context) (at uint64, err error) {
	within, cancel := context.WithTimeout(ctx, x.wait)
	defer cancel()
	for {
		at, err = x.got(within)
		if err == nil || transport.FateOf(err) == transport.Remote && analytics.CodeOf(err) != analytics.Overloaded {
			return at, err
		}
		pause := time.NewTimer(x.pause)
		select {
		case <-pause.C:
		case <-within.Done():
			pause.Stop()
			return 0, errors.Join(err, within.Err())
		}
	}
}

// skipper leaves out the first bytes that are written.
type skipper struct {
	w    io.Writer
	skip uint64
}

// Skips tells that what is written now is left out; see rafthost.Skipper.
func (s *skipper) Skips() bool { return s.skip > 0 }

func (s *skipper) Write(b []byte) (int, error) {
	left := min(s.skip, uint64(len(b)))
	s.skip -= left
	if left == uint64(len(b)) {
		return len(b), nil
	}
	n, err := s.w.Write(b[left:])
	return int(left) + n, err
}

package load

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	"footfall/bench/dialect"
	"footfall/bench/results"
	"footfall/bench/schedule"
	"footfall/bench/wire"
)

// Target is a server that gets load.
type Target struct {
	Addr string      // host and port to dial
	TLS  *tls.Config // nil for plain HTTP
	To   dialect.To
}

// Source makes the requests of one connection. Its methods are called in turns:
// Next, Append once or more, Done.
type Source interface {
	// Next decides what the next request is, which is due at a time from the
	// start.
	Next(due time.Duration)
	// Append writes it for a target; the same request again for another one.
	Append(dst []byte, t *Target) []byte
	// Done tells what came of it. The body is valid during the call only.
	Done(o *Outcome)
}

// Outcome is what came of a request after all its tries.
type Outcome struct {
	Status  int    // of the answer; 0: there was none
	Sent    bool   // some of it may have reached a server
	Dropped int    // events that the server said it does not count
	Body    []byte // of the answer, if the stream keeps bodies

	// Done sets these.
	Views       int // events that the answer is about
	ViewDropped int // of those, not counted by a rule
}

// stream is one kind of requests: a schedule, connections that share it, a
// source for each.
type stream struct {
	kind        string
	schedule    *schedule.Schedule // nil: closed loop
	length      time.Duration
	drain       time.Duration // how long overdue requests are still sent after the end
	connections int
	timeout     time.Duration
	tries       int
	targets     []*Target
	keep        bool // bodies
	source      func(n int) (Source, error)

	tally *tally
	rec   *recorder
}

// run sends the stream's requests until they are over or ctx is. It returns
// when all its connections are at rest.
func (s *stream) run(ctx context.Context, start time.Time) error {
	errs := make([]error, s.connections)
	var wg sync.WaitGroup
	for n := range s.connections {
		wg.Go(func() { errs[n] = s.worker(ctx, n, start) })
	}
	wg.Wait()
	s.abandon(ctx, start)
	return errors.Join(errs...)
}

// abandon counts what was due and never sent: it waited until now.
func (s *stream) abandon(ctx context.Context, start time.Time) {
	if s.schedule == nil {
		return
	}
	waited := time.Since(start)
	for {
		_, due, ok := s.schedule.Next()
		if !ok || ctx.Err() != nil && due > waited {
			return
		}
		s.tally.intended.Add(1)
		s.tally.latencies.record(waited - due)
		if s.kind == results.Beacon {
			i := s.rec.at(due)
			i.intended.Add(1)
			i.latencies.record(waited - due)
		}
	}
}

// worker drives one connection, which moves to the next target when it breaks.
func (s *stream) worker(ctx context.Context, n int, start time.Time) error {
	source, err := s.source(n)
	if err != nil {
		return err
	}
	w := &worker{s: s, source: source, home: n % len(s.targets), timer: time.NewTimer(time.Hour)}
	w.now = w.home
	defer w.timer.Stop()
	defer w.conn.Close()
	end := s.length + s.drain
	for ctx.Err() == nil {
		due := time.Since(start)
		if s.schedule != nil {
			var ok bool
			if _, due, ok = s.schedule.Next(); !ok {
				break
			}
			if !w.until(ctx, start.Add(due)) {
				break
			}
			if time.Since(start) > end {
				w.late(start, due)
				break
			}
		} else if due >= s.length {
			break
		}
		w.one(ctx, start, due)
	}
	s.tally.received.Add(w.conn.Read)
	return nil
}

type worker struct {
	s         *stream
	source    Source
	conn      wire.Conn
	home, now int       // of the targets
	awaySince time.Time // when it went to another than its home
	timer     *time.Timer
	request   []byte
	body      []byte
	outcome   Outcome
}

// homeAfter is how long a connection stays away from a target that broke.
const homeAfter = time.Second

// until waits for a moment; false if the run ended before.
func (w *worker) until(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	w.timer.Reset(wait)
	select {
	case <-w.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// late counts a request that came up after the end of the drain.
func (w *worker) late(start time.Time, due time.Duration) {
	w.s.tally.intended.Add(1)
	waited := time.Since(start) - due
	w.s.tally.latencies.record(waited)
	if w.s.kind == results.Beacon {
		i := w.s.rec.at(due)
		i.intended.Add(1)
		i.latencies.record(waited)
	}
}

// one sends a request that is due, and counts what comes of it.
func (w *worker) one(ctx context.Context, start time.Time, due time.Duration) {
	t := w.s.tally
	t.lag.record(time.Since(start) - due)
	w.source.Next(due)
	o := w.try(ctx)
	took := time.Since(start) - due
	w.source.Done(o)

	t.intended.Add(1)
	t.latencies.record(took)
	i := w.s.rec.at(due)
	beacon := w.s.kind == results.Beacon
	if beacon {
		i.intended.Add(1)
		i.latencies.record(took)
	}
	if o.Sent {
		t.sent.Add(1)
		if beacon {
			i.sent.Add(1)
		}
	}
	switch {
	case o.Status == 0:
		t.failed.Add(1)
		if beacon {
			i.failed.Add(1)
		}
		return
	case o.Status > 299 || o.Status < 200:
		t.refused.Add(1)
		if beacon {
			i.refused.Add(1)
		}
	default:
		t.answered.Add(1)
		if beacon {
			i.answered.Add(1)
			i.views.Add(int64(o.Views))
			t.views.Add(int64(o.Views))
			t.dropped.Add(int64(o.ViewDropped))
		} else {
			i.others.Add(1)
		}
	}
	t.statuses[min(o.Status, len(t.statuses)-1)].Add(1)
}

// pause between tries once every target was tried.
const pauseMin = 50 * time.Millisecond

// try sends the request to one target after another until one answers.
func (w *worker) try(ctx context.Context) *Outcome {
	s, o := w.s, &w.outcome
	*o = Outcome{}
	if w.now != w.home && time.Since(w.awaySince) > homeAfter {
		w.conn.Close()
		w.now = w.home
	}
	written := -1  // for which target
	again := false // the extra try of a connection that the server had closed
	for k := 0; k < s.tries; k++ {
		if k > 0 {
			s.tally.retried.Add(1)
			if k%len(s.targets) == 0 && !w.until(ctx, time.Now().Add(pauseMin<<min(k/len(s.targets)-1, 5))) {
				return o
			}
		}
		target := s.targets[w.now]
		if !w.conn.Open() {
			if err := w.conn.Dial(context.WithoutCancel(ctx), target.Addr, target.TLS, s.timeout); err != nil {
				w.move()
				continue
			}
		}
		if written != w.now {
			w.request = w.source.Append(w.request[:0], target)
			written = w.now
		}
		s.tally.bytes.Add(int64(len(w.request)))
		o.Sent = true
		reused := w.conn.Used()
		answer, err := w.conn.Ask(w.request, time.Now(), s.timeout, s.keep, w.body)
		if err == nil {
			w.body = answer.Body
			o.Status, o.Dropped, o.Body = answer.Status, answer.Dropped, answer.Body
			return o
		}
		if reused && !again && w.conn.Read > 0 {
			// The server may just have closed an idle connection: the same target
			// gets it over a new one, without counting as a try.
			if again = true; k == 0 {
				s.tally.retried.Add(1)
			}
			k--
			continue
		}
		w.move()
	}
	return o
}

// move turns to the next target.
func (w *worker) move() {
	w.now = (w.now + 1) % len(w.s.targets)
	w.awaySince = time.Now()
}

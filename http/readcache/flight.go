package readcache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"footfall/analytics"
)

// flights run what several callers want at the same time once. The usual
// singleflight ties the work to nobody: it goes on when all have left. Here the
// last one who leaves ends it, so that a question stops when its clients hang
// up, and one client's leaving does not end another's.
//
// flights own the goroutines: every one ends with its last caller or with close,
// which waits for all.
type flights[T any] struct {
	mu      sync.Mutex // guards flying and closed; never held while work runs
	flying  map[string]*flight[T]
	closed  bool
	running sync.WaitGroup
	panics  *metrics.Counter // of work
}

// flight is one piece of work under way.
type flight[T any] struct {
	cancel  context.CancelFunc
	waiting int // callers who still wait; guarded by flights.mu
	joined  int // callers there ever were; fixed when done is closed

	done  chan struct{} // closed when what follows is set
	value T
	err   error
	panic *panicked
}

// outcome is what one caller gets.
type outcome[T any] struct {
	value  T
	first  bool // the caller is the one for whom the work ran
	shared bool // others have the same value
}

var errClosed = errors.New("read cache: closed")

var errClosing = analytics.Errorf(analytics.Unavailable, "query: the node is stopping, try again")

// panicked is a panic on its way to those who wait: there it is met by what
// recovers for a request, instead of ending the process.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// do runs work, or waits for the run that another caller with the same key has
// begun. It returns with ctx. errClosed says that nothing was run because of
// close.
func (fs *flights[T]) do(ctx context.Context, key string, work func(context.Context) (T, error)) (outcome[T], error) {
	f, first := fs.join(ctx, key, work)
	if f == nil {
		return outcome[T]{}, errClosed
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		fs.leave(key, f)
		return outcome[T]{}, fmt.Errorf("wait for an answer: %w", ctx.Err())
	}
	if f.panic != nil {
		panic(f.panic)
	}
	return outcome[T]{value: f.value, first: first, shared: f.joined > 1}, f.err
}

// join boards the flight of key, or starts it; nil after close.
func (fs *flights[T]) join(ctx context.Context, key string, work func(context.Context) (T, error)) (f *flight[T], first bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return nil, false
	}
	f = fs.flying[key]
	if f == nil {
		// The work outlives its first caller while others wait for it.
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f, first = &flight[T]{cancel: cancel, done: make(chan struct{})}, true
		if fs.flying == nil {
			fs.flying = map[string]*flight[T]{}
		}
		fs.flying[key] = f
		fs.running.Go(func() { fs.fly(own, key, f, work) })
	}
	f.waiting++
	f.joined++
	return f, first
}

// leave ends the flight when nobody is left. Who comes later starts another.
func (fs *flights[T]) leave(key string, f *flight[T]) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		fs.removeLocked(key, f)
	}
}

func (fs *flights[T]) removeLocked(key string, f *flight[T]) {
	if fs.flying[key] == f {
		delete(fs.flying, key)
	}
}

func (fs *flights[T]) fly(ctx context.Context, key string, f *flight[T], work func(context.Context) (T, error)) {
	defer func() {
		if p := recover(); p != nil {
			f.panic = &panicked{p, debug.Stack()}
			fs.panics.Inc()
		}
		fs.mu.Lock()
		fs.removeLocked(key, f)
		if fs.closed && errors.Is(f.err, context.Canceled) {
			f.err = errClosing
		}
		fs.mu.Unlock()
		f.cancel()
		close(f.done)
	}()
	f.value, f.err = work(ctx)
}

// close ends all flights and waits for them; there are no more after it.
func (fs *flights[T]) close() {
	fs.mu.Lock()
	fs.closed = true
	for _, f := range fs.flying {
		f.cancel()
	}
	fs.mu.Unlock()
	fs.running.Wait()
}

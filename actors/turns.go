package actors

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// turns shares the cores among heavy questions: each core works for one of them
// at a time. A question that finds cores idle uses them too, unless views come
// in: then half of the cores are left to counting.
type turns struct {
	cores chan struct{}
	half  chan struct{} // taken, too, by questions that begin while views come in
	views rate
}

func newTurns(n int) *turns {
	return &turns{cores: make(chan struct{}, max(1, n)), half: make(chan struct{}, max(1, n/2))}
}

// busyViews is how many views a second make a node busy.
const busyViews = 500

// rate counts what happened in this second and the one before.
type rate struct {
	second atomic.Int64 // Unix
	now    atomic.Int64
	before atomic.Int64
}

func (r *rate) add(n int, second int64) {
	if old := r.second.Load(); old != second && r.second.CompareAndSwap(old, second) {
		last := r.now.Swap(0)
		if second != old+1 {
			last = 0
		}
		r.before.Store(last)
	}
	r.now.Add(int64(n))
}

// of gives the greater count of this second and the one before.
func (r *rate) of(second int64) int64 {
	switch r.second.Load() {
	case second:
		return max(r.now.Load(), r.before.Load())
	case second - 1:
		return r.now.Load()
	}
	return 0
}

// counted notes that views came in.
func (t *turns) counted(n int) { t.views.add(n, time.Now().Unix()) }

// fan is query.Picture.Fan.
func (t *turns) fan(ctx context.Context, n int, task func(i int)) error {
	from := t.cores
	if t.views.of(time.Now().Unix()) > busyViews {
		from = t.half
		select {
		case t.half <- struct{}{}:
			defer func() { <-t.half }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case t.cores <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	var next atomic.Int64
	work := func() {
		defer func() { <-t.cores }()
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			task(i)
			runtime.Gosched()
		}
	}
	var others sync.WaitGroup
	for range min(n, cap(from)) - 1 {
		if !t.more(from) {
			break
		}
		others.Go(func() {
			if from != t.cores {
				defer func() { <-from }()
			}
			work()
		})
	}
	work()
	others.Wait()
	return nil
}

// more takes another core if one is idle.
func (t *turns) more(from chan struct{}) bool {
	select {
	case from <- struct{}{}:
	default:
		return false
	}
	if from == t.cores {
		return true
	}
	select {
	case t.cores <- struct{}{}:
		return true
	default:
		<-from
		return false
	}
}

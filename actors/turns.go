package actors

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// turns shares the cores among heavy questions: each core works for one of them
// at a time, and a question that finds cores idle uses them too. Between tasks
// others are let run, so that counting and light questions do not wait.
type turns struct{ cores chan struct{} }

func newTurns(n int) *turns { return &turns{make(chan struct{}, max(1, n))} }

// fan is query.Picture.Fan.
func (t *turns) fan(ctx context.Context, n int, task func(i int)) error {
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
	for range n - 1 {
		select {
		case t.cores <- struct{}{}:
			others.Go(work)
			continue
		default:
		}
		break
	}
	work()
	others.Wait()
	return nil
}

package actors

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// atOnce gives how many cores two questions of ten tasks each have at most.
func atOnce(t *testing.T, cores, views int) (most int) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(cores)
		turns.counted(views)
		step := make(chan struct{})
		var mu sync.Mutex
		now, done := 0, 0
		task := func(int) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-step
			mu.Lock()
			now--
			done++
			mu.Unlock()
		}
		var questions sync.WaitGroup
		for range 2 {
			questions.Go(func() {
				if err := turns.fan(context.Background(), 10, task); err != nil {
					t.Error(err)
				}
			})
		}
		for range 20 {
			synctest.Wait() // all that can work does
			step <- struct{}{}
		}
		questions.Wait()
		if done != 20 {
			t.Errorf("%d tasks were done, want 20", done)
		}
	})
	return most
}

func TestQuestionsLeaveHalfOfTheCoresWhileViewsComeIn(t *testing.T) {
	for _, x := range []struct{ cores, views, want int }{
		{2, 0, 2}, {2, busyViews + 1, 1}, {8, 0, 8}, {8, busyViews + 1, 4}, {1, 0, 1}, {1, busyViews + 1, 1},
	} {
		if got := atOnce(t, x.cores, x.views); got != x.want {
			t.Errorf("%d cores, %d views a second: questions had %d cores at once, want %d", x.cores, x.views, got, x.want)
		}
	}
}

func TestAQuestionThatIsGivenUpWhileItWaitsTakesNothing(t *testing.T) {
	turns := newTurns(1)
	turns.half <- struct{}{}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	turns.cores <- struct{}{}
	if err := turns.fan(gone, 3, func(int) { t.Error("a task ran") }); err == nil {
		t.Error("no error")
	}
	if len(turns.cores) != 1 {
		t.Errorf("%d cores are taken, want 1", len(turns.cores))
	}
}

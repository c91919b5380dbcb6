package readcache

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"footfall/analytics"
	"footfall/analytics/query"
)

// slow makes questions wait until they are let go.
func slow(f *fixture) {
	f.source.entered, f.source.proceed = make(chan struct{}), make(chan struct{})
}

// aboard waits, without a clock, until n callers wait for one answer.
func (f *fixture) aboard(n int) {
	for {
		f.answers.mu.Lock()
		waiting := 0
		for _, one := range f.answers.flying {
			waiting += one.waiting
		}
		f.answers.mu.Unlock()
		if waiting == n {
			return
		}
	}
}

func TestAHundredDashboardsAskOnce(t *testing.T) {
	f := open(t)
	slow(f)
	f.source.view(1, 0)
	q := question(0, dayLen)
	answers := make([]*query.Answer, 100)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = f.ask(t, 1, q) })
	}
	<-f.source.entered
	f.aboard(len(answers))
	close(f.source.proceed)
	wg.Wait()
	f.counts(t, "a hundred", 1)
	if misses, shared := f.count.misses.Get(), f.count.shared.Get(); misses != 1 || shared != 99 {
		t.Errorf("%d misses, %d shared, want 1 and 99", misses, shared)
	}
	want := answerTo(q, 1, 1, 1)
	for i, a := range answers {
		if !reflect.DeepEqual(a, want) {
			t.Errorf("answer %d: %+v, want %+v", i, a, want)
		}
		for j := range answers[:i] {
			if answers[j] == a || len(a.Rows) > 0 && &answers[j].Rows[0] == &a.Rows[0] {
				t.Fatalf("callers %d and %d share memory", i, j)
			}
		}
	}
}

func TestOneWhoLeavesDoesNotEndTheOthersQuestion(t *testing.T) {
	f := open(t)
	slow(f)
	q := question(0, dayLen)
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := f.Ask(ctx, 1, q, analytics.Token{})
		left <- err
	}()
	<-f.source.entered
	stays := make(chan *query.Answer)
	go func() { stays <- f.ask(t, 1, q) }()
	f.aboard(2)
	leave() // the one for whom it was begun
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v, want canceled", err)
	}
	close(f.source.proceed)
	if a := <-stays; !reflect.DeepEqual(a, answerTo(q, 1, 0, 0)) {
		t.Errorf("who stays gets %+v", a)
	}
	f.counts(t, "two callers", 1)
}

func TestTheLastOneWhoLeavesEndsTheQuestion(t *testing.T) {
	f := open(t)
	slow(f)
	q := question(0, dayLen)
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error)
	for range 2 {
		go func() {
			_, err := f.Ask(ctx, 1, q, analytics.Token{})
			left <- err
		}()
	}
	<-f.source.entered
	f.aboard(2)
	leave()
	for range 2 {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want canceled", err)
		}
	}
	f.answers.running.Wait() // ends, because the source saw its context end
	// Who comes after them is not given their end.
	go func() { <-f.source.entered; close(f.source.proceed) }()
	f.ask(t, 1, q)
	f.counts(t, "with the one after", 2)
}

func TestCloseEndsWhatIsComputed(t *testing.T) {
	f := open(t)
	slow(f)
	failed := make(chan error)
	go func() {
		_, err := f.Ask(context.Background(), 1, question(0, dayLen), analytics.Token{})
		failed <- err
	}()
	<-f.source.entered
	f.aboard(1)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("error %v, want unavailable", err)
	}
}

// A panic in the engine must reach whoever recovers for the request and not end
// the process.
func TestAPanicReachesItsCallers(t *testing.T) {
	f := open(t)
	slow(f)
	f.source.noAnswer = func() { panic("broken invariant 7") }
	caught := make(chan any, 3)
	for range cap(caught) {
		go func() {
			defer func() { caught <- recover() }()
			f.ask(t, 1, question(0, dayLen))
		}()
	}
	<-f.source.entered
	f.aboard(cap(caught))
	close(f.source.proceed)
	for range cap(caught) {
		p, ok := (<-caught).(*panicked)
		if !ok || p.value != "broken invariant 7" || len(p.stack) == 0 {
			t.Errorf("caught %v", p)
		}
	}
	if n := f.count.panics.Get(); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	f.source.noAnswer, f.source.entered = nil, nil
	f.ask(t, 1, question(0, dayLen))
}

func TestSharedBodiesAreMadeOnce(t *testing.T) {
	f := open(t)
	entered, proceed := make(chan struct{}), make(chan struct{})
	var hits, made int
	var mu sync.Mutex
	var wg sync.WaitGroup
	get := func() {
		body, _, hit, err := f.Bytes(context.Background(), 1, 0, 1, analytics.Token{}, []byte("k"), func(context.Context) ([]byte, error) {
			made++ // by one goroutine, as the race detector would tell
			close(entered)
			<-proceed
			return []byte("report"), nil
		})
		if string(body) != "report" || err != nil {
			t.Errorf("%q %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if hit {
			hits++
		}
	}
	wg.Go(get)
	<-entered
	for range 9 {
		wg.Go(get)
	}
	for waiting := 0; waiting < 10; {
		f.bodies.mu.Lock()
		for _, one := range f.bodies.flying {
			waiting = one.waiting
		}
		f.bodies.mu.Unlock()
	}
	close(proceed)
	wg.Wait()
	if made != 1 || hits != 9 {
		t.Errorf("made %d times with %d hits, want 1 and 9", made, hits)
	}
}

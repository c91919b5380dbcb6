package readcache

import (
	"reflect"
	"testing"
	"time"

	"footfall/analytics"
)

func TestWhoKnowsOfTheSameStateSharesOneAnswer(t *testing.T) {
	f := open(t)
	s, c := f.source, f.Cache
	s.view(1, 0)
	q := question(0, dayLen)
	ask := func(since uint64) uint64 {
		t.Helper()
		a, err := c.AskSince(t.Context(), 1, q, since)
		if err != nil {
			t.Fatal(err)
		}
		return a.Index
	}
	if got := ask(1); got != 1 {
		t.Fatalf("index %d", got)
	}
	s.view(1, 0) // nobody was told of it
	asked := s.asked.Load()
	for range 100 {
		if got := ask(1); got != 1 {
			t.Fatalf("index %d", got)
		}
	}
	if got := s.asked.Load(); got != asked {
		t.Errorf("asked %d times more", got-asked)
	}
	if got := ask(2); got != 2 || s.asked.Load() != asked+1 {
		t.Errorf("who was told of the second view gets index %d", got)
	}
	fresh, err := s.Ask(t.Context(), 1, q, analytics.Token{})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := c.AskSince(t.Context(), 1, q, 1)
	if err != nil || !reflect.DeepEqual(shared, fresh) {
		t.Errorf("got %+v, want the newest that is kept, %+v: %v", shared, fresh, err)
	}
}

func TestASharedAnswerGrowsOld(t *testing.T) {
	f := open(t)
	s, c := f.source, f.Cache
	s.view(1, 0)
	if _, err := c.AskSince(t.Context(), 1, question(0, dayLen), 1); err != nil {
		t.Fatal(err)
	}
	s.view(1, 0)
	c.begin = c.begin.Add(-newestLife - time.Second)
	if a, err := c.AskSince(t.Context(), 1, question(0, dayLen), 1); err != nil || a.Index != 2 {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestAStateThatIsBehindAnswersAllTheSame(t *testing.T) {
	f := open(t)
	s, c := f.source, f.Cache
	s.view(1, 0)
	for range 2 {
		if a, err := c.AskSince(t.Context(), 1, question(0, dayLen), 99); err != nil || a.Index != 1 {
			t.Errorf("got %+v, %v", a, err)
		}
	}
}

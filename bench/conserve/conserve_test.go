package conserve_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"footfall/bench/conserve"
	"footfall/bench/ledger"
)

// counter is what servers say they count.
type counter struct {
	events map[string]int64
	pages  map[string]map[string]int64
	asked  atomic.Int64
	late   int64 // answers that are empty before the figures are there
	err    error
}

func (c *counter) Events(_ context.Context, domain string) (int64, error) {
	if c.asked.Add(1) <= c.late {
		return 0, c.err
	}
	return c.events[domain], c.err
}

func (c *counter) Pages(_ context.Context, domain string) (map[string]int64, error) {
	return c.pages[domain], c.err
}

func TestEveryDifferenceIsFound(t *testing.T) {
	const path = "/shop/category-0/product-0"
	for _, c := range []struct {
		name          string
		counted       int64
		pages         map[string]int64
		doubt         int
		lost, doubled int64
		wrongPages    int
	}{
		{"all right", 10, map[string]int64{path: 10}, 0, 0, 0, 0},
		{"one lost", 9, map[string]int64{path: 9}, 0, 1, 0, 1},
		{"one twice", 11, map[string]int64{path: 11}, 0, 0, 1, 1},
		{"a doubtful one counted", 11, map[string]int64{path: 11}, 1, 0, 0, 0},
		{"a doubtful one not counted", 10, map[string]int64{path: 10}, 1, 0, 0, 0},
		{"more than doubtful", 12, map[string]int64{path: 12}, 1, 0, 1, 1},
		{"a lost one behind a double", 10, map[string]int64{path: 9, "/shop/category-1/product-1": 1}, 0, 1, 1, 2},
	} {
		l := ledger.New(1, 2)
		for range 10 {
			l.Acknowledge(0, 0, true)
		}
		for range c.doubt {
			l.Doubt(0, 0, true)
		}
		n := &counter{events: map[string]int64{}, pages: map[string]map[string]int64{}}
		check, err := conserve.Begin(t.Context(), n, []string{"a"}, 2)
		if err != nil {
			t.Fatal(err)
		}
		n.events["a"], n.pages["a"] = c.counted, c.pages
		got, err := check.End(t.Context(), l, 0)
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for _, d := range got.Wrong {
			if d.Page != "" {
				wrong++
			}
		}
		if got.Lost != c.lost || got.Doubled != c.doubled || wrong != c.wrongPages || got.Holds() != (c.lost+c.doubled == 0) {
			t.Errorf("%s: %d lost, %d doubled, %d wrong pages; want %d, %d, %d", c.name, got.Lost, got.Doubled, wrong, c.lost, c.doubled, c.wrongPages)
		}
	}
}

func TestWhatWasCountedBeforeIsNotOurs(t *testing.T) {
	n := &counter{events: map[string]int64{"a": 1000, "b": 5}}
	check, err := conserve.Begin(t.Context(), n, []string{"a", "b"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(2, 0)
	l.Acknowledge(0, 7, true)
	n.events["a"]++
	got, err := check.End(t.Context(), l, 0)
	if err != nil || !got.Holds() || got.Counted != 1 || got.Sites != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFiguresMayComeLate(t *testing.T) {
	n := &counter{events: map[string]int64{}}
	check, err := conserve.Begin(t.Context(), n, []string{"a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(1, 0)
	l.Acknowledge(0, 0, true)
	n.events["a"], n.late = 1, n.asked.Load()+2
	got, err := check.End(t.Context(), l, time.Minute)
	if err != nil || !got.Holds() || !got.Visible {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASiteThatCannotBeAskedIsAnError(t *testing.T) {
	n := &counter{events: map[string]int64{}}
	check, err := conserve.Begin(t.Context(), n, []string{"a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	n.err = errors.New("no answer")
	if got, err := check.End(t.Context(), ledger.New(1, 0), 0); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("%+v, %v", got, err)
	}
}

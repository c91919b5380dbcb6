package visitors_test

import (
	"testing"
	"time"

	"footfall/bench/scenario"
	"footfall/bench/visitors"
)

func world(change func(*scenario.Scenario)) *visitors.World {
	s := scenario.Defaults()
	s.Rate, s.Duration = 100, time.Minute
	if change != nil {
		change(&s)
	}
	return visitors.NewWorld(&s, 1, func(time.Duration) float64 { return 100 })
}

func take(w *visitors.World, n, count int, step time.Duration) []visitors.Event {
	src := visitors.NewSource(w, n)
	var out []visitors.Event
	for i := range count {
		out = append(out, src.Next(time.Duration(i)*step))
	}
	return out
}

func TestTheSameSeedGivesTheSameEvents(t *testing.T) {
	a, b := take(world(nil), 3, 2000, 10*time.Millisecond), take(world(nil), 3, 2000, 10*time.Millisecond)
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("event %d: %+v and %+v", i, a[i], b[i])
		}
	}
}

func TestNoTwoEventsHaveAnID(t *testing.T) {
	w, seen := world(nil), map[uint64]bool{}
	for n := range 20 {
		for _, e := range take(w, n, 1000, time.Millisecond) {
			if seen[e.ID] {
				t.Fatalf("the id %d comes twice", e.ID)
			}
			seen[e.ID] = true
		}
	}
}

func TestVisitsHaveTheirLengthAndThinkingTime(t *testing.T) {
	w := world(func(s *scenario.Scenario) {
		s.Visits = scenario.Visits{Bounce: .5, Pages: 4, Think: 2 * time.Second}
		s.Events = scenario.Events{}
		s.Addresses = 1 << 24
	})
	type key struct {
		visitor uint32
		site    int
	}
	const step = 10 * time.Millisecond
	now := map[key]int{} // the visit somebody is on; one address in very many comes twice
	var pages, last []int
	var gaps, gap float64
	events := take(w, 0, 60_000, step)
	for i, e := range events {
		k := key{e.Visitor, e.Site}
		if e.Referrer != visitors.OwnReferrer {
			now[k] = len(pages)
			pages, last = append(pages, 1), append(last, i)
			continue
		}
		v, begun := now[k]
		if !begun {
			t.Fatalf("event %d goes on with a visit that did not begin", i)
		}
		gaps++
		gap += (time.Duration(i-last[v]) * step).Seconds()
		pages[v]++
		last[v] = i
	}
	bounces, rest := 0.0, 0.0
	ended := 0.0
	for k, n := range pages {
		if last[k] > len(events)-5000 {
			continue // it may go on
		}
		ended++
		if n == 1 {
			bounces++
		} else {
			rest += float64(n)
		}
	}
	if share := bounces / ended; share < .46 || share > .54 {
		t.Errorf("%.3f of the visits bounce, want 0.5", share)
	}
	if mean := rest / (ended - bounces); mean < 3.7 || mean > 4.3 {
		t.Errorf("the others have %.2f pages, want 4", mean)
	}
	if mean := gap / gaps; mean < 1.8 || mean > 2.3 {
		t.Errorf("they think %.2f s, want 2", mean)
	}
}

func TestSharesOfEventsAndBots(t *testing.T) {
	w := world(func(s *scenario.Scenario) {
		s.Events.Custom, s.Events.Engagement, s.Bots = .1, .5, .2
		s.Visits.Think = 50 * time.Millisecond
	})
	var n [3]float64
	var bots, visits float64
	for _, e := range take(w, 0, 100_000, time.Millisecond) {
		n[e.Kind]++
		if e.Kind == visitors.View && e.Referrer != visitors.OwnReferrer {
			visits++
			if e.Bot {
				bots++
			}
		}
		if e.Kind == visitors.Engagement && e.EngagedMS <= 0 {
			t.Fatalf("an engagement of %d ms", e.EngagedMS)
		}
	}
	if c := n[visitors.Custom] / n[visitors.View]; c < .08 || c > .12 {
		t.Errorf("%.3f custom events per view, want 0.1", c)
	}
	if c := n[visitors.Engagement] / n[visitors.View]; c < .45 || c > .55 {
		t.Errorf("%.3f engagements per view, want 0.5", c)
	}
	if b := bots / visits; b < .18 || b > .22 {
		t.Errorf("%.3f of the visits are bots', want 0.2", b)
	}
}

func TestAFloodIsOnItsSiteAndInItsTime(t *testing.T) {
	w := world(func(s *scenario.Scenario) {
		s.Flood = &scenario.Flood{Site: 9, From: 10 * time.Second, To: 20 * time.Second, Rate: 300}
		s.Sites.Zipf = 3 // site 9 is hardly ever visited otherwise
	})
	var inside, on float64
	for i, e := range take(w, 0, 30_000, time.Millisecond) {
		if at := time.Duration(i) * time.Millisecond; at >= 10*time.Second && at < 20*time.Second {
			inside++
			if e.Site == 9 {
				on++
			}
		}
	}
	if share := on / inside; share < .72 || share > .78 {
		t.Errorf("%.3f of the events are on the site, want 300 of 400", share)
	}
}

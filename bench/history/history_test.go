package history

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/analytics/site"
)

var end = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func options(views int) Options {
	return Options{Seed: 1, Views: views, Days: 365, End: end, Host: "shop.example"}
}

func TestTheSameSeedGivesTheSameEvents(t *testing.T) {
	a, b := NewWorld(1).Generator(options(20_000)), NewWorld(1).Generator(options(20_000))
	for {
		x, more := a.Next()
		y, again := b.Next()
		if more != again || !reflect.DeepEqual(x, y) {
			t.Fatal("two generators of one seed differ")
		}
		if !more {
			return
		}
	}
}

func TestAHistoryIsCompleteInOrderAndSkewed(t *testing.T) {
	const views = 200_000
	g := NewWorld(1).Generator(options(views))
	last, first := int64(0), end.AddDate(0, 0, -365).UnixMilli()
	kinds := map[analytics.Kind]int{}
	paths, sources, countries, ids := map[string]int{}, map[string]int{}, map[string]int{}, map[uint64]bool{}
	campaigns, revenue := 0, 0
	for ev := range g.All() {
		if ev.Time < last || ev.Time < first || ev.Time >= end.UnixMilli() {
			t.Fatalf("an event at %d after one at %d; days from %d to %d", ev.Time, last, first, end.UnixMilli())
		}
		last = ev.Time
		if ids[ev.ID] || ev.ID == 0 || ev.Visitor == 0 {
			t.Fatalf("id %d, visitor %d: zero or twice", ev.ID, ev.Visitor)
		}
		ids[ev.ID] = true
		kinds[ev.Kind]++
		paths[ev.Page]++
		sources[ev.Acquisition.Source]++
		countries[ev.Place.Country]++
		if ev.Acquisition.UTMSource != "" {
			campaigns++
		}
		if ev.Revenue.Currency != "" {
			revenue++
		}
	}
	if kinds[analytics.Pageview] != views {
		t.Errorf("%d views, want %d", kinds[analytics.Pageview], views)
	}
	within := func(what string, got int, from, to float64) {
		t.Helper()
		if share := float64(got) / views; share < from || share > to {
			t.Errorf("%s: %.3f of the views, want %.2f to %.2f", what, share, from, to)
		}
	}
	within("engagements", kinds[analytics.Engagement], .30, .36)
	within("custom events", kinds[analytics.Custom], .045, .055)
	within("events with a campaign", campaigns, .15, .30)
	within("revenue", revenue, .005, .01)
	within("the first page", slices.Max(slices.Collect(maps.Values(paths))), .03, .2)
	if len(paths) < 20_000 || len(sources) < 1_000 || len(countries) != Countries {
		t.Errorf("%d paths, %d sources, %d countries", len(paths), len(sources), len(countries))
	}
}

func TestMemoryIsThatOfADay(t *testing.T) {
	g := NewWorld(1).Generator(options(100_000))
	most := 0
	for {
		day, ok := g.Next()
		if !ok {
			break
		}
		most = max(most, len(day))
	}
	if most > 5*100_000/365 {
		t.Errorf("a day of %d events", most)
	}
}

// The sessions must be those of the product: both count the same visits and
// visitors over the same events.
func TestSessionsAreTheVisitsOfTheProduct(t *testing.T) {
	g := NewWorld(1).Generator(options(30_000))
	m := site.New(1)
	var s Sessions
	visits := map[uint64]bool{}
	var refused, ours int
	index := uint64(0)
	for {
		day, ok := g.Next()
		if !ok {
			break
		}
		index++
		data := make([]byte, entry.HeaderLen)
		entry.PutHeader(data, day[0].Time, 1, 0, index)
		for i := range day {
			data = entry.AppendEvent(data, 1, &day[i])
			v := s.Of(&day[i])
			if v == nil {
				ours++
				continue
			}
			if v.Visitor != day[i].Visitor && v.Visitor != day[i].Previous {
				t.Fatal("a visit of somebody else")
			}
			visits[v.Number] = true
		}
		refused += step(t, m, index, data)
	}
	if refused != ours {
		t.Errorf("%d engagements without a visit, the product says %d", ours, refused)
	}
	if got := visitsOf(m); got != len(visits) {
		t.Errorf("%d visits, the product says %d", len(visits), got)
	}
}

func step(t *testing.T, m *site.Machine, index uint64, data []byte) (refused int) {
	t.Helper()
	r, err := entry.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	var items []entry.Item
	for {
		var it entry.Item
		more, err := r.Next(&it)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		items = append(items, it)
	}
	for _, ref := range m.Need(r.Time, items) {
		if err := m.Provide(ref, nil); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]analytics.Reason, len(items))
	m.Step(index, r.Time, items, out)
	for _, reason := range out {
		if reason == analytics.DropNoVisit {
			refused++
		} else if reason != analytics.Counted {
			t.Fatalf("dropped: %s", reason)
		}
	}
	return refused
}

func BenchmarkGenerator(b *testing.B) {
	g := NewWorld(1).Generator(options(max(b.N, 1)))
	b.ResetTimer()
	for range g.All() {
	}
}

// visitsOf is how many visits the product has made of the events.
func visitsOf(m *site.Machine) int {
	v := m.View()
	n := -len(v.Alias)
	for _, d := range v.Days {
		n += int(d.Visits)
	}
	return n
}

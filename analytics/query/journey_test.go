package query_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

// plainJourneys gives the lines of a journeys graph: nodes and links by name.
func plainJourneys(d *diary, j *query.Journeys, filter plainFilter) (visits int, out []string) {
	var paths [][]string
	for _, v := range d.visits() {
		pages, _ := v.pages()
		if !filter.holds(v, j.From, j.To) || len(pages) == 0 {
			continue
		}
		if j.Anchor != "" {
			at := slices.IndexFunc(pages, func(p string) bool { return p == j.Anchor || j.Anchor == "/c/*" && strings.HasPrefix(p, "/c/") })
			if at < 0 {
				continue
			}
			if j.Back {
				pages = pages[:at+1]
			} else {
				pages = pages[at:]
			}
		}
		if j.Back {
			slices.Reverse(pages)
		}
		paths = append(paths, pages)
	}
	name := func(step int, page string) string {
		counts := map[string]int{}
		for _, p := range paths {
			if len(p) > step {
				counts[p[step]]++
			}
		}
		var all []string
		for p := range counts {
			all = append(all, p)
		}
		slices.SortFunc(all, func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
		if slices.Index(all, page) >= j.Top {
			return fmt.Sprintf("%d other (%d)", step, len(all)-j.Top)
		}
		return fmt.Sprintf("%d %s (1)", step, page)
	}
	nodes, ends, links := map[string]int{}, map[string]int{}, map[string]int{}
	for _, p := range paths {
		for step := 0; step < len(p) && step <= j.Steps; step++ {
			n := name(step, p[step])
			nodes[n]++
			if step == len(p)-1 {
				ends[n]++
			} else if step < j.Steps {
				links[n+" > "+name(step+1, p[step+1])]++
			}
		}
	}
	for n, visits := range nodes {
		out = append(out, fmt.Sprintf("%s: %d, %d end", n, visits, ends[n]))
	}
	for l, visits := range links {
		out = append(out, fmt.Sprintf("%s: %d", l, visits))
	}
	slices.Sort(out)
	return len(paths), out
}

func journeyLines(got *query.JourneysResult) (out []string) {
	name := func(i int) string {
		n := got.Nodes[i]
		return fmt.Sprintf("%d %s (%d)", n.Step, cmp.Or(n.Page, "other"), n.Pages)
	}
	for i, n := range got.Nodes {
		out = append(out, fmt.Sprintf("%s: %d, %d end", name(i), n.Visits, n.Ends))
	}
	for _, l := range got.Links {
		out = append(out, fmt.Sprintf("%s > %s: %d", name(l.From), name(l.To), l.Visits))
	}
	slices.Sort(out)
	return out
}

func TestJourneysEqualPathsWrittenOut(t *testing.T) {
	t.Parallel()
	roams(t, 40, 5*time.Minute, func(r *rand.Rand, d *diary, from, to int64, name string) {
		j := &query.Journeys{Steps: 1 + r.IntN(5), Top: 1 + r.IntN(4), Back: r.IntN(2) == 0, Anchor: pick(r, []string{"", "", "/a", "/c/*", "/none"})}
		j.From, j.To = someRange(r, from, to)
		filter := pick(r, plainFilters())
		j.Filter = filter.filter
		got, err := d.picture().Journeys(context.Background(), j)
		if err != nil {
			t.Fatal(err)
		}
		visits, want := plainJourneys(d, j, filter)
		what := fmt.Sprintf("%s: journeys %+v filter %s", name, *j, filter.name)
		same(t, what, got.Visits, visits)
		same(t, what, lines(journeyLines(got)), lines(want))
		flow(t, what, j, got)
	})
}

// flow checks that no visit is lost between the steps.
func flow(t *testing.T, what string, j *query.Journeys, got *query.JourneysResult) {
	t.Helper()
	in, out, first := map[int]int{}, map[int]int{}, 0
	for _, l := range got.Links {
		in[l.To] += l.Visits
		out[l.From] += l.Visits
	}
	for i, n := range got.Nodes {
		if n.Step == 0 {
			first += n.Visits
		} else if in[i] != n.Visits {
			t.Fatalf("%s: %d visits come to %+v", what, in[i], n)
		}
		if n.Step < j.Steps && out[i]+n.Ends != n.Visits {
			t.Fatalf("%s: %d visits leave %+v", what, out[i], n)
		}
	}
	if first != got.Visits {
		t.Fatalf("%s: %d visits begin, want %d", what, first, got.Visits)
	}
}

func TestAJourneyHasPagesInARowOnceAndTellsWhereItEnds(t *testing.T) {
	d := newDiary(t)
	for i, page := range []string{"/", "/", "/a", "/a", "/", "/b"} {
		d.send(int64(i)*1000, analytics.Event{Time: int64(i) * 1000, Visitor: 1, Page: page})
	}
	d.send(7000, analytics.Event{Time: 7000, Visitor: 2, Page: "/"})
	got, err := d.picture().Journeys(context.Background(), &query.Journeys{To: 1 << 40, Anchor: "/", Steps: 2, Top: 5})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "nodes", got.Nodes, []query.JourneyNode{{Page: "/", Pages: 1, Visits: 2, Ends: 1}, {Step: 1, Page: "/a", Pages: 1, Visits: 1}, {Step: 2, Page: "/", Pages: 1, Visits: 1}})
	same(t, "links", got.Links, []query.JourneyLink{{0, 1, 1}, {1, 2, 1}})
}

func TestJourneysAreBounded(t *testing.T) {
	for _, c := range []struct {
		j    query.Journeys
		want string
	}{
		{query.Journeys{Steps: 0, Top: 1}, "steps: must be 1 to 5"},
		{query.Journeys{Steps: 6, Top: 1}, "steps: must be 1 to 5"},
		{query.Journeys{Steps: 1, Top: 0}, "top: must be 1 to 50"},
		{query.Journeys{Steps: 1, Top: 51}, "top: must be 1 to 50"},
	} {
		if _, err := newDiary(t).picture().Journeys(context.Background(), &c.j); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v", c.j, err)
		}
	}
}

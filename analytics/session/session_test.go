package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// counted is a site with its records in a map.
type counted struct {
	t       *testing.T
	machine *site.Machine
	records map[site.Ref][]byte
	index   uint64
}

func (c *counted) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(c.records[r])
}

func (c *counted) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(c.records[r])
}

func (c *counted) send(now int64, evs ...analytics.Event) {
	c.t.Helper()
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 1)
	for i := range evs {
		buf = entry.AppendEvent(buf, 1, &evs[i])
	}
	rd, err := entry.Open(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	items := make([]entry.Item, len(evs))
	for i := range items {
		if ok, err := rd.Next(&items[i]); !ok || err != nil {
			c.t.Fatal(ok, err)
		}
	}
	for _, r := range c.machine.Need(rd.Time, items) {
		if err := c.machine.Provide(r, c.records[r]); err != nil {
			c.t.Fatal(err)
		}
	}
	c.index++
	c.machine.Step(c.index, rd.Time, items, make([]analytics.Reason, len(items)))
}

func (c *counted) flush() {
	for _, w := range c.machine.Flush() {
		if w.Value == nil {
			delete(c.records, w.Ref)
		} else {
			c.records[w.Ref] = w.Value
		}
	}
}

// lines writes a day out, visit by visit, texts as texts.
func lines(t *testing.T, d *session.Day) []string {
	t.Helper()
	var out []string
	last, visits := uint64(0), 0
	err := d.Runs(func(l *session.Layer, from, to int) error {
		for i := from; i < to; i++ {
			if l.Visitor[i] < last {
				t.Fatalf("visitor %d comes after visitor %d", l.Visitor[i], last)
			}
			last = l.Visitor[i]
			if l.Hides(i) {
				continue
			}
			visits++
			x := d.Lexicon.Text
			s := fmt.Sprintf("%d %x: %d–%d/%d views=%d customs=%d flags=%d %s %s %s %s %q %q %q", l.Visitor[i], uint64(l.ID[i]), l.Start[i], l.LastEvent[i], l.Last[i],
				l.Views[i], l.Customs[i], l.Flags[i], x(l.Entry[i]), x(l.Exit[i]), x(l.EntryHost[i]), x(l.Language[i]), x(l.Agent[i]), x(l.Place[i]), x(l.Acquisition[i]))
			for e := l.FirstEvent[i]; e < l.FirstEvent[i+1]; e++ {
				s += fmt.Sprintf("; %d kind=%d %s %s %q %q %d %d", l.At[e], l.Kind[e], x(l.Name(int(e))), x(l.Page[e]), x(l.Props(int(e))), x(l.Revenue(int(e))), l.Scroll(int(e)), l.Engaged(int(e)))
			}
			out = append(out, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if visits != d.Visits {
		t.Fatalf("the day says that it has %d visits, and has %d", d.Visits, visits)
	}
	slices.Sort(out) // visits of one visitor in several layers are in any order
	return out
}

func randomEvent(r *rand.Rand, t int64, id uint64, visitors int) analytics.Event {
	e := analytics.Event{Kind: analytics.Pageview, Time: t, ID: id, Visitor: r.Uint64N(uint64(visitors)) + 1, Page: fmt.Sprint("/", r.IntN(9)), Host: "example.com",
		ScrollDepth: analytics.ScrollNone, Language: []string{"", "de", "en"}[r.IntN(3)]}
	switch r.IntN(5) {
	case 0:
		e.Kind, e.Name, e.Named = analytics.Custom, "buy", r.IntN(2) == 0
		e.Revenue = analytics.Revenue{Amount: int64(r.IntN(1000)), Currency: "EUR"}
		e.Props = []analytics.Prop{{Key: "k", Value: fmt.Sprint(r.IntN(3))}}
	case 1:
		e.Kind, e.EngagedMS, e.ScrollDepth = analytics.Engagement, uint32(r.IntN(9000)), uint8(r.IntN(101))
	}
	return e
}

// TestADayGoesOnAsIfItWereMadeAnew: whatever comes between two views, the later
// day made from the earlier one holds what it would hold made from nothing.
func TestADayGoesOnAsIfItWereMadeAnew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	advanced := 0
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		visitors := []int{3, 40, 4000}[r.IntN(3)]
		step := []int{50, 5_000, 400_000}[r.IntN(3)]
		c := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
		now := int64(20_600)*column.DayMS - 5*3600_000
		lex := session.NewLexicon()
		type known struct {
			view *site.View
			day  *session.Day
		}
		days := map[int32]known{}
		id := seed << 32
		for range 60 {
			var evs []analytics.Event
			for range r.IntN(120) + 1 {
				now += int64(r.IntN(step))
				id++
				ev := randomEvent(r, now, id, visitors)
				if r.IntN(60) == 0 {
					ev.Explicit, ev.Kind = true, analytics.Pageview
					ev.Time -= int64(r.IntN(30 * 3600_000))
				}
				evs = append(evs, ev)
			}
			for len(evs) > 0 {
				n := r.IntN(len(evs)) + 1
				c.send(evs[n-1].Time, evs[:n]...)
				evs = evs[n:]
			}
			if r.IntN(10) == 0 {
				c.flush()
			}
			if r.IntN(3) == 0 {
				continue
			}
			view := c.machine.View()
			for i := range view.Days {
				n := view.Days[i].Day
				if i < len(view.Days)-3 && r.IntN(8) > 0 {
					continue
				}
				fresh, err := session.Build(ctx, view, n, c, lex)
				if err != nil {
					t.Fatal(err)
				}
				k, ok := days[n]
				if !ok {
					days[n] = known{view, fresh}
					continue
				}
				d, err := session.Advance(ctx, k.day, k.view, view, c)
				if err != nil {
					t.Fatal(err)
				}
				if len(d.Layers) > 1 {
					advanced++
				}
				got, want := lines(t, d), lines(t, fresh)
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d day %d: %d visits, want %d\n%s", seed, n, len(got), len(want), firstDifference(got, want))
				}
				if d.First != fresh.First || d.Last != fresh.Last {
					t.Fatalf("seed %d day %d: from %d to %d, want %d to %d", seed, n, d.First, d.Last, fresh.First, fresh.Last)
				}
				days[n] = known{view, d}
			}
		}
	}
	if advanced < 30 {
		t.Fatalf("only %d days had several layers: the test does not test what it should", advanced)
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return "got  " + got[i] + "\nwant " + want[i]
		}
	}
	return "one goes on where the other ends"
}

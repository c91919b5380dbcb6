package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
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
	t       testing.TB
	machine *site.Machine
	records map[site.Ref][]byte
	index   uint64
	packer  column.Packer
}

func (c *counted) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(c.records[r])
}

func (c *counted) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(c.records[r])
}

func (c *counted) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(c.records[r], c.packer)
}

func (c *counted) send(now int64, evs ...analytics.Event) {
	c.t.Helper()
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, 1)
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

// seal seals all that can be sealed, and tells how many parts that were.
func (c *counted) seal(rule site.SealRule) (n int) {
	c.t.Helper()
	for p, ok := c.machine.NextSeal(rule); ok; p, ok = c.machine.NextSeal(rule) {
		if err := c.machine.SealPart(p, c.records); err != nil {
			c.t.Fatal(err)
		}
		n++
	}
	return n
}

// restart makes the machine anew from its records.
func (c *counted) restart() {
	c.t.Helper()
	m, window, err := site.Restore(1, c.records[site.Ref{}])
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range window {
		if err := m.ProvideWindow(r, c.records[r]); err != nil {
			c.t.Fatal(err)
		}
	}
	m.SetPacker(c.packer)
	c.machine = m
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
			switch r.IntN(20) {
			case 0:
				c.flush()
			case 1:
				c.seal(site.SealRule{Hurry: r.IntN(2) == 0})
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

// TestSealedDaysHoldWhatTheyHeld compares a site whose days are sealed with one
// that got the same traffic and never seals: flushes, restarts, late events that
// join, bridge and begin visits in between.
func TestSealedDaysHoldWhatTheyHeld(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	parts, segments, late := 0, 0, 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 5))
		visitors := []int{3, 40, 4000}[r.IntN(3)]
		step := []int{20_000, 400_000, 3_000_000}[r.IntN(3)]
		a := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
		b := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
		now := int64(20_600)*column.DayMS - 5*3600_000
		id := seed << 32
		for round := range 40 {
			for range r.IntN(150) + 1 {
				now += int64(r.IntN(step))
				id++
				ev := randomEvent(r, now, id, visitors)
				if r.IntN(30) == 0 {
					ev.Explicit = true
					ev.Time -= int64(r.IntN(70 * 3600_000))
					late++
				}
				a.send(now, ev)
				b.send(now, ev)
			}
			for _, c := range []*counted{a, b} {
				if r.IntN(4) > 0 {
					if c == a {
						parts += c.seal(site.SealRule{Hurry: r.IntN(2) == 0})
					}
					c.flush()
					if r.IntN(3) == 0 {
						c.restart()
					}
				}
			}
			if round%4 > 0 {
				continue
			}
			x, y := a.machine.View(), b.machine.View()
			if len(x.Days) != len(y.Days) {
				t.Fatalf("seed %d: %d days, want %d", seed, len(x.Days), len(y.Days))
			}
			for i := range y.Days {
				segments += len(x.Days[i].Sealed)
				if x.Days[i].Changed != y.Days[i].Changed || x.Days[i].Visits != y.Days[i].Visits {
					t.Fatalf("seed %d day %d: changed at %d with %d visits, want %d and %d", seed, y.Days[i].Day, x.Days[i].Changed, x.Days[i].Visits, y.Days[i].Changed, y.Days[i].Visits)
				}
				p, err := session.Build(ctx, x, x.Days[i].Day, a, session.NewLexicon())
				if err != nil {
					t.Fatal(err)
				}
				q, err := session.Build(ctx, y, x.Days[i].Day, b, session.NewLexicon())
				if err != nil {
					t.Fatal(err)
				}
				if got, want := lines(t, p), lines(t, q); !slices.Equal(got, want) || p.First != q.First || p.Last != q.Last || p.Events != q.Events {
					t.Fatalf("seed %d day %d: %d visits, want %d\n%s", seed, y.Days[i].Day, len(got), len(want), firstDifference(got, want))
				}
			}
		}
	}
	if parts < 100 || segments < 500 || late < 300 {
		t.Fatalf("%d parts sealed, %d segments read, %d late events: the test tests little", parts, segments, late)
	}
}

// TestVisitorsWhoseSaltIsGoneStayApart: when ids are replaced by numbers, visits
// of one visitor still are of one visitor, those of two of two, and named
// visitors keep their ids.
func TestVisitorsWhoseSaltIsGoneStayApart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := rand.New(rand.NewPCG(9, 5))
	c := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
	start := int64(20_600) * column.DayMS
	id := uint64(0)
	send := func(now int64, visitor uint64, named bool) {
		id++
		c.send(now, analytics.Event{Time: now, ID: id, Visitor: visitor, Named: named, Page: "/", Host: "h", ScrollDepth: analytics.ScrollNone})
	}
	now := start
	for range 900 {
		now += int64(r.IntN(150_000))
		visitor := r.Uint64N(200) + 1
		send(now, visitor, visitor%7 == 0)
	}
	of := func() (out map[column.VisitID]uint64) {
		out = map[column.VisitID]uint64{}
		view := c.machine.View()
		for i := range view.Days {
			d, err := session.Build(ctx, view, view.Days[i].Day, c, session.NewLexicon())
			if err != nil {
				t.Fatal(err)
			}
			_ = d.Runs(func(l *session.Layer, from, to int) error {
				for i := from; i < to; i++ {
					out[l.ID[i]] = l.Visitor[i]
				}
				return nil
			})
		}
		return out
	}
	before := of()
	rule := site.SealRule{Hurry: true, Forget: true}
	send(start+5*column.DayMS, 300, false)
	if c.seal(rule) == 0 {
		t.Fatal("nothing was sealed")
	}
	c.flush()
	for id, visitor := range before {
		if got := of()[id]; got != visitor {
			t.Fatalf("visit %x: visitor %d is %d while the salt can be there", id, visitor, got)
		}
	}
	send(start+45*column.DayMS, 300, false)
	c.seal(rule)
	c.flush()
	c.restart()
	after := of()
	renamed := 0
	type who struct {
		day     int32
		visitor uint64
	}
	there, back := map[who]uint64{}, map[uint64]who{}
	for id, visitor := range before {
		got, w := after[id], who{id.Day(), visitor}
		if visitor%7 == 0 {
			if got != visitor {
				t.Fatalf("named visitor %d is %d", visitor, got)
			}
			continue
		}
		if got == visitor {
			t.Fatalf("visitor %d still has the id", visitor)
		}
		renamed++
		if x, ok := there[w]; ok && x != got {
			t.Fatalf("visitor %d of day %d is two", visitor, id.Day())
		}
		if x, ok := back[got]; ok && x != w {
			t.Fatalf("%v and %v are one visitor", x, w)
		}
		there[w], back[got] = got, w
	}
	if renamed < 300 || len(there) == renamed {
		t.Fatalf("%d visits of %d visitors: the test tests little", renamed, len(there))
	}
	// A named visitor's late event still joins the visit, and brings back the rest.
	var joined column.VisitID
	for id, visitor := range before {
		if visitor%7 == 0 {
			joined = id
		}
	}
	view := c.machine.View()
	at := int64(0)
	for i := range view.Days {
		d, err := session.Build(ctx, view, view.Days[i].Day, c, session.NewLexicon())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range d.Layers {
			for i := range l.ID {
				if l.ID[i] == joined {
					at = l.Last[i] + 1
				}
			}
		}
	}
	id++
	c.send(start+45*column.DayMS, analytics.Event{Time: at, Explicit: true, ID: id, Visitor: before[joined], Named: true, Page: "/late", Host: "h", ScrollDepth: analytics.ScrollNone})
	late := of()
	if len(late) != len(after) {
		t.Fatalf("%d visits, want %d: the late event joined none", len(late), len(after))
	}
	c.seal(rule)
	c.flush()
	for id, visitor := range of() {
		if after[id] != visitor {
			t.Fatalf("visit %x: visitor %d, was %d", id, visitor, after[id])
		}
	}
}

// digests gives a number for each visit with its events, texts as texts.
func digests(d *session.Day) (out []uint64) {
	texts := d.Lexicon.Texts()
	_ = d.Runs(func(l *session.Layer, from, to int) error {
		var b []byte
		n := func(x uint64) { b = binary.LittleEndian.AppendUint64(b, x) }
		for i := from; i < to; i++ {
			b = b[:0]
			for _, x := range []uint64{uint64(l.ID[i]), l.Visitor[i], uint64(l.Start[i]), uint64(l.Last[i]), uint64(l.LastEvent[i]), uint64(l.Views[i]), uint64(l.Customs[i]), uint64(l.Flags[i])} {
				n(x)
			}
			for _, c := range [][]uint32{l.Entry, l.Exit, l.EntryHost, l.ExitHost, l.Agent, l.Place, l.Acquisition, l.Language, l.Screen} {
				b = append(b, texts[c[i]]...)
			}
			for e := l.FirstEvent[i]; e < l.FirstEvent[i+1]; e++ {
				n(uint64(l.At[e]))
				n(uint64(l.Kind[e]))
				b = append(b, texts[l.Page[e]]...)
				b = append(b, texts[l.Host[e]]...)
				b = append(b, texts[l.Name(int(e))]...)
			}
			h := fnv.New64a()
			h.Write(b)
			out = append(out, h.Sum64())
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// TestALargeDayIsSealedInSegments: more visits than a part and more events than a
// segment, visitors who come back all day, late events into the middle.
func TestALargeDayIsSealedInSegments(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := rand.New(rand.NewPCG(4, 5))
	a := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
	b := &counted{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
	start := int64(20_600) * column.DayMS
	id := uint64(0)
	send := func(now int64, evs ...analytics.Event) {
		for _, c := range []*counted{a, b} {
			c.send(now, evs...)
		}
	}
	for at := start; at < start+column.DayMS; {
		var evs []analytics.Event
		for range 2000 {
			at += int64(r.IntN(1200))
			id++
			evs = append(evs, analytics.Event{Time: at, ID: id * 0x9e3779b97f4a7c15, Visitor: r.Uint64N(9000) + 1, Page: fmt.Sprint("/", r.IntN(300)), Host: "h", ScrollDepth: analytics.ScrollNone})
		}
		send(at, evs...)
		if r.IntN(8) == 0 {
			a.flush()
			b.flush()
		}
	}
	one := func(now, at int64, visitor uint64) {
		id++
		send(now, analytics.Event{Time: at, Explicit: at != now, ID: id * 0x9e3779b97f4a7c15, Visitor: visitor, Page: "/late", Host: "h", ScrollDepth: analytics.ScrollNone})
	}
	same := func(when string) {
		t.Helper()
		x, y := a.machine.View(), b.machine.View()
		for i := range y.Days {
			p, err := session.Build(ctx, x, x.Days[i].Day, a, session.NewLexicon())
			if err != nil {
				t.Fatal(err)
			}
			q, err := session.Build(ctx, y, x.Days[i].Day, b, session.NewLexicon())
			if err != nil {
				t.Fatal(err)
			}
			if slices.Equal(digests(p), digests(q)) {
				continue
			}
			if got, want := lines(t, p), lines(t, q); !slices.Equal(got, want) {
				t.Fatalf("%s: day %d: %d visits, want %d\n%s", when, y.Days[i].Day, len(got), len(want), firstDifference(got, want))
			}
		}
	}
	now := start + 2*column.DayMS
	one(now, now, 1)
	b.flush()
	parts := a.seal(site.SealRule{})
	a.flush()
	a.restart()
	segments := len(a.machine.View().Days[0].Sealed)
	if parts < 2 || segments < 3 {
		t.Fatalf("%d parts and %d segments: the day is too small", parts, segments)
	}
	same("sealed")
	for i := range int64(5) {
		one(now+i, start+10*3600_000+i*500_000, 77)
	}
	if n := len(a.machine.View().Days[0].Sealed); n == 0 || n == segments {
		t.Fatalf("late events of an hour brought back all but %d of %d segments", n, segments)
	}
	same("with late events")
	a.seal(site.SealRule{Hurry: true})
	a.flush()
	same("sealed again")

	visitors := func() (n int) {
		d, err := session.Build(ctx, a.machine.View(), 20_600, a, session.NewLexicon())
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		_ = d.Runs(func(l *session.Layer, from, to int) error {
			for i := from; i < to; i++ {
				if n == 0 || l.Visitor[i] != last {
					n++
				}
				last = l.Visitor[i]
			}
			return nil
		})
		return n
	}
	before := visitors()
	one(now+40*column.DayMS, now+40*column.DayMS, 1)
	if a.seal(site.SealRule{Forget: true}) < 2 {
		t.Fatal("ids were not forgotten")
	}
	a.flush()
	if got := visitors(); got != before {
		t.Fatalf("%d visitors when their ids are forgotten, want %d", got, before)
	}
}

package site_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/site"
)

// logged is one entry of a random log.
type logged struct {
	now  int64
	data []byte
}

// random makes traffic that meets every rule: visits over midnight, late events
// that join, bridge and begin visits, engagement before and after them, repeated
// ids, a salt that changed.
type random struct {
	r        *rand.Rand
	now      int64
	ids      uint64
	times    []int64 // when each id was first sent
	visitors int
}

func newRandom(seed uint64) *random {
	return &random{r: rand.New(rand.NewPCG(seed, 7)), now: 1_772_323_200_000, visitors: 12}
}

func (g *random) event() logged {
	g.now += int64(g.r.IntN(20 * 60_000))
	if g.r.IntN(40) == 0 {
		g.now += int64(g.r.IntN(2 * column.DayMS))
	}
	g.ids++
	ev := analytics.Event{Time: g.now, ID: g.ids, Visitor: uint64(1 + g.r.IntN(g.visitors)), Page: fmt.Sprintf("/%d", g.r.IntN(6)), Host: "h.example",
		ScrollDepth: analytics.ScrollNone}
	switch g.r.IntN(6) {
	case 0:
		ev.Kind, ev.Name, ev.NonInteractive = analytics.Custom, "buy", g.r.IntN(2) == 0
		ev.Revenue = analytics.Revenue{Amount: int64(g.r.IntN(99)), Currency: "EUR"}
	case 1:
		ev.Kind, ev.EngagedMS, ev.ScrollDepth = analytics.Engagement, uint32(g.r.IntN(90_000)), uint8(g.r.IntN(101))
	}
	if g.r.IntN(4) == 0 {
		ev.Explicit = true
		ev.Time -= int64(g.r.IntN(3 * column.DayMS))
		if g.r.IntN(2) == 0 {
			ev.Time = g.now - int64(g.r.IntN(2*60*60_000))
		}
	}
	if g.r.IntN(15) == 0 {
		ev.Previous = ev.Visitor + 1 // not of those whom anything erases
		ev.Visitor += 1000
	}
	g.times = append(g.times, g.now)
	if g.r.IntN(25) == 0 && g.ids > 20 {
		// An older one may count again.
		if id := g.ids - uint64(g.r.IntN(20)); g.now-g.times[id-1] < analytics.IDWindowMS {
			ev.ID = id
		}
	}
	ev.Acquisition.Source = []string{"", "Google", "Bing"}[g.r.IntN(3)]
	return logged{g.now, entry.AppendEvent(header(g.now), 1, &ev)}
}

func header(now int64) []byte {
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, now, 1, 0, 1)
	return b
}

// item reads the entry's one item.
func (e logged) item(t *testing.T) (it entry.Item) {
	t.Helper()
	rd, err := entry.Open(e.data)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := rd.Next(&it); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return it
}

func (s *script) apply(t *testing.T, e logged) string {
	t.Helper()
	got, err := s.step(e.now, slices.Clone(e.data))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// rows gives every visit that counts with all of its events, as text by number,
// read from a view as questions read it. Numbers of visits are not in the text.
func (s *script) rows(t *testing.T, v *site.View) map[column.VisitID]string {
	t.Helper()
	out := map[column.VisitID]string{}
	for i := range v.Days {
		for _, f := range v.Days[i].Filed {
			c := f.Visits
			if c == nil {
				var err error
				if c, err = s.Visits(context.Background(), 1, f.Ref); err != nil {
					t.Fatalf("visits %v: %v", f.Ref, err)
				}
			}
			if c.Len() != f.Rows {
				t.Fatalf("block %v has %d rows, want %d", f.Ref, c.Len(), f.Rows)
			}
			for j, n := range c.Number {
				if c.Flags[j]&column.Dead != 0 {
					continue
				}
				if c.Start[j] < v.Days[i].Start || c.Last[j] > v.Days[i].Last || c.Start[j] < f.Start || c.Last[j] > f.Last {
					t.Fatalf("visit %d of day %d lies outside the bounds of its day or block", n, c.Day)
				}
				d := func(x uint32) string { return c.Dict[x] }
				out[column.MakeVisitID(c.Day, n)] = fmt.Sprintln("visitor", c.Visitor[j], c.Start[j], c.Last[j], c.LastEvent[j], c.Views[j], c.Customs[j], c.Flags[j],
					d(c.Entry[j]), d(c.Exit[j]), entry.Field(d(c.Acquisition[j]), 0))
			}
		}
	}
	s.sealed(t, v, func(d *site.ViewDay, g *site.ViewSealed, c *column.Sealed) {
		if c.Len() != g.Visits || len(c.At) != g.Events {
			t.Fatalf("segment %v has %d visits and %d events, want %d and %d", g.Ref, c.Len(), len(c.At), g.Visits, g.Events)
		}
		for j, n := range c.Number {
			x := c.Sum(j)
			if !slices.ContainsFunc(v.Days, func(d site.ViewDay) bool { return d.Day == column.DayOf(x.Start) }) {
				t.Fatalf("sealed visit %d of day %d starts on a day that is not there", n, c.Day)
			}
			if x.Start < d.Start || x.Last > d.Last || x.Start < g.Start || x.Last > g.Last {
				t.Fatalf("sealed visit %d of day %d lies outside the bounds of its day or segment", n, c.Day)
			}
			var entryPage, exitPage string
			if x.Entry >= 0 {
				entryPage, exitPage = c.Dict[c.Page[x.Entry]], c.Dict[c.Page[x.Exit]]
			}
			id := column.MakeVisitID(c.Day, n)
			if out[id] != "" {
				t.Fatalf("visit %d of day %d is there twice", n, c.Day)
			}
			out[id] = fmt.Sprintln("visitor", c.Visitor[j], x.Start, x.Last, x.LastEvent, x.Views, x.Customs, x.Flags|c.Named[j]*column.Named,
				entryPage, exitPage, entry.Field(c.Dict[c.Acquisition[j]], 0))
		}
	})
	events := map[column.VisitID][]seenEvent{}
	s.events(t, v, func(id column.VisitID, at int64, text string) {
		if out[id] == "" {
			t.Fatalf("an event without a visit: %s", text)
		}
		events[id] = append(events[id], seenEvent{at: at, text: text})
	})
	for id, all := range events {
		slices.SortStableFunc(all, func(x, y seenEvent) int { return int(x.at - y.at) })
		for _, e := range all {
			out[id] += e.text
		}
	}
	return out
}

// sealed calls fn for each sealed segment.
func (s *script) sealed(t *testing.T, v *site.View, fn func(*site.ViewDay, *site.ViewSealed, *column.Sealed)) {
	t.Helper()
	for i := range v.Days {
		for j := range v.Days[i].Sealed {
			g := &v.Days[i].Sealed[j]
			c := g.Sealed
			if c == nil {
				var err error
				if c, err = s.Sealed(context.Background(), 1, g.Ref); err != nil {
					t.Fatalf("sealed %v: %v", g.Ref, err)
				}
			}
			fn(&v.Days[i], g, c)
		}
	}
}

// events calls fn for each event: those of a visit in order of days and arrival.
func (s *script) events(t *testing.T, v *site.View, fn func(column.VisitID, int64, string)) {
	t.Helper()
	for i := range v.Days {
		for _, f := range v.Days[i].Events {
			c := f.Events
			if c == nil {
				var err error
				if c, err = s.Events(context.Background(), 1, f.Ref); err != nil {
					t.Fatalf("events %v: %v", f.Ref, err)
				}
			}
			if c.Len() != f.Rows {
				t.Fatalf("block %v has %d rows, want %d", f.Ref, c.Len(), f.Rows)
			}
			for j := range c.At {
				id := c.VisitID(j)
				if to, ok := v.Alias[id]; ok {
					id = to
				}
				fn(id, c.Time(j), fmt.Sprintln(" ", c.Time(j), c.Kind[j], c.Dict[c.Name[j]], c.Dict[c.Page[j]], c.Dict[c.Revenue[j]], c.Scroll[j], c.Engaged[j]))
			}
		}
	}
	s.sealed(t, v, func(_ *site.ViewDay, _ *site.ViewSealed, c *column.Sealed) {
		for j, n := range c.Number {
			for e := c.First[j]; e < c.First[j+1]; e++ {
				r := c.RareOf(int(e))
				fn(column.MakeVisitID(c.Day, n), c.At[e], fmt.Sprintln(" ", c.At[e], c.Kind[e], c.Dict[r.Name], c.Dict[c.Page[e]], c.Dict[r.Revenue], r.Scroll, r.Engaged))
			}
		}
	})
}

// state is all rows as one text without numbers of visits.
func state(rows map[column.VisitID]string) string {
	var out []string
	for _, text := range rows {
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// difference is the first line in which two texts differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: got %q, want %q", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

func (s *script) erase(t *testing.T, now int64, visitor uint64) (visits, events uint64) {
	t.Helper()
	for _, d := range s.machine.View().Days {
		if got := s.apply(t, logged{now, entry.AppendErase(header(now), 1, visitor, d.Day)}); got != "counted" {
			t.Fatalf("erase: %s", got)
		}
		v, e, ok := s.machine.Outcome(s.index)
		if !ok {
			t.Fatal("the outcome is not known")
		}
		visits, events = visits+v, events+e
	}
	return visits, events
}

func newScript() *script { return &script{machine: site.New(1), records: map[site.Ref][]byte{}} }

// TestErasedIsAsIfNeverThere compares a site from which a visitor was erased
// with one that got the same traffic without theirs, through flushes, restarts
// and later traffic.
func TestErasedIsAsIfNeverThere(t *testing.T) {
	erased, sealed := 0, 0
	for seed := range uint64(25) {
		g := newRandom(seed)
		a, b := newScript(), newScript()
		a.seal = &site.SealRule{Hurry: g.r.IntN(2) == 0}
		victim := uint64(1 + g.r.IntN(g.visitors))
		theirs := map[uint64]bool{}
		one := func(before bool) {
			e := g.event()
			it := e.item(t)
			if it.Previous == victim {
				return // its visit would be one of theirs
			}
			if theirs[it.ID] {
				if got := a.apply(t, e); !before && got == "counted" {
					t.Fatalf("seed %d: an event that was erased came back", seed)
				}
				return
			}
			got := a.apply(t, e)
			if it.Visitor == victim && before {
				theirs[it.ID] = got == "counted"
				return
			}
			b.apply(t, e)
			for _, s := range []*script{a, b} {
				switch g.r.IntN(60) {
				case 0:
					s.flush()
				case 1:
					s.flush()
					if err := s.restart(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for range 150 + g.r.IntN(250) {
			one(true)
		}
		sealed += a.parts
		was := a.rows(t, a.machine.View())
		visits, events := a.erase(t, g.now, victim)
		wantVisits, wantEvents := uint64(0), uint64(0)
		for _, text := range was {
			if strings.HasPrefix(text, fmt.Sprintf("visitor %d ", victim)) {
				wantVisits++
				for line := range strings.Lines(text) {
					if f := strings.Fields(line); strings.HasPrefix(line, "  ") && f[1] != "2" {
						wantEvents++
					}
				}
			}
		}
		if visits != wantVisits || events != wantEvents {
			t.Fatalf("seed %d: erased %d visits and %d events, want %d and %d", seed, visits, events, wantVisits, wantEvents)
		}
		erased += int(visits)
		for _, step := range []string{"at once", "after a flush and a restart", "after more traffic"} {
			va, vb := a.machine.View(), b.machine.View()
			if got, want := state(a.rows(t, va)), state(b.rows(t, vb)); got != want {
				t.Fatalf("seed %d %s: %s", seed, step, difference(got, want))
			}
			if va.First != vb.First {
				t.Fatalf("seed %d %s: first event at %d, want %d", seed, step, va.First, vb.First)
			}
			switch step {
			case "at once":
				a.flush()
				if err := a.restart(); err != nil {
					t.Fatal(err)
				}
			default:
				for range 100 {
					one(false)
				}
			}
		}
	}
	if sealed < 300 {
		t.Fatalf("only %d parts were sealed: the test tests little", sealed)
	}
	if erased < 300 {
		t.Fatalf("only %d visits were erased: the test tests little", erased)
	}
}

// TestRetainTakesVisitsWhole compares what is left after a Retain with the rows
// before it, without those of visits that were filed under earlier days.
func TestRetainTakesVisitsWhole(t *testing.T) {
	taken := 0
	for seed := range uint64(25) {
		g := newRandom(1000 + seed)
		s := newScript()
		if seed%3 > 0 {
			s.seal = &site.SealRule{Hurry: seed%3 == 1}
		}
		for range 4 {
			for range 150 {
				s.apply(t, g.event())
				if g.r.IntN(50) == 0 {
					s.flush()
					if err := s.restart(); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := s.rows(t, s.machine.View())
			days := s.machine.View().Days
			day := days[g.r.IntN(len(days))].Day
			want := map[column.VisitID]string{}
			first := int64(0)
			for id, text := range before {
				if id.Day() < day {
					taken++
					continue
				}
				want[id] = text
				var start int64
				if _, err := fmt.Sscanf(text, "visitor %d %d", new(uint64), &start); err != nil {
					t.Fatal(err)
				}
				if first == 0 || start < first {
					first = start
				}
			}
			got := s.apply(t, logged{g.now, entry.AppendRetain(header(g.now), 1, day)})
			if got == "duplicate" {
				continue
			}
			for _, when := range []string{"at once", "after a restart"} {
				v := s.machine.View()
				if got, want := state(s.rows(t, v)), state(want); got != want {
					t.Fatalf("seed %d day %d %s: %s", seed, day, when, difference(got, want))
				}
				if v.First != first {
					t.Fatalf("seed %d %s: first event at %d, want %d", seed, when, v.First, first)
				}
				s.flush()
				if err := s.restart(); err != nil {
					t.Fatal(err)
				}
			}
			for r := range s.records {
				if (r.Kind == site.KindVisits || r.Kind == site.KindIDs || r.Kind == site.KindSealed) && int32(r.Period) < day {
					t.Fatalf("seed %d: record %v of a day that went is still there", seed, r)
				}
			}
		}
	}
	if taken < 300 {
		t.Fatalf("only %d visits were taken: the test tests little", taken)
	}
}

// TestAVersionNamesWhatCanBeSeen: whenever two views have the same number for a
// range, or the same Changed for a day, the rows are the same.
func TestAVersionNamesWhatCanBeSeen(t *testing.T) {
	same := 0
	for seed := range uint64(10) {
		g := newRandom(2000 + seed)
		s := newScript()
		s.seal = &site.SealRule{Hurry: seed%2 == 0}
		type key struct {
			from, to int64
			version  uint64
		}
		seen := map[key]string{}
		last := map[[2]int64]uint64{}
		for i := range 200 {
			switch g.r.IntN(90) {
			case 0:
				s.erase(t, g.now, uint64(1+g.r.IntN(g.visitors)))
			case 1:
				if days := s.machine.View().Days; len(days) > 0 {
					s.apply(t, logged{g.now, entry.AppendRetain(header(g.now), 1, days[0].Day+int32(g.r.IntN(2)))})
				}
			case 2, 3:
				s.flush()
			case 4:
				s.flush()
				if err := s.restart(); err != nil {
					t.Fatal(err)
				}
			default:
				s.apply(t, g.event())
			}
			v := s.machine.View()
			p := s.picture(t, v)
			first := int64(20_510) * column.DayMS
			for d := range int64(12) {
				for _, length := range []int64{6 * 60 * 60_000, column.DayMS, 3 * column.DayMS} {
					from := first + d*column.DayMS + length%5
					version := v.Version(from, from+length)
					if was := last[[2]int64{from, length}]; version < was {
						t.Fatalf("seed %d step %d: version of [%d,+%d) goes from %d back to %d", seed, i, from, length, was, version)
					}
					last[[2]int64{from, length}] = version
					k := key{from, from + length, version}
					text := p.visible(from, from+length)
					if was, ok := seen[k]; ok {
						same++
						if was != text {
							t.Fatalf("seed %d step %d: version %d of [%d,%d): %s", seed, i, version, k.from, k.to, difference(text, was))
						}
					}
					seen[k] = text
				}
			}
			for _, day := range v.Days {
				k := key{int64(day.Day), -1, day.Changed}
				text := p.startedOn(day.Day)
				if was, ok := seen[k]; ok && was != text {
					t.Fatalf("seed %d step %d: day %d changed at %d: %s", seed, i, day.Day, day.Changed, difference(text, was))
				}
				seen[k] = text
			}
		}
	}
	if same < 2_000 {
		t.Fatalf("a version was met again %d times only: the test tests little", same)
	}
}

// picture is what a view shows, read once.
type picture struct {
	visits []seenVisit // in order of text
	place  map[column.VisitID]int
	events []seenEvent
}

type seenVisit struct {
	start, last int64
	text        string
}

type seenEvent struct {
	visit int
	at    int64
	text  string
}

func (s *script) picture(t *testing.T, v *site.View) *picture {
	t.Helper()
	rows := s.rows(t, v)
	p := &picture{place: map[column.VisitID]int{}}
	var ids []column.VisitID
	for id := range rows {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y column.VisitID) int { return strings.Compare(rows[x], rows[y]) })
	for i, id := range ids {
		x := seenVisit{text: rows[id]}
		if _, err := fmt.Sscanf(x.text, "visitor %d %d %d", new(uint64), &x.start, &x.last); err != nil {
			t.Fatal(err)
		}
		p.visits, p.place[id] = append(p.visits, x), i
	}
	s.events(t, v, func(id column.VisitID, at int64, text string) {
		p.events = append(p.events, seenEvent{p.place[id], at, text})
	})
	slices.SortStableFunc(p.events, func(x, y seenEvent) int { return cmp.Or(x.visit-y.visit, int(x.at-y.at)) })
	return p
}

// visible is what a question about [from, to) can see: visits that are active in
// it, whole, and events in it with their visits.
func (p *picture) visible(from, to int64) string {
	in := make([]bool, len(p.visits))
	for i, x := range p.visits {
		in[i] = x.start < to && x.last >= from
	}
	for _, x := range p.events {
		if x.at >= from && x.at < to {
			in[x.visit] = true
		}
	}
	var b strings.Builder
	for i, x := range p.visits {
		if in[i] {
			b.WriteString(x.text)
		}
	}
	return b.String()
}

// startedOn is the visits that start on a day, and the events of it.
func (p *picture) startedOn(day int32) string {
	var b strings.Builder
	for _, x := range p.visits {
		if column.DayOf(x.start) == day {
			b.WriteString(x.text)
		}
	}
	for _, x := range p.events {
		if column.DayOf(x.at) == day {
			b.WriteString(x.text)
		}
	}
	return b.String()
}

// TestAReplayGivesTheSameBytes kills a site between a command and its flush: what
// was not written is replayed, and the next flush writes the same records.
func TestAReplayGivesTheSameBytes(t *testing.T) {
	for seed := range uint64(25) {
		g := newRandom(3000 + seed)
		s := newScript()
		s.seal = &site.SealRule{Hurry: seed%2 == 0, Forget: true}
		var since []logged // the last flush
		index := uint64(0)
		for range 400 {
			e := g.event()
			switch days := s.machine.View().Days; {
			case len(days) == 0:
			case g.r.IntN(30) == 0:
				e.data = entry.AppendErase(header(g.now), 1, uint64(1+g.r.IntN(g.visitors)), days[g.r.IntN(len(days))].Day)
			case g.r.IntN(80) == 0:
				e.data = entry.AppendRetain(header(g.now), 1, days[0].Day+int32(g.r.IntN(2)))
			case g.r.IntN(80) == 0:
				e.data = entry.AppendSeal(header(g.now), 1, site.MonthNumber(2020, 1)+int32(len(s.machine.View().Seals)), []byte(`{}`))
			}
			s.apply(t, e)
			since = append(since, e)
			if g.r.IntN(40) > 0 {
				continue
			}
			twin := &script{records: map[site.Ref][]byte{}, index: index, seal: s.seal}
			for r, value := range s.records {
				twin.records[r] = value
			}
			if err := twin.restart(); err != nil {
				t.Fatal(err)
			}
			for _, e := range since {
				twin.apply(t, e)
			}
			s.flush()
			twin.flush()
			if len(s.records) != len(twin.records) {
				t.Fatalf("seed %d: %d records, after a replay %d", seed, len(s.records), len(twin.records))
			}
			for r, value := range s.records {
				if string(twin.records[r]) != string(value) {
					t.Fatalf("seed %d: record %v differs after a replay", seed, r)
				}
			}
			since, index = nil, s.index
			if err := s.restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

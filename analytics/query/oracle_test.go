package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/query"
	"footfall/analytics/site"
)

// The oracle asks random questions of random traffic and holds every answer, row
// by row and in order, against a plain walk over the raw events: see ledger and
// plainRow. The engine in turn answers through a source of days that makes them in
// every way there is: see fickle.

// oraclePairs is how many pairs of traffic and question are compared at least.
const oraclePairs = 20_000

// people gives visitors their ids as a site does.
type people struct {
	uniques analytics.Uniques // "": ids stay for ever, though nobody says so
	named   bool              // some have a name
}

// identify gives the event of a person the ids of its time: another one each day
// or week of UTC, and the one before.
func (p people) identify(e *analytics.Event) {
	person := e.Visitor
	if p.named && person%4 == 0 {
		e.Visitor, e.Named = 1<<40+person, e.Kind != analytics.Engagement
		return
	}
	period := uint64(column.DayOf(e.Time))
	switch p.uniques {
	case "":
		return
	case analytics.UniquesWeekly:
		period /= 7
	}
	id := func(period uint64) uint64 { return (person<<20 + period + 1) * 0x9e3779b97f4a7c15 }
	e.Visitor, e.Previous = id(period), id(period-1)
}

// story is traffic as it comes over days, with all that can happen meanwhile.
type story struct {
	*traffic
	r       *rand.Rand
	people  people
	begin   int64
	now     int64
	step    int64 // ms between entries, at most
	nightly bool  // everything happens around midnight
	keeps   bool  // nothing is ever removed
	sent    []analytics.Event
	told    []int64 // when each was first sent
	id      uint64
	stays   uint64 // who came last
	watched []watched
	same    int // answers that had to be the same as before, though there was traffic
}

// watched is a question whose answer is compared with the one that it had before.
type watched struct {
	question       query.Question
	index, version uint64
	answer         plainAnswer
}

func newStory(t testing.TB, seed uint64, step int64) *story {
	r := rand.New(rand.NewPCG(seed, 7))
	begin, err := time.Parse(time.RFC3339, pick(r, []string{"2026-03-27T20:00:00Z", "2026-10-23T20:00:00Z", "2026-06-10T23:00:00Z", "2024-02-28T12:00:00Z", "2025-12-30T21:30:00Z"}))
	if err != nil {
		t.Fatal(err)
	}
	s := &story{traffic: newTraffic(t), r: r, begin: begin.UnixMilli()}
	s.days = newFickle(s.traffic, seed)
	s.now = s.begin
	s.people = people{pick(r, []analytics.Uniques{"", analytics.UniquesDaily, analytics.UniquesDaily, analytics.UniquesWeekly}), r.IntN(3) == 0}
	s.step, s.nightly = step, r.IntN(3) == 0
	return s
}

func (s *story) chance(percent int) bool { return s.r.IntN(100) < percent }

// event makes the next event: most happen now, some tell of days before.
func (s *story) event() analytics.Event {
	s.id++
	e := randomEvent(s.r, s.now, s.id)
	if s.chance(40) { // somebody who stays
		e.Visitor = s.stays
	}
	s.stays = e.Visitor
	switch {
	case s.chance(10): // an import, or a shop that tells what happened
		e.Time -= s.r.Int64N(4 * dayMS)
		e.Explicit = true
	case s.chance(10): // kept by an edge for a while
		e.Time -= s.r.Int64N(3 * 3600_000)
	case s.chance(18) && len(s.ledger.visits) > 0: // something of a visit that was missed, or that brings two together
		v := s.familiar()
		e.Time, e.Explicit = min(s.now, v.start()-32*minuteMS+s.r.Int64N(v.active-v.start()+64*minuteMS)), true
		if e.Time < v.start() && s.chance(40) { // engagement before the first event
			e.Kind, e.Name, e.NonInteractive, e.Revenue = analytics.Engagement, "", false, analytics.Revenue{}
			e.EngagedMS, e.ScrollDepth = 20_000, 60
		}
		e.Visitor, e.Named = v.visitor, v.first.Named && e.Kind != analytics.Engagement
		return e
	}
	if s.chance(2) && len(s.sent) > 0 { // the same millisecond
		e.Time = s.sent[len(s.sent)-1].Time
	}
	s.people.identify(&e)
	return e
}

// familiar is a visit that something is added to: any, a recent one, or the
// longest, which so becomes one of days.
func (s *story) familiar() *bookedVisit {
	n := len(s.ledger.visits)
	switch s.r.IntN(3) {
	case 0:
		return s.ledger.visits[n-1-s.r.IntN(min(n, 5))]
	case 1:
		return slices.MaxFunc(s.ledger.visits, func(a, b *bookedVisit) int { return int((a.active - a.start()) - (b.active - b.start())) })
	}
	return pick(s.r, s.ledger.visits)
}

// again repeats an event whose id must be known.
func (s *story) again() (analytics.Event, bool) {
	if len(s.sent) == 0 {
		return analytics.Event{}, false
	}
	i := s.r.IntN(len(s.sent))
	return s.sent[i], s.ledger.seen[s.sent[i].ID] && (s.sent[i].Explicit || s.told[i] > s.now-analytics.IDWindowMS)
}

// imported is a piece of history that comes late and at once.
func (s *story) imported() {
	at := s.begin - 3*dayMS + s.r.Int64N(s.now-s.begin+3*dayMS+1)
	var batch []analytics.Event
	for range 2 + s.r.IntN(8) {
		s.id++
		e := randomEvent(s.r, min(s.now, at), s.id)
		e.Explicit = true
		at += s.r.Int64N(40 * minuteMS)
		s.people.identify(&e)
		batch = append(batch, e)
	}
	s.send(s.now, batch...)
}

// goOn lets n events come, and what comes between.
func (s *story) goOn(n int) {
	for len(s.sent) < n {
		if s.chance(2) {
			s.imported()
		}
		if s.now += s.r.Int64N(s.step) + 1; s.nightly && s.now%dayMS > 40*minuteMS && s.now%dayMS < dayMS-40*minuteMS {
			s.now += dayMS - 40*minuteMS - s.now%dayMS
		}
		var batch []analytics.Event
		for range 1 + s.r.IntN(4) {
			batch = append(batch, s.event())
		}
		s.send(s.now, batch...)
		for _, e := range batch {
			s.sent, s.told = append(s.sent, e), append(s.told, s.now)
		}
		if e, ok := s.again(); ok && s.chance(10) {
			s.send(s.now, e)
		}
		switch {
		case s.chance(6):
			s.flush(s.chance(50))
		case s.chance(2):
			s.drop(s.now, pick(s.r, []analytics.Reason{analytics.DropBot, analytics.DropCountry}), uint64(1+s.r.IntN(5)))
		case s.chance(2) && len(s.ledger.visits) > 0 && !s.keeps:
			v := pick(s.r, s.ledger.visits)
			s.erase(s.now, v.visitor, v.filed)
			s.beginsRight()
		case s.chance(1) && len(s.ledger.visits) > 0 && !s.keeps:
			s.retain(s.now, pick(s.r, []int32{column.DayOf(s.now - s.r.Int64N(30*dayMS)), column.DayOf(s.familiar().active)}))
		case s.chance(1) && s.chance(20):
			s.days = s.days.anew()
		}
	}
}

// hold asks a question of both and compares the answers.
func (s *story) hold(q *query.Question, where string) (rows int) {
	s.t.Helper()
	want := s.ledger.answer(q)
	p := s.picture()
	if s.chance(30) {
		p.Fan = nil
	}
	a, err := p.Ask(context.Background(), q)
	if err != nil {
		s.t.Fatalf("%s: %s\n%v", where, shownQuestion(q), err)
	}
	got := answerInWords(a)
	if diff := got.differs(want); diff != "" {
		s.t.Fatalf("%s: %s\n%s\ngot %d rows\n%s\nwant %d rows\n%s\nwarned of %v, want %v", where, shownQuestion(q), diff,
			got.total, strings.Join(got.lines, "\n"), want.total, strings.Join(want.lines, "\n"), got.warned, want.warned)
	}
	if a.Index != s.index {
		s.t.Fatalf("%s: the answer looks as far as %d, want %d", where, a.Index, s.index)
	}
	return len(a.Rows)
}

// unchanged checks what a cache of answers relies on: as long as the view gives the
// range the same version, the answer is the same.
func (s *story) unchanged(where string) {
	s.t.Helper()
	s.beginsRight()
	versions := s.machine.View().DayVersions()
	for k, d := range s.machine.View().Days {
		if want := version(s.machine.View(), d.Day); versions[k] != want {
			s.t.Fatalf("%s: day %d has version %d, want %d", where, d.Day, versions[k], want)
		}
	}
	for i := range s.watched {
		old := &s.watched[i]
		q := &old.question
		version, answer := s.machine.View().Version(q.From, q.To), s.ledger.answer(q)
		diff := answer.differs(old.answer)
		if old.index > 0 && (old.version > version || old.version == version && diff != "") {
			s.t.Fatalf("%s: %s\nversion %d at %d, %d at %d, but the answer is another one: %s", where, shownQuestion(q), old.version, old.index, version, s.index, diff)
		}
		if old.index > 0 && old.version == version && old.index < s.index {
			s.same++
		}
		old.index, old.version, old.answer = s.index, version, answer
	}
}

// watch chooses questions to be watched from now on.
func (s *story) watch(w *questioner) {
	s.watched = nil
	for range 6 {
		q := query.Question{Zone: w.zone, Metrics: plainMetrics, Dimensions: pick(s.r, [][]query.Dimension{nil, {query.EventPage}, {query.Source, query.EntryPage}})}
		if s.chance(50) {
			q.Zone = time.UTC
		}
		w.span(&q, s.begin, s.now)
		if d := s.r.Int64N(dayMS); q.To > q.From+d && s.chance(50) {
			q.To = q.From + d
		}
		if v := s.familiar(); s.chance(50) { // from the midnight, or to the one, over which a visit ran
			q.From = v.active - v.active%dayMS
			q.To = q.From + s.r.Int64N(2*dayMS) + 1
			if s.chance(30) {
				q.From, q.To = v.start()-s.r.Int64N(dayMS), v.start()-v.start()%dayMS+dayMS
			}
		}
		s.watched = append(s.watched, watched{question: q})
	}
	s.unchanged("")
}

func answerInWords(a *query.Answer) plainAnswer {
	out := plainAnswer{total: a.TotalRows}
	for _, r := range a.Rows {
		var words []string
		for _, v := range r.Values {
			words = append(words, shownFigure(v))
		}
		out.lines = append(out.lines, strings.Join(r.Dims, "|")+" = "+strings.Join(words, " "))
	}
	for _, m := range moneyMetrics {
		if w, ok := a.Warnings[m]; ok && w.Code == "no_single_revenue_currency" {
			out.warned = append(out.warned, string(m))
		}
	}
	if len(a.Warnings) != len(out.warned) {
		out.warned = append(out.warned, fmt.Sprint(a.Warnings))
	}
	slices.Sort(out.warned)
	return out
}

// differs names the first difference, "" if there is none.
func (a plainAnswer) differs(want plainAnswer) string {
	for i := range max(len(a.lines), len(want.lines)) {
		switch {
		case i >= len(a.lines):
			return fmt.Sprintf("row %d is missing: want %s", i, want.lines[i])
		case i >= len(want.lines):
			return fmt.Sprintf("row %d is too much: got %s", i, a.lines[i])
		case a.lines[i] != want.lines[i]:
			return fmt.Sprintf("row %d: got %s, want %s", i, a.lines[i], want.lines[i])
		}
	}
	if a.total != want.total {
		return fmt.Sprintf("got %d rows in all, want %d", a.total, want.total)
	}
	if fmt.Sprint(a.warned) != fmt.Sprint(want.warned) {
		return fmt.Sprintf("warned of %v, want %v", a.warned, want.warned)
	}
	return ""
}

// tale is how a story goes.
type tale struct {
	parts, events, questions int   // events and questions of a part, about
	step                     int64 // ms between entries, at most
}

const minuteMS = 60_000

// tales are the ways in which stories go: a lively day or two, a week or two, and a
// season, of which long ranges are asked so that what is remembered of many days
// at once is used; and one where questions come between any two events.
var tales = []tale{
	{4, 40, 45, 6 * minuteMS},
	{4, 50, 45, 40 * minuteMS},
	{30, 4, 6, 40 * minuteMS},
	{4, 50, 45, 8 * 60 * minuteMS},
	{3, 80, 60, 26 * 60 * minuteMS},
}

// total is what many stories were.
type total struct {
	deeds
	pairs, same, rows, empty, visits, merged, removed, overnight, tardy int
}

// tell runs one story: it comes in parts, and after each there are questions.
func (sum *total) tell(t testing.TB, seed uint64, how tale) {
	t.Helper()
	s := newStory(t, seed, how.step)
	w := &questioner{r: s.r, zone: zoneOf(pick(s.r, oracleZones)), goals: oracleGoals(), ledger: s.ledger}
	for part := range how.parts {
		s.goOn(len(s.sent) + how.events/2 + s.r.IntN(how.events))
		s.unchanged(fmt.Sprintf("seed %d part %d", seed, part))
		if part%6 == 1 || how.parts < 6 {
			s.watch(w)
		}
		for k := range how.questions {
			q := w.question(s.begin, s.now)
			rows := s.hold(&q, fmt.Sprintf("seed %d part %d question %d", seed, part, k))
			sum.pairs++
			if sum.rows += rows; rows == 0 {
				sum.empty++
			}
		}
		s.conserved()
	}
	sum.deeds.add(s.days.did)
	sum.same += s.same
	sum.visits += len(s.ledger.visits)
	sum.merged += s.ledger.merged
	sum.removed += s.ledger.removed
	sum.overnight += s.ledger.overnight
	sum.tardy += s.ledger.tardy
}

func TestAnswersEqualAPlainCountOverRawEvents(t *testing.T) {
	t.Parallel()
	want := oraclePairs
	if testing.Short() {
		want /= 10
	}
	var sum total
	for seed := uint64(0); sum.pairs < want; seed++ {
		sum.tell(t, seed, tales[seed%uint64(len(tales))])
	}
	t.Logf("%d rows, %d answers without any; %d visits, %d events after midnight, %d before the day under which their visit is filed, %d visits merged, %d removed",
		sum.rows, sum.empty, sum.visits, sum.overnight, sum.tardy, sum.merged, sum.removed)
	t.Logf("%d answers had to stay as they were while other days changed", sum.same)
	t.Logf("days: %d made anew, %d from an earlier state, %d taken as they were; %d times something remembered", sum.built, sum.advanced, sum.given, sum.recalled)
	for what, n := range map[string]int{"days made anew": sum.built, "days made from an earlier state": sum.advanced, "days taken as they were": sum.given,
		"things remembered": sum.recalled, "answers that stayed": sum.same, "answers with rows": sum.pairs - 2*sum.empty} {
		if n < want/20 {
			t.Errorf("hardly any %s: %d", what, n)
		}
	}
	for what, n := range map[string]int{"merged visits": sum.merged, "visits removed": sum.removed, "events after midnight": sum.overnight, "events before midnight": sum.tardy} {
		if n < want/4000 {
			t.Errorf("hardly any %s: %d", what, n)
		}
	}
	fmt.Printf("ORACLE %d pairs agree\n", sum.pairs)
}

// TestAnswersOfACrowdEqualAPlainCount asks about days of so many events that
// blocks of them are sealed, read back, and counted by several tasks.
func TestAnswersOfACrowdEqualAPlainCount(t *testing.T) {
	t.Parallel()
	const days, perDay, batch, questions = 3, 18_000, 300, 24
	s := newStory(t, 1<<32, 1)
	s.people = people{analytics.UniquesDaily, true}
	s.begin -= s.begin % dayMS
	for i := range days * perDay / batch {
		s.now = s.begin + int64(i)*days*dayMS/(days*perDay/batch)
		var evs []analytics.Event
		for range batch {
			s.id++
			e := randomEvent(s.r, s.now, s.id)
			e.Visitor = 1 + s.r.Uint64N(40)*s.r.Uint64N(40)
			if e.Time += s.r.Int64N(10 * minuteMS); s.chance(2) {
				e.Time, e.Explicit = max(s.begin, e.Time-s.r.Int64N(dayMS)), true
			}
			s.people.identify(&e)
			evs = append(evs, e)
		}
		s.send(s.now, evs...)
		if i%50 == 49 {
			s.flush(true)
		}
	}
	s.now += 2 * dayMS
	s.drop(s.now, analytics.DropBot, 1)
	s.flush(true)
	sealed, rows := 0, 0
	for _, d := range s.machine.View().Days {
		for _, e := range d.Events {
			if rows += e.Rows; e.Events == nil && e.Rows == site.EventsBlockRows {
				sealed++
			}
		}
		for _, g := range d.Sealed {
			rows += g.Events
			if g.Sealed == nil {
				sealed++
			}
		}
	}
	if sealed < days || rows < days*perDay/2 {
		t.Fatalf("%d full blocks and segments are on record, %d rows in all", sealed, rows)
	}
	for _, d := range [][]query.Dimension{nil, {query.EventPage, query.Source, query.Browser}, {query.Source, query.TimeHour}} {
		for _, lasting := range []bool{false, true} {
			s.hold(&query.Question{From: s.begin, To: s.now, Zone: time.UTC, Metrics: plainMetrics, Dimensions: d, Lasting: lasting}, "crowd")
		}
	}
	w := &questioner{r: s.r, zone: zoneOf("Europe/Berlin"), goals: oracleGoals(), ledger: s.ledger}
	for k := range questions {
		q := w.question(s.begin, s.now)
		s.hold(&q, fmt.Sprintf("crowd question %d", k))
		if k == questions/2 {
			s.id += 1
			e := randomEvent(s.r, s.begin+3600_000, s.id)
			e.Explicit, e.Kind = true, analytics.Pageview
			s.send(s.now, e)
			s.erase(s.now, s.ledger.visits[0].visitor, s.ledger.visits[0].filed)
		}
	}
	s.conserved()
	if s.days.did.concurrent < questions/10 {
		t.Errorf("only %d questions were counted by several tasks", s.days.did.concurrent)
	}
	t.Logf("%d rows; %d questions by several tasks", rows, s.days.did.concurrent)
}

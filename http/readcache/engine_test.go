package readcache

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// engine is a Source that is the real thing: a site's machine, its views and the
// evaluation of questions over them. For one goroutine.
type engine struct {
	machine *site.Machine
	records map[site.Ref][]byte
	days    *session.Plain
	index   uint64
	asked   int
}

func newEngine() *engine {
	e := &engine{machine: site.New(1), records: map[site.Ref][]byte{}}
	e.days = session.NewPlain(e)
	return e
}

func (e *engine) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(e.records[r])
}

func (e *engine) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(e.records[r])
}

func (e *engine) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(e.records[r], nil)
}

func (e *engine) Version(_ context.Context, _ analytics.SiteID, from, to int64, _ analytics.Token) (version, index uint64, err error) {
	view := e.machine.View()
	return view.Version(from, to), view.Index, nil
}

func (e *engine) Ask(ctx context.Context, _ analytics.SiteID, q *query.Question, _ analytics.Token) (*query.Answer, error) {
	e.asked++
	return (&query.Picture{View: e.machine.View(), Days: e.days}).Ask(ctx, q)
}

// send applies one event as an entry of the log.
func (e *engine) send(t *rapid.T, now int64, ev analytics.Event) {
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, 1)
	rd, err := entry.Open(entry.AppendEvent(buf, 1, &ev))
	if err != nil {
		t.Fatal(err)
	}
	items := make([]entry.Item, 1)
	if ok, err := rd.Next(&items[0]); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, r := range e.machine.Need(rd.Time, items) {
		if err := e.machine.Provide(r, e.records[r]); err != nil {
			t.Fatal(err)
		}
	}
	e.index++
	e.machine.Step(e.index, rd.Time, items, make([]analytics.Reason, 1))
}

// flush writes the records, which seals what is old enough and changes nothing.
func (e *engine) flush() {
	for _, w := range e.machine.Flush() {
		if w.Value == nil {
			delete(e.records, w.Ref)
		} else {
			e.records[w.Ref] = w.Value
		}
	}
}

const (
	minute   = int64(60_000)
	firstDay = 20_600 * column.DayMS
)

func drawEvent(t *rapid.T, id uint64, at int64) analytics.Event {
	name := rapid.SampledFrom([]string{"pageview", "pageview", "pageview", "buy", "engagement"}).Draw(t, "name")
	ev := analytics.Event{ID: id, Time: at, Explicit: true, Name: name, ScrollDepth: analytics.ScrollNone,
		Visitor: rapid.Uint64Range(1, 4).Draw(t, "visitor"), Named: rapid.Bool().Draw(t, "named"), Host: "example.com",
		Page:  rapid.SampledFrom([]string{"/", "/a", "/b"}).Draw(t, "page"),
		Place: analytics.Place{Country: rapid.SampledFrom([]string{"", "DE", "FR"}).Draw(t, "country")}}
	switch name {
	case "buy":
		ev.Kind, ev.Revenue = analytics.Custom, analytics.Revenue{Amount: 12_500_000, Currency: "EUR"}
	case "engagement":
		ev.Kind, ev.EngagedMS, ev.ScrollDepth = analytics.Engagement, 5000, 40
	}
	return ev
}

func drawEngineQuestion(t *rapid.T) *query.Question {
	from := firstDay + rapid.Int64Range(0, 4*24*60).Draw(t, "from")*minute
	q := &query.Question{From: from, To: from + rapid.Int64Range(1, 2*24*60).Draw(t, "minutes")*minute, Now: firstDay}
	q.Zone = mustZone(rapid.SampledFrom([]string{"UTC", "Asia/Kolkata", "America/New_York"}).Draw(t, "zone"))
	q.Metrics = rapid.SliceOfNDistinct(rapid.SampledFrom([]query.Metric{query.Visitors, query.Visits, query.Pageviews, query.Events, query.BounceRate, query.VisitDuration,
		query.ViewsPerVisit, query.ScrollDepth, query.TimeOnPage, query.TotalRevenue, query.Percentage, query.Entries, query.ExitRate}), 1, 5, rapid.ID[query.Metric]).Draw(t, "metrics")
	q.Dimensions = rapid.SliceOfNDistinct(rapid.SampledFrom([]query.Dimension{query.EventPage, query.Country, query.ExitPage, query.EventName}), 0, 2, rapid.ID[query.Dimension]).Draw(t, "dimensions")
	if rapid.Bool().Draw(t, "over time") {
		q.Dimensions = append(q.Dimensions, rapid.SampledFrom([]query.Dimension{query.TimeHour, query.TimeDay, query.TimeWeek}).Draw(t, "time"))
	}
	if rapid.Bool().Draw(t, "filtered") {
		q.Filter = &query.Filter{Op: query.Is, Dim: rapid.SampledFrom([]query.Dimension{query.EventPage, query.Country, query.EntryPage}).Draw(t, "of"),
			Values: []string{rapid.SampledFrom([]string{"/a", "DE", "(not set)"}).Draw(t, "value")}, Negated: rapid.Bool().Draw(t, "negated")}
	}
	q.Lasting = rapid.Bool().Draw(t, "lasting")
	return q
}

// Over the engine itself: after any views, late ones that merge visits among
// them, what the cache gives is what the engine gives.
func TestTheEnginesAnswersStayTrueInTheCache(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		e := newEngine()
		c := New(Options{Source: e, Bytes: 1})
		defer c.Close()
		questions := rapid.SliceOfN(rapid.Custom(drawEngineQuestion), 1, 4).Draw(t, "questions")
		now := int64(firstDay)
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += rapid.Int64Range(0, 5*60).Draw(t, "later") * minute
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				e.send(t, now, drawEvent(t, uint64(i)+1, now))
			case 1:
				late := rapid.Int64Range(0, 2*24*60).Draw(t, "late") * minute
				e.send(t, now, drawEvent(t, uint64(i)+1, max(firstDay, now-late)))
			case 2:
				e.flush()
			}
			for _, q := range questions {
				before := e.asked
				got, err := c.Ask(context.Background(), 1, q, analytics.Token{})
				if err != nil {
					t.Fatal(err)
				}
				if e.asked == before {
					hits++
				}
				want, err := e.Ask(context.Background(), 1, q, analytics.Token{})
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("step %d, question %s:\n%+v, want\n%+v", i, fmt.Sprintf("%+v", *q), *got, *want)
				}
			}
		}
	})
	if hits == 0 {
		t.Error("nothing was ever answered from the cache")
	}
}

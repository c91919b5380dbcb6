package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
)

// traffic is a site with its records in a map: the machine under test, and beside
// it the ledger of the oracle, which must agree on what becomes of each event.
type traffic struct {
	t       testing.TB
	machine *site.Machine
	records map[site.Ref][]byte
	ledger  *ledger
	index   uint64
	days    *fickle
	dropped map[analytics.Reason]uint64 // not counted, duplicates apart
	// accepted are events that reached the log for the first time, engaged those
	// engagements among them that were counted.
	accepted, engaged int
	sealed            int // parts of days
}

func newTraffic(t testing.TB) *traffic {
	tr := &traffic{t: t, machine: site.New(1), records: map[site.Ref][]byte{}, ledger: newLedger(), dropped: map[analytics.Reason]uint64{}}
	tr.days = newFickle(tr, 1)
	return tr
}

// picture shows the site as it is now. Heavy work is done at the same time.
func (tr *traffic) picture() *query.Picture {
	return &query.Picture{View: tr.machine.View(), Days: tr.days, Fan: tr.days.together}
}

// send applies events as one log entry and gives what became of each.
func (tr *traffic) send(now int64, evs ...analytics.Event) []analytics.Reason {
	tr.t.Helper()
	buf := newEntry(now)
	for i := range evs {
		buf = entry.AppendEvent(buf, 1, &evs[i])
	}
	out := tr.apply(buf)
	for i, got := range out {
		if want := tr.ledger.apply(evs[i], got); got != want {
			tr.t.Fatalf("event %d of entry %d, %+v: it is %q, want %q", i, tr.index, evs[i], got, want)
		}
		switch {
		case got == analytics.DropDuplicate:
			continue
		case got != analytics.Counted:
			tr.dropped[got]++
		case evs[i].Kind == analytics.Engagement:
			tr.engaged++
		}
		tr.accepted++
	}
	return out
}

// beginsRight checks the time of the first event.
func (tr *traffic) beginsRight() {
	tr.t.Helper()
	if first := tr.ledger.first(); tr.machine.First() != first {
		tr.t.Fatalf("after entry %d the first event is at %d, want %d", tr.index, tr.machine.First(), first)
	}
}

// drop counts events that an edge refused.
func (tr *traffic) drop(now int64, reason analytics.Reason, n uint64) {
	tr.t.Helper()
	tr.apply(entry.AppendDrop(newEntry(now), 1, reason.Number(), n, column.DayOf(now)))
	tr.dropped[reason] += n
}

// erase removes a visitor's visits that are filed under a day.
func (tr *traffic) erase(now int64, visitor uint64, day int32) {
	tr.t.Helper()
	if got := tr.apply(entry.AppendErase(newEntry(now), 1, visitor, day)); got[0] != analytics.Counted {
		tr.t.Fatalf("erase is %q", got[0])
	}
	wantVisits, wantEvents := tr.ledger.remove(func(v *bookedVisit) bool { return v.visitor == visitor && v.filed == day })
	visits, events, ok := tr.machine.Outcome(tr.index)
	if !ok || int(visits) != wantVisits || int(events) != wantEvents {
		tr.t.Fatalf("visitor %d of day %d: erased %d visits and %d events, want %d and %d", visitor, day, visits, events, wantVisits, wantEvents)
	}
}

// retain removes and closes the days before day.
func (tr *traffic) retain(now int64, day int32) {
	tr.t.Helper()
	want := analytics.Counted
	if day <= tr.ledger.kept {
		want = analytics.DropDuplicate
	}
	if got := tr.apply(entry.AppendRetain(newEntry(now), 1, day)); got[0] != want {
		tr.t.Fatalf("retain from %d is %q, want %q", day, got[0], want)
	}
	if want == analytics.Counted {
		tr.ledger.kept = day
		tr.ledger.remove(func(v *bookedVisit) bool { return v.filed < day })
	}
}

func newEntry(now int64) []byte {
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, 1)
	return buf
}

// apply steps the machine by one entry.
func (tr *traffic) apply(data []byte) []analytics.Reason {
	tr.t.Helper()
	rd, err := entry.Open(data)
	if err != nil {
		tr.t.Fatal(err)
	}
	var items []entry.Item
	for {
		var it entry.Item
		ok, err := rd.Next(&it)
		if err != nil {
			tr.t.Fatal(err)
		}
		if !ok {
			break
		}
		items = append(items, it)
	}
	for {
		need := tr.machine.Need(rd.Time, items)
		if len(need) == 0 {
			break
		}
		for _, r := range need {
			if err := tr.machine.Provide(r, tr.records[r]); err != nil {
				tr.t.Fatal(err)
			}
		}
	}
	tr.index++
	out := make([]analytics.Reason, len(items))
	tr.machine.Step(tr.index, rd.Time, items, out)
	return out
}

// flush writes the records; restart also forgets the machine and reads it back.
func (tr *traffic) flush(restart bool) {
	tr.t.Helper()
	tr.beginsRight()
	rule := site.SealRule{Hurry: tr.index%2 == 0}
	for p, ok := tr.machine.NextSeal(rule); ok && tr.index%3 > 0; p, ok = tr.machine.NextSeal(rule) {
		if err := tr.machine.SealPart(p, tr.records); err != nil {
			tr.t.Fatal(err)
		}
		tr.sealed++
	}
	for _, w := range tr.machine.Flush() {
		if w.Value == nil {
			delete(tr.records, w.Ref)
		} else {
			tr.records[w.Ref] = w.Value
		}
	}
	header, ok := tr.records[site.Ref{}]
	if !restart || !ok {
		return
	}
	m, window, err := site.Restore(1, header)
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, r := range window {
		if err := m.ProvideWindow(r, tr.records[r]); err != nil {
			tr.t.Fatal(err)
		}
	}
	tr.machine = m
}

// record gives a record that a view names. It may have been replaced since: then
// the day is made from another view.
func (tr *traffic) record(r site.Ref) ([]byte, error) {
	if b, ok := tr.records[r]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("there is no record %v", r)
}

func (tr *traffic) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	b, err := tr.record(r)
	if err != nil {
		return nil, err
	}
	return column.DecodeEvents(b)
}

func (tr *traffic) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	b, err := tr.record(r)
	if err != nil {
		return nil, err
	}
	return column.DecodeVisits(b)
}

func (tr *traffic) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	b, err := tr.record(r)
	if err != nil {
		return nil, err
	}
	return column.DecodeSealed(b, nil)
}

// conserved checks that what was refused is counted with its reason.
func (tr *traffic) conserved() {
	tr.t.Helper()
	got := map[analytics.Reason]uint64{}
	for _, day := range tr.machine.Drops() {
		for reason, n := range day {
			got[reason] += n
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(tr.dropped) {
		tr.t.Fatalf("dropped %v, want %v", got, tr.dropped)
	}
}

// The words that events are made of. Some mean different things in different
// places, so that one dimension cannot be taken for another unnoticed.
var (
	wordPages     = []string{"/", "/a", "/b", "/shop/x", "/shop/y/z", "/blog", "/Blog"}
	wordHosts     = []string{"example.com", "example.com", "shop.example.com", "(none)"}
	wordNames     = []string{"signup", "buy", "Buy", "404"}
	wordSources   = []string{"", "", "Google", "Bing", "google", "X"}
	wordReferrers = []string{"", "google.com/a", "x.com"}
	wordChannels  = []string{"", "Direct", "Organic Search"}
	wordTags      = []string{"", "", "spring", "Google", "cpc"}
	wordPlans     = []string{"", "pro", "Pro", "free", "/a"}
	wordCountries = []string{"", "DE", "US"}
	wordRegions   = []string{"", "DE-BE", "US-CA"}
	wordCities    = []string{"", "2950159", "5391959"}
	wordBrowsers  = []string{"", "Chrome", "Firefox"}
	wordVersions  = []string{"", "1.0", "126.0"}
	wordSystems   = []string{"", "Mac", "Windows"}
	wordDevices   = []string{"", "Desktop", "Mobile"}
	wordLanguages = []string{"", "de", "en"}
	wordScreens   = []string{"", "XS", "XL"}
	wordMoney     = []analytics.Revenue{{}, {Amount: 12_345_600, Currency: "EUR"}, {Amount: 1, Currency: "EUR"}, {Amount: 990_000, Currency: "EUR"},
		{Amount: -5_000_000, Currency: "EUR"}, {Amount: 7_000_000, Currency: "JPY"}}
)

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

// randomEvent is an event of one of a few visitors at time t.
func randomEvent(r *rand.Rand, t int64, id uint64) analytics.Event {
	e := analytics.Event{Kind: analytics.Pageview, Time: t, ID: id, Visitor: uint64(r.IntN(12)) + 1, Page: pick(r, wordPages), Host: pick(r, wordHosts),
		ScrollDepth: analytics.ScrollNone}
	e.Acquisition = analytics.Acquisition{Source: pick(r, wordSources), Referrer: pick(r, wordReferrers), Channel: pick(r, wordChannels), Medium: pick(r, wordTags),
		UTMSource: pick(r, wordTags), Campaign: pick(r, wordTags), Content: pick(r, wordTags), Term: pick(r, wordTags)}
	e.Place = analytics.Place{Country: pick(r, wordCountries), Region: pick(r, wordRegions), City: pick(r, wordCities)}
	e.Agent = analytics.Agent{Browser: pick(r, wordBrowsers), BrowserVersion: pick(r, wordVersions), OS: pick(r, wordSystems), OSVersion: pick(r, wordVersions),
		Device: pick(r, wordDevices)}
	e.Language, e.Screen = pick(r, wordLanguages), pick(r, wordScreens)
	switch r.IntN(7) {
	case 0, 1:
		e.Kind, e.Name, e.NonInteractive = analytics.Custom, pick(r, wordNames), r.IntN(2) == 0
		e.Revenue = pick(r, wordMoney)
		if r.IntN(3) > 0 && e.Revenue.Currency != "" {
			e.Revenue.Currency = "EUR"
		}
	case 2:
		e.Kind, e.EngagedMS = analytics.Engagement, uint32(r.IntN(60000))
		if r.IntN(4) > 0 {
			e.ScrollDepth = uint8(r.IntN(101))
		}
	}
	for _, key := range []string{"plan", "size"} {
		if v := pick(r, wordPlans); v != "" && r.IntN(3) == 0 {
			e.Props = append(e.Props, analytics.Prop{Key: key, Value: v})
		}
	}
	return e
}

package query_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

// The laws of conservation need no oracle: whatever the figures are, they add up.

// sums asks for counts and adds up the rows.
func (s *story) sums(q query.Question) []float64 {
	s.t.Helper()
	a, err := s.picture().Ask(context.Background(), &q)
	if err != nil {
		s.t.Fatalf("%s: %v", shownQuestion(&q), err)
	}
	out := make([]float64, len(q.Metrics))
	for _, r := range a.Rows {
		for i, v := range r.Values {
			out[i] += v.Number
		}
	}
	return out
}

// addUp checks that the rows of a question by some dimensions add up to its total.
func (s *story) addUp(where string, q query.Question, by ...query.Dimension) {
	s.t.Helper()
	whole := q
	whole.Dimensions = nil
	q.Dimensions = by
	if got, want := s.sums(q), s.sums(whole); !slices.Equal(got, want) {
		s.t.Fatalf("%s: %s\nthe rows add up to %v, the total is %v", where, shownQuestion(&q), got, want)
	}
}

var (
	intervals = []query.Dimension{query.TimeHour, query.TimeDay, query.TimeWeek, query.TimeMonth}
	// Each visit has one value of these.
	partitions = []query.Dimension{query.Country, query.Region, query.City, query.CountryName, query.Browser, query.BrowserVersion, query.OS, query.OSVersion, query.Device,
		query.ScreenClass, query.Language, query.Source, query.Referrer, query.Channel, query.UTMMedium, query.UTMSource, query.UTMCampaign, query.UTMContent, query.UTMTerm,
		query.EntryPage, query.EntryPageHostname, query.ExitPage, query.ExitPageHostname}
	// And each event of these.
	eventPartitions = []query.Dimension{query.EventPage, query.EventHostname, query.EventName, query.PropsPrefix + "plan"}
)

func TestFiguresAreConserved(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		how := tales[seed%uint64(len(tales))]
		s := newStory(t, 1<<20+seed, how.step)
		w := &questioner{r: s.r, zone: zoneOf(pick(s.r, oracleZones)), goals: oracleGoals(), ledger: s.ledger}
		for part := range 4 {
			s.goOn(len(s.sent) + 50)
			for k := range 8 {
				where := fmt.Sprintf("seed %d part %d question %d", seed, part, k)
				ofEvents := query.Question{Zone: w.zone, Now: s.now, Metrics: []query.Metric{query.Pageviews, query.Events}}
				w.span(&ofEvents, s.begin, s.now)
				if s.chance(50) {
					ofEvents.Filter = w.tree(2, false, false)
				}
				if about(ofEvents.Filter, func(d query.Dimension) bool { return d == query.EventHostname }) {
					ofEvents.Filter = nil // beside visit dimensions it means something else
				}
				if ofEvents.To-ofEvents.From > 20*dayMS {
					ofEvents.To = ofEvents.From + 20*dayMS // hours of it are many rows
				}
				ofVisits := ofEvents
				ofVisits.Metrics = []query.Metric{query.Visits, query.Entries, query.Exits}
				ofVisits.Filter = nil
				if s.chance(50) {
					ofVisits.Filter = w.test(pick(s.r, partitions))
				}
				for _, d := range intervals {
					s.addUp(where, ofEvents, d)
					if d != query.TimeHour { // a visit is in each of its hours
						s.addUp(where, ofVisits, d)
					}
				}
				d := pick(s.r, partitions)
				s.addUp(where, ofEvents, pick(s.r, partitions))
				s.addUp(where, ofEvents, pick(s.r, eventPartitions))
				s.addUp(where, ofEvents, d, pick(s.r, eventPartitions), pick(s.r, intervals))
				s.addUp(where, ofVisits, d)
				s.addUp(where, ofVisits, pick(s.r, intervals[1:]), d)
				visits := ofEvents // with conditions on events too, a visit is in one row
				visits.Metrics = []query.Metric{query.Visits}
				s.addUp(where, visits, d)
				s.halves(where, ofEvents, d)
			}
		}
	}
}

// halves checks that what a test lets through and what it keeps out are all.
func (s *story) halves(where string, q query.Question, d query.Dimension) {
	s.t.Helper()
	value := visitValue(func() *bookedVisit { v := pick(s.r, s.ledger.visits); v.fill(); return v }(), d)
	if value == "" {
		value = missing(d)
	}
	rest := q
	q.Filter = &query.Filter{Op: query.And}
	if rest.Filter != nil {
		q.Filter.Children = []*query.Filter{rest.Filter}
	}
	other := q
	test := query.Filter{Op: query.Is, Dim: d, Values: []string{value}}
	not := test
	not.Negated = true
	other.Filter = &query.Filter{Op: query.And, Children: append(slices.Clone(q.Filter.Children), &not)}
	q.Filter = &query.Filter{Op: query.And, Children: append(slices.Clone(q.Filter.Children), &test)}
	a, b, all := s.sums(q), s.sums(other), s.sums(rest)
	for i := range all {
		if a[i]+b[i] != all[i] {
			s.t.Fatalf("%s: %s\n%v with %q and %v without it, %v in all", where, shownQuestion(&q), a, value, b, all)
		}
	}
}

func TestWhatIsAcceptedIsCountedOrDroppedWithAReason(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		s := newStory(t, 1<<21+seed, tales[seed%uint64(len(tales))].step)
		s.keeps = true
		for part := range 6 {
			s.goOn(len(s.sent) + 40)
			all := query.Question{Zone: time.UTC, From: 0, To: s.now + dayMS, Metrics: []query.Metric{query.Events}}
			counted := s.sums(all)[0]
			dropped := uint64(0)
			for _, day := range s.machine.Drops() {
				for _, n := range day {
					dropped += n
				}
			}
			told := s.accepted + int(s.dropped[analytics.DropBot]+s.dropped[analytics.DropCountry])
			if got := int(counted) + s.engaged + int(dropped); got != told {
				t.Fatalf("seed %d part %d: %v events and %d engagements counted, %d dropped, %d told of", seed, part, counted, s.engaged, dropped, told)
			}
			s.conserved()
		}
	}
}

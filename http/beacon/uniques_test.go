package beacon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/enrich/visitor"
)

// longLived adds sites whose visitors keep their ids for longer.
func longLived(o *Options) {
	d := o.Directory.(directory)
	d["daily.dev"] = &analytics.Site{ID: 11, Domain: "daily.dev", Org: 1, Uniques: analytics.UniquesDaily}
	d["weekly.dev"] = &analytics.Site{ID: 12, Domain: "weekly.dev", Org: 1, Uniques: analytics.UniquesWeekly}
	d["monthly.dev"] = &analytics.Site{ID: 13, Domain: "monthly.dev", Org: 1, Uniques: analytics.UniquesMonthly}
}

func TestVisitorsAreToldApartBySaltsOfTheSitesPolicy(t *testing.T) {
	s := &salts{current: [16]byte{1}, previous: [16]byte{2}}
	f := newFixture(t, func(o *Options) { longLived(o); o.Salts = s })
	id := func(salt *[16]byte, site analytics.SiteID, domain string) uint64 {
		if salt == nil {
			return 0
		}
		return visitor.ID(salt, site, netip.MustParseAddr("203.0.113.1"), []byte(browser), domain)
	}
	for _, c := range []struct {
		domain string
		site   analytics.SiteID
		salts  func(int64) (current, previous *[16]byte)
	}{
		{"example.com", 1, s.At}, {"daily.dev", 11, s.At}, {"weekly.dev", 12, s.Weekly}, {"monthly.dev", 13, s.Monthly},
	} {
		current, previous := c.salts(noon)
		f.send("POST /api/event", fmt.Sprintf(`{"n":"pageview","u":"https://%s/","d":"%s"}`, c.domain, c.domain), "X-Forwarded-For", "203.0.113.1")
		ev := f.last()
		want(t, c.domain, [2]uint64{ev.Visitor, ev.Previous}, [2]uint64{id(current, c.site, c.domain), id(previous, c.site, c.domain)})
	}
	// One hit for all of them does not carry an id from one site to the next.
	f.send("POST /api/event", `{"n":"pageview","u":"https://daily.dev/","d":"weekly.dev,monthly.dev,daily.dev"}`, "X-Forwarded-For", "203.0.113.1")
	month := f.book.events[len(f.book.events)-2]
	want(t, "the site in the middle", [2]uint64{month.Visitor, month.Previous}, [2]uint64{id(longer(s.current, 'm'), 13, "daily.dev"), 0})
}

// Events that bring their time are told apart by the period of it.
func TestVisitorsOfImportedEventsKeepTheirIdsAsTheSiteSays(t *testing.T) {
	f := newFixture(t, longLived)
	ids := func(domain, at string) [2]uint64 {
		t.Helper()
		resp := f.sendAs(writer, "POST /v1/events", fmt.Sprintf(`[{"site":%q,"url":"https://%s/","ip":"203.0.113.1","user_agent":%q,"timestamp":%q}]`, domain, domain, browser, at))
		if resp.StatusCode() != 202 {
			t.Fatalf("%d %s", resp.StatusCode(), resp.Body())
		}
		return [2]uint64{f.last().Visitor, f.last().Previous}
	}
	for _, c := range []struct {
		domain, at, other string
		same              bool // one id at both times
		joins             bool // the id of at is the previous one at other
	}{
		{"daily.dev", "2026-03-02T10:00:00Z", "2026-03-02T23:59:59Z", true, false},
		{"daily.dev", "2026-03-02T10:00:00Z", "2026-03-03T00:00:00Z", false, true},
		{"daily.dev", "2026-03-02T10:00:00Z", "2026-03-03T23:59:59Z", false, true},
		{"daily.dev", "2026-03-02T10:00:00Z", "2026-03-04T00:00:00Z", false, false},

		{"weekly.dev", "2026-03-02T00:00:00Z", "2026-03-08T23:59:59Z", true, false}, // Monday to Sunday
		{"weekly.dev", "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z", false, true},
		{"weekly.dev", "2026-02-23T00:00:00Z", "2026-03-02T23:59:59Z", false, true},
		{"weekly.dev", "2026-03-01T23:59:59Z", "2026-03-03T00:00:00Z", false, false},
		{"weekly.dev", "2025-12-29T00:00:00Z", "2026-01-04T12:00:00Z", true, false}, // over the new year
		{"weekly.dev", "1996-07-01T00:00:00Z", "1996-07-07T12:00:00Z", true, false},

		{"monthly.dev", "2026-02-01T00:00:00Z", "2026-02-28T23:59:59Z", true, false},
		{"monthly.dev", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59Z", true, false},
		{"monthly.dev", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", false, true},
		{"monthly.dev", "2025-12-01T00:00:00Z", "2026-01-01T23:59:59Z", false, true},
		{"monthly.dev", "2025-12-31T23:59:59Z", "2026-01-02T00:00:00Z", false, false},
		{"monthly.dev", "2025-11-30T23:59:59Z", "2026-01-01T00:00:00Z", false, false},
	} {
		a, b := ids(c.domain, c.at), ids(c.domain, c.other)
		if same, joins := a[0] == b[0], a[0] == b[1]; same != c.same || joins != c.joins || a[0] == 0 || b[0] == 0 {
			t.Errorf("%s at %s and %s: the same visitor %t, want %t; joins %t, want %t", c.domain, c.at, c.other, same, c.same, joins, c.joins)
		}
	}
}

// Every hour of many years is in the period that the calendar says.
func TestPeriodsFollowTheCalendar(t *testing.T) {
	number := func(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }
	for now := time.UnixMilli(analytics.TimeMin).UTC(); now.Year() < 2050; now = now.Add(23 * time.Hour) {
		midnight := now.Truncate(24 * time.Hour)
		monday := midnight.AddDate(0, 0, -(int(now.Weekday())+6)%7)
		first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
		for u, want := range map[analytics.Uniques][2]time.Time{
			"": {midnight, midnight.AddDate(0, 0, -1)}, analytics.UniquesDaily: {midnight, midnight.AddDate(0, 0, -1)},
			analytics.UniquesWeekly: {monday, monday.AddDate(0, 0, -7)}, analytics.UniquesMonthly: {first, first.AddDate(0, -1, 0)},
		} {
			start, before, turning := periodOf(u, now.UnixMilli())
			if start != number(want[0]) || before != number(want[1]) || turning != (now.Sub(want[0]) < 24*time.Hour) {
				t.Fatalf("%v, %q: %d after %d, turning %t", now, u, start, before, turning)
			}
		}
	}
}

// fixedSalts gives the same salts for ever, without allocating any.
type fixedSalts struct{ a, b [16]byte }

func (s *fixedSalts) At(int64) (current, previous *[16]byte)      { return &s.a, &s.b }
func (s *fixedSalts) Weekly(int64) (current, previous *[16]byte)  { return &s.a, &s.b }
func (s *fixedSalts) Monthly(int64) (current, previous *[16]byte) { return &s.a, nil }

func TestAViewAllocatesNothingWhateverThePolicy(t *testing.T) {
	for _, domain := range []string{"daily.dev", "weekly.dev", "monthly.dev"} {
		run, s := hotWith(t, fmt.Sprintf(`{"n":"pageview","u":"https://%s/","d":%q}`, domain, domain), nil, longLived, func(o *Options) { o.Salts = &fixedSalts{} })
		if n := testing.AllocsPerRun(1000, run); n != 0 || s.n == 0 {
			t.Errorf("%s: %v allocations, %d recorded", domain, n, s.n)
		}
	}
}

package partner

import (
	"encoding/json"
	"testing"
	"time"

	"footfall/analytics/query"
)

func TestDateRangesAreResolvedInTheSitesZone(t *testing.T) {
	for _, c := range []struct {
		zone, now, value string
		from, to         string // as echoed, both included
		time             query.Dimension
	}{
		// Berlin, a Wednesday afternoon.
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"day"`, "2026-05-13T00:00:00+02:00", "2026-05-13T23:59:59+02:00", query.TimeHour},
		{"Europe/Berlin", "2026-05-13T22:30:00Z", `"day"`, "2026-05-14T00:00:00+02:00", "2026-05-14T23:59:59+02:00", query.TimeHour},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"24h"`, "2026-05-12T14:30:00+02:00", "2026-05-13T14:30:00+02:00", query.TimeHour},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"realtime"`, "2026-05-13T14:25:00+02:00", "2026-05-13T14:30:00+02:00", query.TimeMinute},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"30m"`, "2026-05-13T14:00:00+02:00", "2026-05-13T14:30:00+02:00", query.TimeMinute},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"7d"`, "2026-05-06T00:00:00+02:00", "2026-05-12T23:59:59+02:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"28d"`, "2026-04-15T00:00:00+02:00", "2026-05-12T23:59:59+02:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"91d"`, "2026-02-11T00:00:00+01:00", "2026-05-12T23:59:59+02:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"1d"`, "2026-05-12T00:00:00+02:00", "2026-05-12T23:59:59+02:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"month"`, "2026-05-01T00:00:00+02:00", "2026-05-31T23:59:59+02:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"year"`, "2026-01-01T00:00:00+01:00", "2026-12-31T23:59:59+01:00", query.TimeMonth},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"6mo"`, "2025-11-01T00:00:00+01:00", "2026-04-30T23:59:59+02:00", query.TimeMonth},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"12mo"`, "2025-05-01T00:00:00+02:00", "2026-04-30T23:59:59+02:00", query.TimeMonth},
		{"Europe/Berlin", "2026-03-31T12:30:00Z", `"1mo"`, "2026-02-01T00:00:00+01:00", "2026-02-28T23:59:59+01:00", query.TimeMonth},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `"all"`, "2026-02-10T00:00:00+01:00", "2026-05-13T23:59:59+02:00", query.TimeMonth},
		{"Europe/Berlin", "2026-02-20T12:30:00Z", `"all"`, "2026-02-10T00:00:00+01:00", "2026-02-20T23:59:59+01:00", query.TimeDay},
		{"Europe/Berlin", "2026-02-10T12:30:00Z", `"all"`, "2026-02-10T00:00:00+01:00", "2026-02-10T23:59:59+01:00", query.TimeHour},
		// The days of a change of the clock.
		{"Europe/Berlin", "2026-03-29T12:00:00Z", `"day"`, "2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00", query.TimeHour},
		{"Europe/Berlin", "2026-10-25T12:00:00Z", `"day"`, "2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00", query.TimeHour},
		{"America/Santiago", "2025-09-07T12:00:00Z", `"day"`, "2025-09-07T01:00:00-03:00", "2025-09-07T23:59:59-03:00", query.TimeHour},
		{"America/Santiago", "2025-04-06T12:00:00Z", `"1d"`, "2025-04-05T00:00:00-03:00", "2025-04-05T23:59:59-04:00", query.TimeDay},
		{"America/Havana", "2025-11-02T18:00:00Z", `"day"`, "2025-11-02T00:00:00-05:00", "2025-11-02T23:59:59-05:00", query.TimeHour},
		{"America/Havana", "2025-11-02T18:00:00Z", `"1d"`, "2025-11-01T00:00:00-04:00", "2025-11-01T23:59:59-04:00", query.TimeDay},
		{"Asia/Kolkata", "2026-05-13T18:29:59Z", `"day"`, "2026-05-13T00:00:00+05:30", "2026-05-13T23:59:59+05:30", query.TimeHour},
		{"Asia/Kolkata", "2026-05-13T18:30:00Z", `"day"`, "2026-05-14T00:00:00+05:30", "2026-05-14T23:59:59+05:30", query.TimeHour},
		{"Australia/Lord_Howe", "2026-04-05T03:00:00Z", `"day"`, "2026-04-05T00:00:00+11:00", "2026-04-05T23:59:59+10:30", query.TimeHour},
		// Two dates, two times.
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `["2026-01-01","2026-01-01"]`, "2026-01-01T00:00:00+01:00", "2026-01-01T23:59:59+01:00", query.TimeHour},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `["2026-01-01","2026-01-31"]`, "2026-01-01T00:00:00+01:00", "2026-01-31T23:59:59+01:00", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `["2026-01-01","2026-02-01"]`, "2026-01-01T00:00:00+01:00", "2026-02-01T23:59:59+01:00", query.TimeMonth},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `["2026-05-01T12:00:00+02:00","2026-05-01T15:59:59+02:00"]`, "2026-05-01T12:00:00+02:00", "2026-05-01T15:59:59+02:00", query.TimeHour},
		{"Asia/Kolkata", "2026-05-13T12:30:00Z", `["2026-05-01T00:00:00Z","2026-05-02T00:00:00Z"]`, "2026-05-01T05:30:00+05:30", "2026-05-02T05:30:00+05:30", query.TimeDay},
		{"Europe/Berlin", "2026-05-13T12:30:00Z", `["2026-05-01T12:00:00","2026-05-01T13:00:00"]`, "2026-05-01T12:00:00+02:00", "2026-05-01T13:00:00+02:00", query.TimeHour},
	} {
		t.Run(c.zone+" "+c.value+" at "+c.now, func(t *testing.T) {
			w := newWorld(t)
			w.sites["example.com"] = site(t, 1, "example.com", c.zone, 1, false)
			w.now = time.UnixMilli(at(t, c.now))
			got := w.query(`{"site_id":"example.com","metrics":["visitors"],"date_range":` + c.value + `,"dimensions":["time"]}`)
			var echo struct {
				Query struct {
					DateRange  []string `json:"date_range"`
					Dimensions []query.Dimension
				}
			}
			if err := json.Unmarshal([]byte(got.body), &echo); got.status != 200 || err != nil {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if echo.Query.DateRange[0] != c.from || echo.Query.DateRange[1] != c.to || echo.Query.Dimensions[0] != c.time {
				t.Errorf("got %v by %v\nwant %s … %s by %s", echo.Query.DateRange, echo.Query.Dimensions, c.from, c.to, c.time)
			}
			q := w.asker.asked[0]
			wantTo := at(t, c.to) + 1000
			switch c.value {
			case `"24h"`, `"30m"`, `"realtime"`:
				wantTo = w.now.UnixMilli() + 1 // an event of this very millisecond is in it
			}
			if q.From != at(t, c.from) || q.To != wantTo {
				t.Errorf("asked for [%d, %d), want [%d, %d)", q.From, q.To, at(t, c.from), wantTo)
			}
		})
	}
}

func TestASiteWithoutEventsHasADayOfAll(t *testing.T) {
	w := newWorld(t)
	delete(w.firsts, 1)
	w.query(`{"site_id":"example.com","metrics":["visitors"],"date_range":"all"}`)
	if q := w.asker.asked[0]; q.From != at(t, "2026-05-13T00:00:00+02:00") || q.To != at(t, "2026-05-14T00:00:00+02:00") {
		t.Errorf("asked for [%d, %d)", q.From, q.To)
	}
}

func TestOnlyRangesThatAreNowAreTrimmed(t *testing.T) {
	for _, c := range []struct{ value, to string }{
		{`"day"`, "2026-05-13T15:00:00+02:00"},
		{`"month"`, "2026-05-14T00:00:00+02:00"},
		{`"year"`, "2026-05-14T00:00:00+02:00"},
		{`"7d"`, "2026-05-13T00:00:00+02:00"},
		{`["2026-05-01","2026-05-31"]`, "2026-06-01T00:00:00+02:00"},
	} {
		w := newWorld(t)
		w.query(`{"site_id":"example.com","metrics":["visitors"],"date_range":` + c.value + `,"include":{"trim_relative_date_range":true}}`)
		if q := w.asker.asked[0]; q.To != at(t, c.to) {
			t.Errorf("%s ends at %s, want %s", c.value, stamp(q.To, q.Zone), c.to)
		}
	}
}

func TestTheLastMinutesAreCutIntoMinutes(t *testing.T) {
	for _, c := range []struct {
		value       string
		labels      int
		first, last string
	}{
		{`"realtime"`, 6, "2026-05-13 14:25:00", "2026-05-13 14:30:00"},
		{`"30m"`, 31, "2026-05-13 14:00:00", "2026-05-13 14:30:00"},
	} {
		w := newWorld(t)
		got := w.query(`{"site_id":"example.com","metrics":["visitors"],"date_range":` + c.value + `,"dimensions":["time:minute"],"include":{"time_labels":true}}`)
		var body struct {
			Meta struct {
				Labels []string `json:"time_labels"`
			}
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if l := body.Meta.Labels; len(l) != c.labels || l[0] != c.first || l[len(l)-1] != c.last {
			t.Errorf("%s: %q", c.value, l)
		}
	}
}

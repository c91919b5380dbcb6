package calendar

import (
	"testing"
	"time"
)

func date(t testing.TB, s string) Date {
	t.Helper()
	d, ok := ParseDate(s)
	if !ok {
		t.Fatalf("date %q", s)
	}
	return d
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ got, want any }{
		{date(t, "2024-01-31").AddMonths(1).String(), "2024-02-29"},
		{date(t, "2025-01-31").AddMonths(1).String(), "2025-02-28"},
		{date(t, "2024-02-29").AddMonths(-12).String(), "2023-02-28"},
		{date(t, "2025-11-30").AddMonths(3).String(), "2026-02-28"},
		{date(t, "2025-12-31").AddDays(1).String(), "2026-01-01"},
		{date(t, "2024-02-10").MonthDays(), 29},
		{date(t, "2026-02-10").MonthStart().String(), "2026-02-01"},
		{date(t, "2026-02-10").MonthLabel(), "2026-02"},
		{date(t, "2026-02-10").DaysUntil(date(t, "2026-03-10")), 28},
		{date(t, "2026-02-10").DaysUntil(date(t, "2026-02-09")), -1},
		{date(t, "2025-11-10").MonthsUntil(date(t, "2026-02-01")), 3},
		{date(t, "2026-02-10").Before(date(t, "2026-02-11")), true},
		{date(t, "2026-11-23").Weekday(), time.Monday},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	for _, bad := range []string{"", "2026-02-30", "2026-2-3", "26-02-03", "2026-02-03T00:00:00Z"} {
		if d, ok := ParseDate(bad); ok {
			t.Errorf("%q is read as %v", bad, d)
		}
	}
}

func TestThePeriodBeforeAndTheYearBefore(t *testing.T) {
	z := zone(t, "Europe/Berlin")
	days := func(a, b string) Period { return DayPeriod(date(t, a), date(t, b), z) }
	for _, c := range []struct {
		name        string
		got         Period
		first, last string
	}{
		{"7 days", days("2026-03-30", "2026-04-05").Previous(), "2026-03-23", "2026-03-29"},
		{"one day", days("2026-03-29", "2026-03-29").Previous(), "2026-03-28", "2026-03-28"},
		{"a month", MonthPeriod(date(t, "2026-03-17"), 1, z).Previous(), "2026-02-01", "2026-02-28"},
		{"a year", MonthPeriod(date(t, "2026-01-01"), 12, z).Previous(), "2025-01-01", "2025-12-31"},
		{"7 days a year before", days("2026-03-30", "2026-04-05").YearBefore(), "2025-03-30", "2025-04-05"},
		{"a leap day", days("2024-02-29", "2024-02-29").YearBefore(), "2023-02-28", "2023-02-28"},
		{"February a year before", MonthPeriod(date(t, "2025-02-01"), 1, z).YearBefore(), "2024-02-01", "2024-02-29"},
		{"weekday, backwards", days("2026-03-02", "2026-03-31").Previous().MatchWeekday(days("2026-03-02", "2026-03-31")), "2026-01-26", "2026-02-24"},
		{"weekday, nearest", days("2026-03-30", "2026-04-05").YearBefore().MatchWeekday(days("2026-03-30", "2026-04-05")), "2025-03-31", "2025-04-06"},
	} {
		want := days(c.first, c.last)
		if c.got.From != want.From || c.got.To != want.To || c.got.First != want.First || c.got.Last != want.Last {
			t.Errorf("%s: got %v…%v, want %v…%v", c.name, c.got.First, c.got.Last, want.First, want.Last)
		}
	}
	if got := days("2026-03-29", "2026-03-29"); got.To-got.From != 23*3600_000 {
		t.Errorf("29 March has %d ms", got.To-got.From)
	}
	p := Span(1000_000, 4000_000, z)
	if q := p.Previous(); q.From != -2000_000 || q.To != 1000_000 {
		t.Errorf("span: %+v", q)
	}
	now := utc(t, "2026-05-10 10:30")
	if q := Span(now, now+1000, z).YearBefore(); q.From != utc(t, "2025-05-10 10:30") || q.To-q.From != 1000 {
		t.Errorf("span a year before: %+v", q)
	}
}

func TestAPartialPeriodIsComparedWithTheSamePart(t *testing.T) {
	z := zone(t, "Europe/Berlin")
	for _, c := range []struct {
		name     string
		main     Period
		now      string // UTC
		other    func(Period) Period
		from, to string // UTC
	}{
		{"today and yesterday", DayPeriod(date(t, "2026-05-10"), date(t, "2026-05-10"), z), "2026-05-10 12:30", Period.Previous, "2026-05-08 22:00", "2026-05-09 12:30"},
		{"today and a day of 25 hours", DayPeriod(date(t, "2026-10-26"), date(t, "2026-10-26"), z), "2026-10-26 09:00", Period.Previous, "2026-10-24 22:00", "2026-10-25 09:00"},
		{"this month and the one before", MonthPeriod(date(t, "2026-11-01"), 1, z), "2026-11-23 14:00", Period.Previous, "2026-09-30 22:00", "2026-10-23 13:00"},
		{"late March and all of February", MonthPeriod(date(t, "2026-03-01"), 1, z), "2026-03-30 10:00", Period.Previous, "2026-01-31 23:00", "2026-02-28 23:00"},
		{"this year and the one before", MonthPeriod(date(t, "2026-01-01"), 12, z), "2026-11-23 14:00", Period.YearBefore, "2024-12-31 23:00", "2025-11-23 14:00"},
		{"what has ended stays whole", DayPeriod(date(t, "2026-05-09"), date(t, "2026-05-09"), z), "2026-05-10 12:30", Period.Previous, "2026-05-07 22:00", "2026-05-08 22:00"},
	} {
		got := c.other(c.main).SamePart(c.main, utc(t, c.now))
		if got.From != utc(t, c.from) || got.To != utc(t, c.to) {
			t.Errorf("%s: got %s … %s, want %s … %s", c.name, time.UnixMilli(got.From).UTC(), time.UnixMilli(got.To).UTC(), c.from, c.to)
		}
	}
	main := Span(0, 1000, z)
	if got := main.Previous().SamePart(main, 400); got.From != -1000 || got.To != -600 {
		t.Errorf("span: %+v", got)
	}
}

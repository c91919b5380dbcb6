package partner

import (
	"strconv"
	"strings"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// Bounds of what may be asked for. The dialect's own are the first two.
const (
	rangeDaysMax   = 5000
	rangeMonthsMax = 100
	bucketsMax     = 150_000
	minuteMS       = int64(time.Minute / time.Millisecond)
	hourMS         = 60 * minuteMS
	dayMS          = 24 * hourMS
)

// dateRange is a resolved range and the time dimension that "time" means in it.
type dateRange struct {
	calendar.Period
	time query.Dimension
	name string // the relative name; "" for two dates or times
}

// periodAt resolves a range of the dialect, a name or a pair, as seen at now; at
// is where it stands in the query, for the error.
func periodAt(at string, v any, now int64, first func() int64, zone *time.Location) (r dateRange, err error) {
	ok := false
	switch v := v.(type) {
	case string:
		r, ok = relativeRange(v, now, first, zone)
	case []any:
		if len(v) != 2 {
			break
		}
		from, isText := v[0].(string)
		to, isTextToo := v[1].(string)
		if isText && isTextToo {
			r, ok = customRange(from, to, zone)
		}
	}
	if !ok {
		return r, invalid("%s: Invalid date range %s", at, cut(text(v)))
	}
	return r, nil
}

// relativeRange resolves a named range as seen at now. first gives the Unix ms
// of the first event, for "all".
func relativeRange(name string, now int64, first func() int64, zone *time.Location) (dateRange, bool) {
	today := calendar.DateOf(now, zone)
	r := dateRange{name: name, time: query.TimeDay}
	switch name {
	case "day":
		r.Period, r.time = calendar.DayPeriod(today, today, zone), query.TimeHour
	case "24h":
		r.Period, r.time = calendar.Span(now-24*hourMS, now+1, zone), query.TimeHour
	case "realtime":
		r.Period, r.time = calendar.Span(now-5*minuteMS, now+1, zone), query.TimeMinute
	case "30m":
		r.Period, r.time = calendar.Span(now-30*minuteMS, now+1, zone), query.TimeMinute
	case "month":
		r.Period = calendar.MonthPeriod(today, 1, zone)
	case "year":
		r.Period, r.time = calendar.MonthPeriod(calendar.Date{Year: today.Year, Month: time.January, Day: 1}, 12, zone), query.TimeMonth
	case "all":
		from := calendar.DateOf(min(first(), now), zone)
		r.Period, r.time = calendar.DayPeriod(from, today, zone), timeBetween(from, today)
	default:
		if n, ok := count(name, "mo", rangeMonthsMax); ok {
			r.Period, r.time = calendar.MonthPeriod(today.MonthStart().AddMonths(-n), n, zone), query.TimeMonth
			return r, true
		}
		n, ok := count(name, "d", rangeDaysMax)
		if !ok {
			return dateRange{}, false
		}
		r.Period = calendar.DayPeriod(today.AddDays(-n), today.AddDays(-1), zone)
	}
	return r, true
}

// count reads "12mo" for unit "mo"; the number is from 1 to most, without a
// leading zero.
func count(s, unit string, most int) (int, bool) {
	digits, ok := strings.CutSuffix(s, unit)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 1 && n <= most && strconv.Itoa(n) == digits
}

// timeBetween gives the width of buckets that suits two dates.
func timeBetween(first, last calendar.Date) query.Dimension {
	switch {
	case !last.Before(first.AddMonths(1)):
		return query.TimeMonth
	case first.Before(last):
		return query.TimeDay
	}
	return query.TimeHour
}

// customRange resolves two dates or two times, both included.
func customRange(first, last string, zone *time.Location) (dateRange, bool) {
	a, okA := calendar.ParseDate(first)
	b, okB := calendar.ParseDate(last)
	if okA && okB {
		if b.Before(a) || !inCalendar(a) || !inCalendar(b) {
			return dateRange{}, false
		}
		return dateRange{Period: calendar.DayPeriod(a, b, zone), time: timeBetween(a, b)}, true
	}
	from, okA := instant(first, zone)
	to, okB := instant(last, zone)
	if !okA || !okB || to.Before(from) {
		return dateRange{}, false
	}
	end := to.Truncate(time.Second).Add(time.Second) // the last second is included
	p := calendar.Span(from.UnixMilli(), end.UnixMilli(), zone)
	a, b = calendar.DateOf(p.From, zone), calendar.DateOf(p.To-1, zone)
	return dateRange{Period: p, time: timeBetween(a, b)}, inCalendar(a) && inCalendar(b)
}

// inCalendar keeps dates to years that can be written with four digits.
func inCalendar(d calendar.Date) bool { return d.Year >= 1900 && d.Year <= 2999 }

// instant reads an ISO 8601 time; without an offset it is of the zone.
func instant(s string, zone *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", s, zone)
	return t, err == nil
}

// trimmed cuts a range that is named after the day, month or year in which it
// is now: the day after the current hour, the others after today.
func (r dateRange) trimmed(now int64) dateRange {
	if !r.Partial(now) {
		return r
	}
	zone := r.Zone()
	today := calendar.DateOf(now, zone)
	switch r.name {
	case "day":
		for _, b := range calendar.Buckets(r.From, r.To, calendar.Hour, zone) {
			if b.From <= now && now < b.To {
				r.To = b.To
			}
		}
	case "month", "year":
		r.To = calendar.DayPeriod(r.First, today, zone).To
	}
	return r
}

// checkBuckets refuses a time dimension that would cut the range too finely.
func checkBuckets(r dateRange, dims []query.Dimension) error {
	for _, d := range dims {
		if width := widthOf(d); width > 0 && (r.To-r.From)/width > bucketsMax {
			return analytics.Errorf(analytics.Invalid, "#/date_range: too long for %s, at most %d buckets", d, bucketsMax)
		}
	}
	return nil
}

// widthOf gives the least width of a time dimension's buckets in ms; 0 for any
// other dimension.
func widthOf(d query.Dimension) int64 {
	switch d {
	case query.TimeMinute:
		return minuteMS
	case query.TimeHour:
		return hourMS
	case query.TimeDay:
		return 23 * hourMS
	case query.TimeWeek:
		return 7 * dayMS
	case query.TimeMonth:
		return 28 * dayMS
	}
	return 0
}

// stamp writes an instant with the zone's offset, as the dialect echoes it.
func stamp(ms int64, zone *time.Location) string {
	return time.UnixMilli(ms).In(zone).Format("2006-01-02T15:04:05-07:00")
}

// stamps writes both ends of a period, the last second included.
func stamps(p calendar.Period) [2]string {
	end := p.To - 1
	return [2]string{stamp(p.From, p.Zone()), stamp(max(end, p.From), p.Zone())}
}

package calendar

import "time"

// Unit says in what a period is measured, and so what the one before it is.
type Unit uint8

const (
	Instants Unit = iota // a span of time: as many milliseconds before
	Days                 // local dates: as many days before
	Months               // whole months: as many months before
)

// Period is what was asked about: a half-open span of Unix ms, with the local
// dates that it is made of. First and Last, both included, are set for Days
// and Months.
type Period struct {
	From, To    int64
	Unit        Unit
	First, Last Date
	zone        *time.Location
}

// Span is the period [from, to) of Unix ms.
func Span(from, to int64, zone *time.Location) Period {
	return Period{From: from, To: to, Unit: Instants, zone: zone}
}

// DayPeriod is the period of two local dates, both included.
func DayPeriod(first, last Date, zone *time.Location) Period {
	from, to := Range(first.utc(), last.utc(), zone)
	return Period{From: from, To: to, Unit: Days, First: first, Last: last, zone: zone}
}

// MonthPeriod is the period of n whole months from that of first.
func MonthPeriod(first Date, n int, zone *time.Location) Period {
	first = first.MonthStart()
	p := DayPeriod(first, first.AddMonths(n).AddDays(-1), zone)
	p.Unit = Months
	return p
}

// Zone gives the zone that the period's dates are in.
func (p Period) Zone() *time.Location { return p.zone }

// Previous gives the period of the same length that ends where p begins.
func (p Period) Previous() Period {
	switch p.Unit {
	case Days:
		n := p.First.DaysUntil(p.Last) + 1
		return DayPeriod(p.First.AddDays(-n), p.Last.AddDays(-n), p.zone)
	case Months:
		n := p.First.MonthsUntil(p.Last) + 1
		return MonthPeriod(p.First.AddMonths(-n), n, p.zone)
	}
	return Span(p.From-(p.To-p.From), p.From, p.zone)
}

// YearBefore gives the same dates a year earlier; 29 February becomes the 28th.
func (p Period) YearBefore() Period {
	switch p.Unit {
	case Days:
		return DayPeriod(p.First.AddMonths(-12), p.Last.AddMonths(-12), p.zone)
	case Months:
		return MonthPeriod(p.First.AddMonths(-12), p.First.MonthsUntil(p.Last)+1, p.zone)
	}
	from := onDate(DateOf(p.From, p.zone).AddMonths(-12), p.From, p.zone)
	return Span(from, from+(p.To-p.From), p.zone)
}

// MatchWeekday moves p by up to six days so that it begins on the weekday on
// which main begins: backwards when p ends where main begins, so that they do
// not meet, else to the nearest. Instants stay as they are.
func (p Period) MatchWeekday(main Period) Period {
	if p.Unit == Instants || main.Unit == Instants {
		return p
	}
	back := (int(p.First.Weekday()) - int(main.First.Weekday()) + 7) % 7
	if back > 3 && p.Last.AddDays(7-back).Before(main.First) {
		back -= 7
	}
	return DayPeriod(p.First.AddDays(-back), p.Last.AddDays(-back), p.zone)
}

// Partial tells whether p has begun at now and goes on after it.
func (p Period) Partial(now int64) bool { return p.From <= now && now+1 < p.To }

// SamePart cuts p to the part of it that main has behind itself at now: as many
// days and the same time of day. A period that has ended leaves p whole.
func (p Period) SamePart(main Period, now int64) Period {
	if !main.Partial(now) {
		return p
	}
	var to int64
	if p.Unit == Instants || main.Unit == Instants {
		to = p.From + (now - main.From)
	} else {
		elapsed := main.First.DaysUntil(DateOf(now, main.zone))
		to = onDate(p.First.AddDays(elapsed), now, p.zone)
	}
	p.To = max(p.From, min(p.To, to))
	return p
}

// onDate gives the instant on d at which the wall clock reads as it does at ms.
func onDate(d Date, ms int64, zone *time.Location) int64 {
	t := time.UnixMilli(ms).In(zone)
	hh, mm, ss := t.Clock()
	return time.Date(d.Year, d.Month, d.Day, hh, mm, ss, t.Nanosecond(), zone).UnixMilli()
}

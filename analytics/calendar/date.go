package calendar

import "time"

// Date is a day of the calendar, in no zone. The zero value is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf gives the local date at an instant in Unix ms.
func DateOf(ms int64, zone *time.Location) Date { return dateOf(time.UnixMilli(ms).In(zone)) }

func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// ParseDate reads "2006-01-02".
func ParseDate(s string) (Date, bool) {
	t, err := time.Parse(layoutDate, s)
	if err != nil {
		return Date{}, false
	}
	return dateOf(t), true
}

// String gives "2006-01-02".
func (d Date) String() string { return d.utc().Format(layoutDate) }

// MonthLabel gives "2006-01".
func (d Date) MonthLabel() string { return d.utc().Format("2006-01") }

func (d Date) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// Weekday gives the day of the week.
func (d Date) Weekday() time.Weekday { return d.utc().Weekday() }

// AddDays gives the date n days later.
func (d Date) AddDays(n int) Date { return dateOf(d.utc().AddDate(0, 0, n)) }

// AddMonths gives the same day n months later, or that month's last day where
// it has no such day: 31 January and one month is 28 or 29 February.
func (d Date) AddMonths(n int) Date {
	first := dateOf(time.Date(d.Year, d.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC))
	first.Day = min(d.Day, first.MonthDays())
	return first
}

// MonthStart gives the first day of d's month.
func (d Date) MonthStart() Date { return Date{d.Year, d.Month, 1} }

// MonthDays gives how many days d's month has.
func (d Date) MonthDays() int {
	return time.Date(d.Year, d.Month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// DaysUntil counts the days from d to other; negative when other is earlier.
func (d Date) DaysUntil(other Date) int {
	return int(other.utc().Sub(d.utc()) / (24 * time.Hour))
}

// MonthsUntil counts the calendar months from d's to other's.
func (d Date) MonthsUntil(other Date) int {
	return (other.Year-d.Year)*12 + int(other.Month) - int(d.Month)
}

// Before tells whether d is earlier than other.
func (d Date) Before(other Date) bool { return d.utc().Before(other.utc()) }

// start gives the Unix ms at which d begins in zone.
func (d Date) start(zone *time.Location, later bool) int64 {
	return DayStart(d.Year, d.Month, d.Day, zone, later)
}

package saltfile

import (
	"math"
	"time"
)

// family says how long a salt of it is in force. The numbers are in the file;
// new ones go at the end.
type family uint8

const (
	daily family = iota
	weekly
	monthly
	families
)

const dayMS = 24 * 60 * 60 * 1000

// dayOf gives the UTC day since 1970, as the file can hold it.
func dayOf(ms int64) int64 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return min(max(day, 0), math.MaxUint32)
}

// start gives the first day of the period that day is in; 0 for what began
// before 1970.
func (m family) start(day int64) int64 {
	switch m {
	case weekly:
		return max(0, monday(day))
	case monthly:
		y, month, _ := date(day).Date()
		return dayNumber(y, month)
	}
	return day
}

// end gives the first day of the period after that of day.
func (m family) end(day int64) int64 {
	switch m {
	case weekly:
		return monday(day) + 7
	case monthly:
		y, month, _ := date(day).Date()
		return dayNumber(y, month+1)
	}
	return day + 1
}

// monday gives the day on which day's week began; day 0 was a Thursday.
func monday(day int64) int64 { return day - (day+3)%7 }

func date(day int64) time.Time { return time.Unix(day*dayMS/1000, 0).UTC() }

// dayNumber gives the first day of a month; month may be 13.
func dayNumber(y int, month time.Month) int64 {
	return time.Date(y, month, 1, 0, 0, 0, 0, time.UTC).Unix() / (dayMS / 1000)
}

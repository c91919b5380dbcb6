package placement

import (
	"math"
	"time"
)

// Family says how long a salt is in force. The numbers are in the log; new ones
// go at the end.
type Family uint8

// The families of salts.
const (
	Daily Family = iota
	Weekly
	Monthly
	familyEnd
)

func (f Family) String() string {
	switch f {
	case Daily:
		return "day"
	case Weekly:
		return "week"
	case Monthly:
		return "month"
	}
	return "unknown"
}

// Salt is the choice of a salt for a period. The salt itself is never here: the
// id names it.
type Salt struct {
	Family Family `json:"family"`
	Period uint32 `json:"period"` // its first day, in days since 1970, UTC
	ID     ID     `json:"id"`
	By     uint16 `json:"by"` // the node that made it
	At     int64  `json:"at"` // when it was chosen, Unix ms
}

// SaltGrace is how long, in milliseconds, the choice for a period is kept after
// the period; the salt itself is in use for the first 24 hours of it.
const SaltGrace = 2 * dayMS

func saltKey(f Family, period uint32) uint64 { return uint64(f)<<32 | uint64(period) }

const dayMS = 24 * 60 * 60 * 1000

// PeriodAt gives the period that ms, Unix ms, is in.
func (f Family) PeriodAt(ms int64) uint32 {
	day := min(max(ms/dayMS, 0), math.MaxUint32)
	switch f {
	case Weekly:
		day = max(0, monday(day))
	case Monthly:
		y, m, _ := date(day).Date()
		day = dayNumber(y, m)
	}
	return uint32(day)
}

// Begin gives the first moment of a period, Unix ms.
func (f Family) Begin(period uint32) int64 { return int64(period) * dayMS }

// Next gives the period after one.
func (f Family) Next(period uint32) uint32 {
	day := int64(period)
	switch f {
	case Weekly:
		return uint32(monday(day) + 7)
	case Monthly:
		y, m, _ := date(day).Date()
		return uint32(dayNumber(y, m+1))
	}
	return period + 1
}

// monday gives the day on which day's week began; day 0 was a Thursday.
func monday(day int64) int64 { return day - (day+3)%7 }

func date(day int64) time.Time { return time.Unix(day*dayMS/1000, 0).UTC() }

func dayNumber(y int, m time.Month) int64 {
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix() / (dayMS / 1000)
}

package logformat

import (
	"bytes"
	"time"
)

// parseDate reads "17/May/2015:10:05:03 +0000" and gives Unix milliseconds. Day,
// hour, minute and second may have one digit, the month is an English
// abbreviation in any case, the offset is ±hh:mm, ±hhmm, either with seconds, or
// Z. Without an offset the date is read in zone; zone nil makes that an error.
// An hour that a zone skips or repeats is read as package time reads it.
func parseDate(b []byte, zone *time.Location) (ms int64, ok bool) {
	first, digitsMax := 0, 2
	if len(b) > 0 && b[0] == ' ' {
		first, digitsMax = 1, 1 // a blank in place of the first of two digits
	}
	day, i := number(b, first, digitsMax)
	if i < 0 || day < 1 || i >= len(b) || b[i] != '/' {
		return 0, false
	}
	i++
	if i+4 > len(b) || b[i+3] != '/' {
		return 0, false
	}
	month := monthOf(b[i], b[i+1], b[i+2])
	if month == 0 {
		return 0, false
	}
	i += 4
	year, next := number(b, i, 4)
	if next != i+4 || year < 1 {
		return 0, false
	}
	i = next
	var clock [3]int
	for k := range clock {
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		if clock[k], i = number(b, i+1, 2); i < 0 {
			return 0, false
		}
	}
	if clock[0] > 23 || clock[1] > 59 || clock[2] > 59 || day > daysIn(year, month) {
		return 0, false
	}
	if i == len(b) {
		if zone == nil {
			return 0, false
		}
		return time.Date(year, time.Month(month), day, clock[0], clock[1], clock[2], 0, zone).UnixMilli(), true
	}
	zoneText := bytes.TrimLeftFunc(b[i:], isSpace)
	if len(zoneText) == len(b)-i {
		return 0, false
	}
	offset, ok := parseOffset(zoneText)
	if !ok {
		return 0, false
	}
	seconds := int64(daysSince1970(year, month, day))*86400 + int64(clock[0]*3600+clock[1]*60+clock[2]) - int64(offset)
	return seconds * 1000, true
}

// parseOffset reads ±hh[:]mm[[:]ss] or Z, in seconds east of UTC.
func parseOffset(b []byte) (seconds int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) < 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hour, i := number(b, 1, 2)
	if i != 3 {
		return 0, false
	}
	colon := b[3] == ':'
	if colon {
		i++
	}
	minute, next := number(b, i, 2)
	if next != i+2 || minute > 59 {
		return 0, false
	}
	i = next
	second := 0
	if i < len(b) {
		if colon != (b[i] == ':') {
			return 0, false
		}
		if colon {
			i++
		}
		if second, next = number(b, i, 2); next != i+2 || second > 59 || next != len(b) {
			return 0, false
		}
	}
	if hour > 23 {
		return 0, false
	}
	seconds = hour*3600 + minute*60 + second
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// number reads one to digitsMax ASCII digits from position i.
func number(b []byte, i, digitsMax int) (value, next int) {
	start := i
	for i < len(b) && i-start < digitsMax && '0' <= b[i] && b[i] <= '9' {
		value = value*10 + int(b[i]-'0')
		i++
	}
	if i == start {
		return 0, -1
	}
	return value, i
}

func monthOf(a, b, c byte) int {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	a, b, c = a|0x20, b|0x20, c|0x20
	for i := 0; i < len(names); i += 3 {
		if names[i] == a && names[i+1] == b && names[i+2] == c {
			return i/3 + 1
		}
	}
	return 0
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if leap(year) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar. Years are taken to begin
// in March, so that a leap day is the last day of its year.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

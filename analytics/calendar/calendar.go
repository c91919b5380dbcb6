// Package calendar cuts time into the buckets of a site's time zone: minutes,
// hours, days, weeks from Monday, months; and it knows periods, the ones before
// them, and the same part of them. It is pure; "now" is an argument. Days have
// 23, 24 or 25 hours. A local midnight that occurs twice starts a range at its
// later occurrence and ends one at its earlier; one that never occurs stands
// right after the gap. Start at Buckets and Period.
package calendar

import (
	"time"
)

// Interval is the width of a bucket.
type Interval uint8

const (
	Hour Interval = iota
	Day
	Week // from Monday
	Month
	Minute
)

// Bucket is a half-open span of Unix milliseconds. Label is the local start of
// the whole bucket, "2006-01-02", or "2006-01-02 15:04:05" for hours and
// minutes, even where the range cuts the bucket. Partial is true where it does.
type Bucket struct {
	From, To int64
	Label    string
	Partial  bool
	Start    int64 // of the whole bucket: before From where the range cuts it
}

const (
	layoutDate = "2006-01-02"
	layoutWall = "2006-01-02 15:04:05"
)

// DayStart gives the Unix ms at which the local date begins; occurrences as the
// package comment says, with later choosing between two midnights.
func DayStart(y int, m time.Month, d int, zone *time.Location, later bool) int64 {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if !sameWall(t, want) { // a midnight that never occurs: the transition that skips it
		start, end := t.ZoneBounds()
		if dateNumber(t) >= dateNumber(want) {
			return start.UnixMilli()
		}
		return end.UnixMilli()
	}
	// The same wall clock reads again after a transition backwards by its size.
	start, end := t.ZoneBounds()
	if later {
		if o := again(t, end); !end.IsZero() && sameWall(o, want) && !o.Before(end) {
			return o.UnixMilli()
		}
		return t.UnixMilli()
	}
	if o := again(t, start.Add(-1)); !start.IsZero() && sameWall(o, want) && o.Before(start) {
		return o.UnixMilli()
	}
	return t.UnixMilli()
}

// again gives the instant at which the wall clock of t reads with the offset in
// force at other.
func again(t, other time.Time) time.Time {
	_, have := t.Zone()
	_, want := other.Zone()
	return t.Add(time.Duration(have-want) * time.Second)
}

func sameWall(a, b time.Time) bool { return a.Format(layoutWall) == b.Format(layoutWall) }

func dateNumber(t time.Time) int {
	y, m, d := t.Date()
	return y*10000 + int(m)*100 + d
}

// Range gives [start of first, end of last) of two local dates, both included.
func Range(first, last time.Time, zone *time.Location) (from, to int64) {
	y, m, d := first.Date()
	from = DayStart(y, m, d, zone, true)
	y, m, d = last.AddDate(0, 0, 1).Date()
	return from, DayStart(y, m, d, zone, false)
}

// Buckets cuts [from, to) at the interval's local boundaries, in order, without
// gap or overlap. An hour that occurs twice gives two buckets with one label. A
// midnight that occurs twice divides its days at the earlier occurrence, so
// that a day has every instant of its date.
func Buckets(from, to int64, iv Interval, zone *time.Location) []Bucket {
	var out []Bucket
	for at := from; at < to; {
		b := bucketOf(at, iv, zone)
		if at > b.wholeFrom || to < b.wholeTo {
			b.Partial = true
		}
		b.From, b.To, b.Start = at, min(b.To, to), b.wholeFrom
		out = append(out, b.Bucket)
		at = b.To
	}
	return out
}

// whole is a bucket that is not cut, and the span that a range of local dates
// covers of it: less, where a midnight occurs twice.
type whole struct {
	Bucket
	wholeFrom, wholeTo int64
}

// bucketOf gives the whole bucket that holds at.
func bucketOf(at int64, iv Interval, zone *time.Location) whole {
	if iv == Hour || iv == Minute {
		return clockBucket(at, iv, zone)
	}
	first := DateOf(at, zone)
	switch iv {
	case Week:
		first = first.AddDays(-(int(first.Weekday()) + 6) % 7)
	case Month:
		first = first.MonthStart()
	}
	next := nextStart(first, iv)
	end := next.start(zone, false)
	if end <= at { // the clock went back over midnight and reads the day before once more
		first, next = next, nextStart(next, iv)
		end = next.start(zone, false)
	}
	b := whole{wholeFrom: first.start(zone, true), wholeTo: end}
	b.From, b.To, b.Label = first.start(zone, false), end, first.String()
	return b
}

func nextStart(first Date, iv Interval) Date {
	switch iv {
	case Week:
		return first.AddDays(7)
	case Month:
		return first.AddMonths(1)
	}
	return first.AddDays(1)
}

// clockBucket gives the whole hour or minute that holds at. A change of offset
// inside it cuts it there.
func clockBucket(at int64, iv Interval, zone *time.Location) whole {
	step := int64(time.Hour / time.Millisecond)
	if iv == Minute {
		step = int64(time.Minute / time.Millisecond)
	}
	t := time.UnixMilli(at).In(zone)
	_, off := t.Zone()
	shift := int64(off) * 1000
	start := floor(at+shift, step) - shift
	end := start + step
	label := time.UnixMilli(start + shift).UTC().Format(layoutWall)
	zs, ze := t.ZoneBounds()
	if !zs.IsZero() {
		start = max(start, zs.UnixMilli())
	}
	if !ze.IsZero() {
		end = min(end, ze.UnixMilli())
	}
	return whole{Bucket: Bucket{From: start, To: end, Label: label}, wholeFrom: start, wholeTo: end}
}

func floor(x, step int64) int64 {
	q := x / step
	if x%step < 0 {
		q--
	}
	return q * step
}

package beacon

import (
	"time"

	"footfall/analytics"
)

// salts gives the salts that visitors of site are told apart with.
func (d *Door) salts(site *analytics.Site, nowMS int64) (current, previous *[16]byte) {
	switch site.Uniques {
	case analytics.UniquesWeekly:
		return d.opts.Salts.Weekly(nowMS)
	case analytics.UniquesMonthly:
		return d.opts.Salts.Monthly(nowMS)
	}
	return d.opts.Salts.At(nowMS)
}

const dayMS = 24 * 60 * 60 * 1000

// periodOf gives the days since 1970, UTC, on which the period of a time began
// and the one before it; turning tells that the time is in the first 24 hours of
// its period. The periods are those of Salts. ms is after 1970.
func periodOf(u analytics.Uniques, ms int64) (start, before int64, turning bool) {
	day := ms / dayMS
	switch u {
	case analytics.UniquesWeekly:
		start = day - (day+3)%7 // day 0 was a Thursday
		return start, start - 7, day == start
	case analytics.UniquesMonthly:
		y, m, _ := time.UnixMilli(ms).UTC().Date()
		first := func(m time.Month) int64 { return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).UnixMilli() / dayMS }
		start = first(m)
		return start, first(m - 1), day == start
	}
	return day, day - 1, true
}

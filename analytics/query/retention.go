package query

import (
	"context"
	"sort"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
)

// RetentionPeriodsMax bounds how far retention looks on.
const RetentionPeriodsMax = 60

// Retention asks how many visitors come back. A visitor's cohort is the week or
// month, in the zone, in which their first visit in the range begins; they come
// back in a later one in which a visit of theirs begins. A visit that is active
// in the range but began before it counts as beginning with it. Visits are those
// for which Filter holds.
//
// It takes ids that last longer than a period: of visitors whom the merchant
// named, and with Lasting of all.
type Retention struct {
	From, To    int64 // Unix ms, half open
	Zone        *time.Location
	Filter      *Filter
	Interval    calendar.Interval // calendar.Week or calendar.Month
	Periods     int               // after the first, 1 to RetentionPeriodsMax
	Lasting     bool
	VisitorsMax int // more give TooLarge; 0 means VisitorsMaxDefault
}

// RetentionResult is a row for each week or month of the range, empty ones too.
type RetentionResult struct {
	Cohorts []Cohort
	// Followed is how many visits are in the table, Others how many are not, because
	// the ids of their visitors do not last.
	Followed, Others int
	Index            uint64 // as in Answer
}

// Cohort is the visitors who came first in a week or month.
type Cohort struct {
	Start    string // its first day, "2006-01-02", even where the range cuts it
	Partial  bool   // the range cuts it
	Visitors int
	// Returned holds in k-1 who came back in the k-th week or month after it. It
	// ends with the range.
	Returned []int
}

// Retention evaluates r. Errors are Invalid, TooLarge, or those of reading. When
// there are visits in the range but no id of theirs lasts, it is Invalid with a
// text that says what to do.
func (p *Picture) Retention(ctx context.Context, r *Retention) (*RetentionResult, error) {
	switch {
	case r.Interval != calendar.Week && r.Interval != calendar.Month:
		return nil, analytics.Errorf(analytics.Invalid, "interval: must be week or month")
	case r.Periods < 1 || r.Periods > RetentionPeriodsMax:
		return nil, analytics.Errorf(analytics.Invalid, "periods: must be 1 to %d", RetentionPeriodsMax)
	}
	out := &RetentionResult{Index: p.Index()}
	buckets := calendar.Buckets(r.From, r.To, r.Interval, r.Zone)
	for i, b := range buckets {
		out.Cohorts = append(out.Cohorts, Cohort{Start: b.Label, Partial: b.Partial, Returned: make([]int, min(r.Periods, len(buckets)-1-i))})
	}
	if len(buckets) == 0 {
		return out, nil
	}
	type stay struct{ first, last int32 } // buckets
	seen := map[uint64]stay{}
	at := 0
	err := p.scanVisitors(ctx, r.From, r.To, r.Filter, func(visits []Visit) error {
		if !visits[0].Lasts(r.Lasting) {
			out.Others += len(visits)
			return nil
		}
		out.Followed += len(visits)
		who := visits[0].visitor()
		s, known := seen[who]
		if !known && len(seen) >= visitorsMax(r.VisitorsMax) {
			return tooManyVisitors(r.VisitorsMax)
		}
		for _, v := range visits {
			t := max(v.start(), r.From)
			if t < buckets[at].From || t >= buckets[at].To {
				at = sort.Search(len(buckets), func(i int) bool { return buckets[i].To > t })
			}
			now := int32(at)
			switch {
			case !known:
				s, known = stay{now, now}, true
				out.Cohorts[now].Visitors++
			case now > s.last:
				s.last = now
				if k := int(now - s.first); k <= r.Periods {
					out.Cohorts[s.first].Returned[k-1]++
				}
			}
		}
		seen[who] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	if out.Followed == 0 && out.Others > 0 {
		return nil, analytics.Errorf(analytics.Invalid, "interval: visitor ids of this site do not last for a %s, so nobody can be seen to come back;"+
			" name visitors in the events that are sent, or let the site's ids last longer", r.name())
	}
	return out, nil
}

func (r *Retention) name() string {
	if r.Interval == calendar.Week {
		return "week"
	}
	return "month"
}

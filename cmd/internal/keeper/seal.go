package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
)

// errUnfinished says that a site has more months to be closed.
var errUnfinished = errors.New("more months are to be closed")

// monthDue gives the last month that has ended, with grace, in a zone.
func monthDue(now time.Time, zone *time.Location) int32 {
	d := calendar.DateOf(now.Add(-Grace).UnixMilli(), zone).MonthStart().AddMonths(-1)
	return site.MonthNumber(d.Year, d.Month)
}

func monthOf(ms int64, zone *time.Location) int32 {
	d := calendar.DateOf(ms, zone)
	return site.MonthNumber(d.Year, d.Month)
}

// seal closes the months of a site that are due, from that of the first event
// on. Months after the last activity wait until there is some again, so that
// sites which nobody visits any more are left alone.
func (k *Keeper) seal(ctx context.Context, s *analytics.Site, due int32) error {
	sum, ok, err := k.summary(ctx, s.ID)
	if err != nil || !ok || sum.First == 0 {
		return err
	}
	next := monthOf(sum.First, s.Zone())
	if sum.Seals > 0 {
		next = sum.Sealed + 1
	}
	last := min(due, monthOf(sum.Last, s.Zone()))
	if next > last {
		return nil
	}
	upTo := min(last, next+monthsMax-1)
	figures, err := k.figures(ctx, s, sum.First, next, upTo)
	if err != nil {
		return fmt.Errorf("figures of %s to %s: %w", site.MonthLabel(next), site.MonthLabel(upTo), err)
	}
	for i, f := range figures {
		month := next + int32(i)
		if err := k.command(ctx, s.ID, entry.AppendSeal(nil, s.ID, month, f)); err != nil {
			return fmt.Errorf("close %s: %w", site.MonthLabel(month), err)
		}
		k.counts.sealed++
	}
	if upTo < last {
		return errUnfinished
	}
	return nil
}

// figures gives those of the months from next to last.
func (k *Keeper) figures(ctx context.Context, s *analytics.Site, first int64, next, last int32) ([][]byte, error) {
	end, _ := calendar.ParseDate(site.MonthLabel(last) + "-01")
	m := query.Months{First: first, Now: k.cfg.Clock().UnixMilli(), End: end, Count: int(last-next) + 1, Zone: s.Zone()}
	status, err := m.Status(func(q *query.Question) (*query.Answer, error) {
		q.Lasting = s.Uniques == analytics.UniquesWeekly || s.Uniques == analytics.UniquesMonthly
		return k.cfg.Sites.Ask(ctx, s.ID, q)
	})
	if err != nil {
		return nil, err
	}
	byMonth := map[string]*query.MonthStatus{}
	for i := range status {
		byMonth[status[i].Start.MonthLabel()] = &status[i]
	}
	out := make([][]byte, 0, m.Count)
	for month := next; month <= last; month++ {
		label := site.MonthLabel(month)
		st := byMonth[label]
		if st == nil { // before the first event that is still held
			start, _ := calendar.ParseDate(label + "-01")
			st = &query.MonthStatus{Start: start, Days: start.MonthDays(), Figures: make([]query.Value, len(query.MonthMetrics()))}
		}
		f, err := appendFigures(nil, st, s.Timezone)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

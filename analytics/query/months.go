package query

import (
	"time"

	"footfall/analytics/calendar"
)

// MonthMetrics gives the figures of the monthly visit status, in their order.
// The caller owns the slice.
func MonthMetrics() []Metric {
	return []Metric{Visits, Visitors, Pageviews, ViewsPerVisit, BounceRate, VisitDuration}
}

// noFigures are those of a month without visits.
func noFigures() []Value { return make([]Value, len(MonthMetrics())) }

// bestMax is how many best pages and sources a month lists.
const bestMax = 10

// Months is the monthly visit status of a site: which months, seen from when.
type Months struct {
	First int64         // Unix ms of the site's first event
	Now   int64         // Unix ms
	End   calendar.Date // any day of the last month; not after the current one
	Count int           // at most so many months, at least 1
	Zone  *time.Location
}

// MonthStatus is what one month shows.
type MonthStatus struct {
	Start       calendar.Date // first day
	Partial     bool          // it has not ended
	DaysElapsed int           // days that have begun
	Days        int
	Figures     []Value // of MonthMetrics
	NewPages    int     // pages never viewed in an earlier month
	BestPages   []BestPage
	BestSources []BestSource
	// Change against the month before and the same month a year before, of
	// MonthMetrics; nil when that month is before the first event. A partial
	// month is compared with the same part of the other one.
	MonthChange, YearChange []int
}

// BestPage is a page with most page views first.
type BestPage struct {
	Page                string
	Pageviews, Visitors Value
}

// BestSource is a source with most visitors first.
type BestSource struct {
	Source           string
	Visitors, Visits Value
}

// Status asks what it needs, one question after the other, and gives the
// months since the first event, newest first. Errors are those of ask.
//
// All months come from one series, so that a visit over the end of a month
// counts once and the months add up to the total; the series goes on a month
// beyond the last one, so that a month's figures do not depend on which others
// are asked for.
func (m Months) Status(ask func(*Question) (*Answer, error)) ([]MonthStatus, error) {
	end, birth := m.End.MonthStart(), calendar.DateOf(m.First, m.Zone).MonthStart()
	oldest := end.AddMonths(1 - m.Count)
	if oldest.Before(birth) {
		oldest = birth
	}
	if end.Before(oldest) {
		return nil, nil
	}
	series, err := m.series(ask, oldest, end, birth)
	if err != nil {
		return nil, err
	}
	seen, err := m.seenBefore(ask, birth, oldest)
	if err != nil {
		return nil, err
	}
	n := oldest.MonthsUntil(end) + 1
	out := make([]MonthStatus, n)
	for i := range n {
		start := oldest.AddMonths(i)
		s := &out[n-1-i]
		*s = MonthStatus{Start: start, Days: start.MonthDays(), DaysElapsed: start.MonthDays(), Figures: series.of(start)}
		period := calendar.MonthPeriod(start, 1, m.Zone)
		if s.Partial = period.Partial(m.Now); s.Partial {
			s.DaysElapsed = calendar.DateOf(m.Now, m.Zone).Day
		}
		if s.MonthChange, err = m.change(ask, s, series, period, period.Previous(), birth); err != nil {
			return nil, err
		}
		if s.YearChange, err = m.change(ask, s, series, period, period.YearBefore(), birth); err != nil {
			return nil, err
		}
		if !series.any(start) {
			continue
		}
		if err := m.best(ask, s, period, seen); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m Months) question(p calendar.Period, metrics []Metric, dims ...Dimension) *Question {
	return &Question{From: p.From, To: p.To, Zone: m.Zone, Metrics: metrics, Dimensions: dims, Now: m.Now}
}

// monthSeries holds figures by the label of their month.
type monthSeries map[string][]Value

func (s monthSeries) of(start calendar.Date) []Value {
	if v, ok := s[start.String()]; ok {
		return v
	}
	return noFigures()
}

func (s monthSeries) any(start calendar.Date) bool { return s[start.String()] != nil }

func (m Months) series(ask func(*Question) (*Answer, error), oldest, end, birth calendar.Date) (monthSeries, error) {
	from := oldest.AddMonths(-12)
	if from.Before(birth) {
		from = birth
	}
	a, err := ask(m.question(calendar.MonthPeriod(from, from.MonthsUntil(end)+2, m.Zone), MonthMetrics(), TimeMonth))
	if err != nil {
		return nil, err
	}
	s := make(monthSeries, len(a.Rows))
	for _, r := range a.Rows {
		s[r.Dims[0]] = r.Values
	}
	return s, nil
}

// seenBefore gives the pages viewed before the oldest month that is shown.
func (m Months) seenBefore(ask func(*Question) (*Answer, error), birth, oldest calendar.Date) (map[string]struct{}, error) {
	seen := map[string]struct{}{}
	n := birth.MonthsUntil(oldest)
	if n <= 0 {
		return seen, nil
	}
	a, err := ask(m.question(calendar.MonthPeriod(birth, n, m.Zone), []Metric{Pageviews}, EventPage))
	if err != nil {
		return nil, err
	}
	for _, r := range a.Rows {
		if r.Values[0].Number > 0 {
			seen[r.Dims[0]] = struct{}{}
		}
	}
	return seen, nil
}

func (m Months) change(ask func(*Question) (*Answer, error), s *MonthStatus, series monthSeries, period, other calendar.Period, birth calendar.Date) ([]int, error) {
	if other.First.Before(birth) {
		return nil, nil
	}
	then := series.of(other.First)
	if s.Partial {
		a, err := ask(m.question(other.SamePart(period, m.Now), MonthMetrics()))
		if err != nil {
			return nil, err
		}
		then = noFigures()
		if len(a.Rows) > 0 {
			then = a.Rows[0].Values
		}
	}
	out := make([]int, len(MonthMetrics()))
	for i, metric := range MonthMetrics() {
		out[i], _ = Change(metric, s.Figures[i], then[i])
	}
	return out, nil
}

// best fills in the best pages and sources and counts the new pages, which
// become seen.
func (m Months) best(ask func(*Question) (*Answer, error), s *MonthStatus, period calendar.Period, seen map[string]struct{}) error {
	a, err := ask(m.question(period, []Metric{Pageviews, Visitors}, EventPage))
	if err != nil {
		return err
	}
	for _, r := range a.Rows {
		if r.Values[0].Number == 0 {
			continue
		}
		if len(s.BestPages) < bestMax {
			s.BestPages = append(s.BestPages, BestPage{r.Dims[0], r.Values[0], r.Values[1]})
		}
		if _, ok := seen[r.Dims[0]]; !ok {
			seen[r.Dims[0]] = struct{}{}
			s.NewPages++
		}
	}
	q := m.question(period, []Metric{Visitors, Visits}, Source)
	q.Limit = bestMax
	if a, err = ask(q); err != nil {
		return err
	}
	for _, r := range a.Rows {
		s.BestSources = append(s.BestSources, BestSource{r.Dims[0], r.Values[0], r.Values[1]})
	}
	return nil
}

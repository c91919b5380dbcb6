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
	First   int64         // Unix ms of the site's first event; Read takes it from the picture
	Now     int64         // Unix ms
	End     calendar.Date // any day of the last month; not after the current one
	Count   int           // at most so many months, at least 1
	Zone    *time.Location
	Lasting bool // as in Question
}

// MonthStatus is what one month shows. What it refers to must not be changed.
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
	// MonthMetrics; nil when that month is before the first event, or cannot be
	// counted any more. A partial month is compared with the same part of the
	// other one.
	MonthChange, YearChange []int
	Warnings                map[Metric]Warning // of Figures
	Seal                    *MonthSeal         // nil: it is not closed; only Read looks
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

// monthSource gives what the status of months is made of.
type monthSource interface {
	// whole gives the figures of a whole month.
	whole(month calendar.Period) (monthFigures, error)
	// part gives those of the same part of a month; nil if they cannot be counted.
	part(p calendar.Period) ([]Value, error)
	// lists fills in best pages, best sources and the number of new pages. It is
	// called for months in which something happened, the oldest first.
	lists(s *MonthStatus, month calendar.Period) error
}

// monthFigures are those of one month.
type monthFigures struct {
	values   []Value // of MonthMetrics; nil if nothing happened
	warnings map[Metric]Warning
}

func (f monthFigures) shown() []Value {
	if f.values == nil {
		return noFigures()
	}
	return f.values
}

// Status asks what it needs, one question after the other, and gives the
// months since the first event, newest first. Errors are those of ask. It asks
// for all pages of all months: where there is a picture, Read gives the same in
// less time.
//
// All months come from one series, so that a visit over the end of a month
// counts once and the months add up to the total; the series goes on a month
// beyond the last one, and begins a month before the first, so that a month's
// figures do not depend on which others are asked for.
func (m Months) Status(ask func(*Question) (*Answer, error)) ([]MonthStatus, error) {
	birth := calendar.DateOf(m.First, m.Zone).MonthStart()
	oldest, n := m.shown(birth)
	if n == 0 {
		return nil, nil
	}
	src := &asked{m: m, ask: ask, seen: map[string]struct{}{}}
	if err := src.series(oldest, birth); err != nil {
		return nil, err
	}
	if err := src.seenBefore(birth, oldest); err != nil {
		return nil, err
	}
	return m.status(src, oldest, birth, n)
}

// shown gives the oldest month that is shown of those since birth, and how many
// there are.
func (m Months) shown(birth calendar.Date) (oldest calendar.Date, n int) {
	end := m.End.MonthStart()
	oldest = end.AddMonths(1 - m.Count)
	if oldest.Before(birth) {
		oldest = birth
	}
	return oldest, max(0, oldest.MonthsUntil(end)+1)
}

func (m Months) status(src monthSource, oldest, birth calendar.Date, n int) ([]MonthStatus, error) {
	out := make([]MonthStatus, n)
	for i := range n {
		start := oldest.AddMonths(i)
		period := calendar.MonthPeriod(start, 1, m.Zone)
		figures, err := src.whole(period)
		if err != nil {
			return nil, err
		}
		s := &out[n-1-i]
		*s = MonthStatus{Start: start, Days: start.MonthDays(), DaysElapsed: start.MonthDays(), Figures: figures.shown(), Warnings: figures.warnings}
		if s.Partial = period.Partial(m.Now); s.Partial {
			s.DaysElapsed = calendar.DateOf(m.Now, m.Zone).Day
		}
		if s.MonthChange, err = m.change(src, s, period, period.Previous(), birth); err != nil {
			return nil, err
		}
		if s.YearChange, err = m.change(src, s, period, period.YearBefore(), birth); err != nil {
			return nil, err
		}
		if figures.values == nil {
			continue
		}
		if err := src.lists(s, period); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m Months) change(src monthSource, s *MonthStatus, period, other calendar.Period, birth calendar.Date) ([]int, error) {
	if other.First.Before(birth) {
		return nil, nil
	}
	var then []Value
	if s.Partial {
		var err error
		if then, err = src.part(other.SamePart(period, m.Now)); then == nil {
			return nil, err
		}
	} else {
		figures, err := src.whole(other)
		if err != nil {
			return nil, err
		}
		then = figures.shown()
	}
	out := make([]int, len(MonthMetrics()))
	for i, metric := range MonthMetrics() {
		out[i], _ = Change(metric, s.Figures[i], then[i])
	}
	return out, nil
}

func (m Months) question(from, to int64, metrics []Metric, dims ...Dimension) *Question {
	return &Question{From: from, To: to, Zone: m.Zone, Metrics: metrics, Dimensions: dims, Now: m.Now, Lasting: m.Lasting}
}

// pagesQuestion asks for the pages of a month, the best first.
func (m Months) pagesQuestion(month calendar.Period) *Question {
	return m.question(month.From, month.To, []Metric{Pageviews, Visitors}, EventPage)
}

// sourcesQuestion asks for the best sources of a month.
func (m Months) sourcesQuestion(month calendar.Period) *Question {
	q := m.question(month.From, month.To, []Metric{Visitors, Visits}, Source)
	q.Limit = bestMax
	return q
}

// bestPages gives the first rows of an answer to pagesQuestion.
func bestPages(a *Answer) (out []BestPage) {
	for _, r := range a.Rows[:min(len(a.Rows), bestMax)] {
		if r.Values[0].Number > 0 {
			out = append(out, BestPage{r.Dims[0], r.Values[0], r.Values[1]})
		}
	}
	return out
}

// bestSources gives the rows of an answer to sourcesQuestion.
func bestSources(a *Answer) (out []BestSource) {
	for _, r := range a.Rows {
		out = append(out, BestSource{r.Dims[0], r.Values[0], r.Values[1]})
	}
	return out
}

// asked is what questions say, all of it.
type asked struct {
	m       Months
	ask     func(*Question) (*Answer, error)
	figures map[string]monthFigures // by the label of the month
	seen    map[string]struct{}     // pages viewed in an earlier month
}

func (a *asked) series(oldest, birth calendar.Date) error {
	from := oldest.AddMonths(-12)
	if from.Before(birth) {
		from = birth
	}
	p := calendar.MonthPeriod(from.AddMonths(-1), from.MonthsUntil(a.m.End.MonthStart())+3, a.m.Zone)
	answer, err := a.ask(a.m.question(p.From, p.To, MonthMetrics(), TimeMonth))
	if err != nil {
		return err
	}
	a.figures = make(map[string]monthFigures, len(answer.Rows))
	for _, r := range answer.Rows {
		a.figures[r.Dims[0]] = monthFigures{r.Values, answer.Warnings}
	}
	return nil
}

// seenBefore notes the pages viewed before the oldest month that is shown.
func (a *asked) seenBefore(birth, oldest calendar.Date) error {
	n := birth.MonthsUntil(oldest)
	if n <= 0 {
		return nil
	}
	p := calendar.MonthPeriod(birth, n, a.m.Zone)
	answer, err := a.ask(a.m.question(p.From, p.To, []Metric{Pageviews}, EventPage))
	if err != nil {
		return err
	}
	a.see(answer)
	return nil
}

// see notes the pages of an answer whose first metric is page views, and counts
// the new ones.
func (a *asked) see(answer *Answer) (added int) {
	for _, r := range answer.Rows {
		if _, ok := a.seen[r.Dims[0]]; !ok && r.Values[0].Number > 0 {
			a.seen[r.Dims[0]] = struct{}{}
			added++
		}
	}
	return added
}

func (a *asked) whole(month calendar.Period) (monthFigures, error) {
	return a.figures[month.First.String()], nil
}

func (a *asked) part(p calendar.Period) ([]Value, error) {
	answer, err := a.ask(a.m.question(p.From, p.To, MonthMetrics()))
	if err != nil || len(answer.Rows) == 0 {
		return noFigures(), err
	}
	return answer.Rows[0].Values, nil
}

func (a *asked) lists(s *MonthStatus, month calendar.Period) error {
	answer, err := a.ask(a.m.pagesQuestion(month))
	if err != nil {
		return err
	}
	s.BestPages, s.NewPages = bestPages(answer), a.see(answer)
	if answer, err = a.ask(a.m.sourcesQuestion(month)); err != nil {
		return err
	}
	s.BestSources = bestSources(answer)
	return nil
}

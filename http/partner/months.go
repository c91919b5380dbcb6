package partner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

const (
	monthsShown    = 24
	monthsShownMax = 120
)

// months answers the monthly visit status, all of it from one state of the site.
func (d *Door) months(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	begin := d.cfg.Clock()
	domain, _ := ctx.UserValue("site").(string)
	site, err := d.site(ctx, who, domain)
	if err != nil {
		return err
	}
	a, done, err := d.ask(ctx, site)
	if err != nil {
		return err
	}
	defer done()
	m := query.Months{Now: a.now, Zone: site.Zone(), Lasting: lasting(site)}
	if m.Count, err = strconv.Atoi(parameter(ctx, "months", strconv.Itoa(monthsShown))); err != nil || m.Count < 1 || m.Count > monthsShownMax {
		return invalid("months: must be a number between 1 and %d", monthsShownMax)
	}
	m.End = calendar.DateOf(a.now, m.Zone).MonthStart()
	if text := parameter(ctx, "end", ""); text != "" {
		end, ok := calendar.ParseDate(text + "-01")
		if !ok || !inCalendar(end) {
			return invalid("end: must be a month, YYYY-MM")
		}
		if m.End.Before(end) {
			return invalid("end: %s has not begun", text)
		}
		m.End = end
	}
	status, err := a.monthStatus(m)
	if err != nil {
		return err
	}
	body := a.appendMonths(nil, status)
	body = strconv.AppendInt(append(body, `,"meta":{"elapsed_us":`...), d.cfg.Clock().Sub(begin).Microseconds(), 10)
	body = appendText(appendKey(body, "served_by"), d.cfg.ServedBy)
	a.write(ctx, append(body, "}}"...))
	return nil
}

// monthStatus reads the months and notes how far they look.
func (a *asking) monthStatus(m query.Months) (status []query.MonthStatus, err error) {
	err = a.door.cfg.Looker.Look(a.ctx, a.site.ID, a.after, func(ctx context.Context, p *query.Picture) error {
		a.index = p.Index()
		status, err = m.Read(ctx, p)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &analytics.Error{Code: analytics.Unavailable, Text: "months: took too long, ask for fewer or try again", Err: err}
	}
	return status, err
}

// appendMonths leaves the object open.
func (a *asking) appendMonths(dst []byte, months []query.MonthStatus) []byte {
	dst = appendText(append(dst, `{"site":`...), a.site.Domain)
	dst = appendText(appendKey(dst, "timezone"), a.site.Timezone)
	dst = strconv.AppendUint(appendKey(dst, "as_of"), a.index, 10)
	dst = append(appendKey(dst, "months"), '[')
	for i := range months {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMonth(dst, &months[i])
	}
	return append(dst, ']')
}

func appendMonth(dst []byte, s *query.MonthStatus) []byte {
	dst = appendText(append(dst, `{"month":`...), s.Start.MonthLabel())
	dst = strconv.AppendBool(appendKey(dst, "partial"), s.Partial)
	dst = strconv.AppendInt(appendKey(dst, "days_elapsed"), int64(s.DaysElapsed), 10)
	dst = strconv.AppendInt(appendKey(dst, "days"), int64(s.Days), 10)
	metrics := query.MonthMetrics()
	for i, m := range metrics {
		dst = appendFigure(appendKey(dst, string(m)), m, s.Figures[i])
	}
	dst = strconv.AppendInt(appendKey(dst, "new_pages"), int64(s.NewPages), 10)
	dst = append(appendKey(dst, "best_pages"), '[')
	for i, p := range s.BestPages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"page":`...), p.Page)
		dst = appendFigure(appendKey(dst, "pageviews"), query.Pageviews, p.Pageviews)
		dst = append(appendFigure(appendKey(dst, "visitors"), query.Visitors, p.Visitors), '}')
	}
	dst = append(appendKey(append(dst, ']'), "best_sources"), '[')
	for i, p := range s.BestSources {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"source":`...), p.Source)
		dst = appendFigure(appendKey(dst, "visitors"), query.Visitors, p.Visitors)
		dst = append(appendFigure(appendKey(dst, "visits"), query.Visits, p.Visits), '}')
	}
	dst = append(appendKey(append(dst, ']'), "change"), `{"month":`...)
	dst = appendMonthChange(dst, metrics, s.MonthChange)
	dst = appendMonthChange(append(dst, `,"year":`...), metrics, s.YearChange)
	dst = appendMonthSeal(append(dst, `},"sealed":`...), s.Seal)
	return append(appendMonthWarnings(dst, metrics, s.Warnings), '}')
}

func appendMonthChange(dst []byte, metrics []query.Metric, change []int) []byte {
	if change == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '{')
	for i, m := range metrics {
		dst = strconv.AppendInt(appendKey(dst, string(m)), int64(change[i]), 10)
	}
	return append(dst, '}')
}

// appendMonthSeal writes how a month was closed; its figures byte for byte as
// they are in the digest.
func appendMonthSeal(dst []byte, s *query.MonthSeal) []byte {
	if s == nil {
		return append(dst, "null"...)
	}
	dst = time.UnixMilli(s.At).UTC().AppendFormat(append(dst, `{"at":"`...), time.RFC3339)
	dst = fmt.Appendf(dst, `","digest":"%x","previous":"%x","figures":`, s.Digest, s.Previous)
	dst = append(dst, s.Figures...)
	dst = appendKey(dst, "late")
	if s.Late == nil {
		return append(dst, "null}"...)
	}
	dst = append(dst, '{')
	for i, m := range query.LateMetrics() {
		dst = strconv.AppendInt(appendKey(dst, string(m)), s.Late[i], 10)
	}
	return append(dst, "}}"...)
}

// appendMonthWarnings writes a member for figures that are not given in full, if
// there are any.
func appendMonthWarnings(dst []byte, metrics []query.Metric, warnings map[query.Metric]query.Warning) []byte {
	if len(warnings) == 0 {
		return dst
	}
	dst = append(appendKey(dst, "metric_warnings"), '{')
	for _, m := range metrics {
		if w, ok := warnings[m]; ok {
			dst = appendText(append(appendKey(dst, string(m)), `{"code":`...), w.Code)
			dst = append(appendText(append(dst, `,"warning":`...), w.Text), '}')
		}
	}
	return append(dst, '}')
}

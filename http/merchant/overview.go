package merchant

import (
	"context"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

const (
	overviewMax      = 500 // sites of one answer
	overviewParallel = 4   // sites asked at a time
	overviewDays     = 7
	liveMS           = 5 * 60 * 1000 // who counts as being there
)

type glance struct {
	Domain         string `json:"domain"`
	Timezone       string `json:"timezone"`
	Live           int    `json:"live"`
	Pageviews      []int  `json:"pageviews"` // of seven days, today last
	VisitorsToday  int    `json:"visitors_today"`
	PageviewsToday int    `json:"pageviews_today"`
	Change         *int   `json:"change"` // of page views, against the same part of the day a week before
}

// overview shows every site that the caller may read, at a glance.
func (h *Handler) overview(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.Operator && who.User == 0 && !slices.Contains(who.Scopes, accounts.StatsRead) {
		return analytics.Errorf(analytics.Forbidden, "authorization: this key may not read statistics")
	}
	p, err := pageOf(ctx, overviewMax)
	if err != nil {
		return err
	}
	sites, err := h.sitesOf(ctx, who, read)
	if err != nil {
		return err
	}
	out := struct {
		Sites []glance `json:"sites"`
		Next  string   `json:"next,omitempty"`
	}{}
	sites, out.Next = p.cut(sites)
	door.FindAll(ctx, h.opts.Placer, sites)
	out.Sites = make([]glance, len(sites))

	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	group, limited := errgroup.WithContext(limit)
	group.SetLimit(overviewParallel)
	now := h.now()
	for i, s := range sites {
		group.Go(func() (err error) {
			out.Sites[i], err = h.glance(limited, s, now)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

func (h *Handler) glance(ctx context.Context, s *analytics.Site, now int64) (glance, error) {
	g := glance{Domain: s.Domain, Timezone: s.Timezone, Pageviews: make([]int, overviewDays)}
	zone := s.Zone()
	today := calendar.DateOf(now, zone)
	first := today.AddDays(1 - overviewDays)
	from, _ := dayRange(first, zone)
	todayFrom, _ := dayRange(today, zone)
	thenFrom, _ := dayRange(today.AddDays(-7), zone)
	thenTo := sameTimeWeekBefore(now, zone)

	days, err := h.ask(ctx, s, now, from, now+1, []query.Dimension{query.TimeDay}, query.Pageviews)
	if err != nil {
		return g, err
	}
	for _, row := range days.Rows {
		if date, ok := calendar.ParseDate(row.Dims[0]); ok {
			if i := first.DaysUntil(date); i >= 0 && i < overviewDays {
				g.Pageviews[i] = int(row.Values[0].Number)
			}
		}
	}
	todays, err := h.ask(ctx, s, now, todayFrom, now+1, nil, query.Visitors, query.Pageviews)
	if err != nil {
		return g, err
	}
	g.VisitorsToday, g.PageviewsToday = int(figure(todays, 0).Number), int(figure(todays, 1).Number)
	then, err := h.ask(ctx, s, now, thenFrom, max(thenTo, thenFrom), nil, query.Pageviews)
	if err != nil {
		return g, err
	}
	// A site that was not there a week ago has nothing to be compared with.
	if before := figure(then, 0); before.Number > 0 || s.Created < thenTo {
		if change, ok := query.Change(query.Pageviews, figure(todays, 1), before); ok {
			g.Change = &change
		}
	}
	g.Live, err = h.liveVisitors(ctx, s)
	return g, err
}

// dayRange gives a local day as [from, to) in Unix ms.
func dayRange(d calendar.Date, zone *time.Location) (from, to int64) {
	p := calendar.DayPeriod(d, d, zone)
	return p.From, p.To
}

// sameTimeWeekBefore gives the end of the same part of the day seven days
// earlier, by the wall clock.
func sameTimeWeekBefore(now int64, zone *time.Location) int64 {
	return time.UnixMilli(now).In(zone).AddDate(0, 0, -7).UnixMilli() + 1
}

func (h *Handler) ask(ctx context.Context, s *analytics.Site, now, from, to int64, dims []query.Dimension, metrics ...query.Metric) (*query.Answer, error) {
	return h.opts.Asker.Ask(ctx, s.ID, &query.Question{From: from, To: to, Zone: s.Zone(), Metrics: metrics, Dimensions: dims, Now: now})
}

// figure gives a figure of an answer without dimensions; nothing counted is 0.
func figure(a *query.Answer, i int) query.Value {
	if len(a.Rows) == 0 || i >= len(a.Rows[0].Values) {
		return query.Value{}
	}
	return a.Rows[0].Values[i]
}

// liveVisitors counts the visitors of the last five minutes.
func (h *Handler) liveVisitors(ctx context.Context, s *analytics.Site) (int, error) {
	now := h.now()
	a, err := h.ask(ctx, s, now, now-liveMS, now+1, nil, query.Visitors)
	if err != nil {
		return 0, err
	}
	return int(figure(a, 0).Number), nil
}

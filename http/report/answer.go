package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

// report is a question that was understood.
type report struct {
	period calendar.Period
	since  int64 // Unix ms; what happened before has no influence on the answer
	// key has everything that the answer depends on beside the site's numbers; nil
	// if it is not to be kept.
	key any
	// look gives the answer's members, from one state of the site.
	look func(ctx context.Context, p *query.Picture) (any, error)
}

// asked is how an answer repeats its question. The last second is included.
type asked struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func askedOf(p calendar.Period) asked {
	return asked{From: stamp(p.From, p.Zone()), To: stamp(max(p.From, p.To-1), p.Zone())}
}

func stamp(ms int64, zone *time.Location) string {
	return time.UnixMilli(ms).In(zone).Format("2006-01-02T15:04:05-07:00")
}

// head is what every answer begins with.
type head struct {
	Site     string `json:"site"`
	Timezone string `json:"timezone"`
}

// meta is what every answer ends with. It is no part of what is kept.
type meta struct {
	AsOf      uint64 `json:"as_of"`
	ElapsedUS int64  `json:"elapsed_us"`
	ServedBy  string `json:"served_by"`
	Partial   bool   `json:"partial"`
}

// answer makes a handler of what reads a report's request.
func (d *Door) answer(name string, read func(*request) (*report, error)) door.Handler {
	return func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		begin := d.cfg.Clock()
		parent, cancel := context.WithTimeout(context.Background(), d.cfg.Timeout)
		defer cancel()
		within, stop := door.Watch(ctx, parent)
		defer stop()
		r, err := d.open(ctx, who)
		if err != nil {
			return err
		}
		r.ctx = within
		rep, err := read(r)
		if err != nil {
			return err
		}
		if err := r.closed(); err != nil {
			return err
		}
		body, index, err := d.body(r, name, rep)
		if err != nil {
			return why(err)
		}
		tail, err := json.Marshal(meta{index, d.cfg.Clock().Sub(begin).Microseconds(), d.cfg.ServedBy, rep.period.Partial(r.now)})
		if err != nil {
			return fmt.Errorf("encode meta: %w", err)
		}
		out := make([]byte, 0, len(body)+len(tail)+10)
		out = append(append(out, body[:len(body)-1]...), `,"meta":`...)
		out = append(append(out, tail...), '}')
		h := &ctx.Response.Header
		h.SetContentType("application/json; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Footfall-Index", strconv.FormatUint(index, 10))
		ctx.Response.SetBodyRaw(out)
		return nil
	}
}

// why tells a user what ended a report.
func why(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &analytics.Error{Code: analytics.Unavailable, Text: "date_range: took too long; ask about less or try again", Err: err}
	}
	if errors.Is(err, context.Canceled) {
		return &analytics.Error{Code: analytics.Unavailable, Text: "request: was ended", Err: err}
	}
	return err
}

// body gives the answer without meta, and how far into the log it looked.
func (d *Door) body(r *request, name string, rep *report) ([]byte, uint64, error) {
	// What makes the body may go on when this request has ended: it holds nothing of it.
	site, after := r.site, r.after
	if d.cfg.Cache == nil || rep.key == nil {
		return d.make(r.ctx, site, after, rep)
	}
	key, err := json.Marshal([]any{name, site.Domain, site.Timezone, rep.key})
	if err != nil {
		return nil, 0, fmt.Errorf("encode key: %w", err)
	}
	body, index, _, err := d.cfg.Cache.Bytes(r.ctx, site.ID, rep.since, rep.period.To, after, key, func(ctx context.Context) ([]byte, error) {
		body, _, err := d.make(ctx, site, after, rep)
		return body, err
	})
	return body, index, err
}

// make looks at the site's state.
func (d *Door) make(ctx context.Context, site *analytics.Site, after analytics.Token, rep *report) (body []byte, index uint64, err error) {
	err = d.cfg.Looker.Look(ctx, site.ID, after, func(ctx context.Context, p *query.Picture) error {
		v, err := rep.look(ctx, p)
		if err != nil {
			return err
		}
		index = p.Index()
		body, err = json.Marshal(v)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return body, index, nil
}

// warning says why a figure is not given in full.
type warning struct {
	Code string `json:"code"`
	Text string `json:"warning"`
}

func warningsOf(all map[query.Metric]query.Warning) map[query.Metric]warning {
	if len(all) == 0 {
		return nil
	}
	out := make(map[query.Metric]warning, len(all))
	for m, w := range all {
		out[m] = warning(w)
	}
	return out
}

func headOf(s *analytics.Site) head { return head{s.Domain, s.Timezone} }

// figure writes a figure as its metric is shown, null where there is none.
func figure(m query.Metric, v query.Value) *float64 {
	if v.Null {
		return nil
	}
	x := query.Shown(m, v.Number)
	return &x
}

// number writes a figure as it is.
func number(v query.Value) *float64 {
	if v.Null {
		return nil
	}
	return &v.Number
}

// key is how far the answer has to be told apart: by range, filter and options.
type key struct {
	From, To int64
	Filter   *query.Filter
	Lasting  bool
	Options  any
}

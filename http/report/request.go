package report

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

// rangeMSMax is the longest range of a report: five years.
const rangeMSMax = (5*365 + 2) * 24 * 60 * 60 * 1000

const rangeDefault = "30d"

// request is one request: who asks for what about which site, and the members of
// the body or the parameters, of which each handler takes those it knows.
type request struct {
	ctx     context.Context
	who     accounts.Identity
	site    *analytics.Site
	after   analytics.Token
	now     int64 // Unix ms
	members map[string]any
	taken   map[string]bool
	// parameters says that members are parameters, of which all but filters and
	// ranges are texts.
	parameters bool
}

func invalid(text string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, text, args...)
}

// open reads what all reports share.
func (d *Door) open(ctx *fasthttp.RequestCtx, who accounts.Identity) (*request, error) {
	domain, _ := ctx.UserValue("site").(string)
	site, err := d.cfg.Dialect.Site(ctx, who, domain)
	if err != nil {
		return nil, err
	}
	r := &request{who: who, site: site, now: d.cfg.Clock().UnixMilli(), taken: map[string]bool{}}
	if r.after, err = door.After(ctx); err != nil {
		return nil, err
	}
	if ctx.IsPost() {
		r.members, err = bodyMembers(ctx.PostBody())
	} else {
		r.parameters = true
		r.members, err = parameters(ctx.QueryArgs())
	}
	return r, err
}

// bodyMembers reads a body, which is one JSON object; an empty one has no members.
func bodyMembers(body []byte) (map[string]any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	v, err := decode(body)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, invalid("body: must be a JSON object")
	}
	return m, nil
}

// decode reads one JSON value, numbers as they are written.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return v, nil
}

// parameters makes of a query the members that a body would have: filters is
// JSON, a date_range of two dates has a comma, or from and to stand for it.
func parameters(args *fasthttp.Args) (map[string]any, error) {
	m := map[string]any{}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch {
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return nil, invalid("%s: must be UTF-8", cut(name))
		case m[name] != nil:
			return nil, invalid("%s: given twice", cut(name))
		case name == "filters":
			list, err := decode(v)
			if err != nil {
				return nil, invalid("filters: must be JSON, a list of filters")
			}
			m[name] = list
		case name != "token":
			m[name] = value
		}
	}
	if text, ok := m["date_range"].(string); ok {
		if from, to, two := strings.Cut(text, ","); two {
			m["date_range"] = []any{from, to}
		}
	}
	from, okFrom := m["from"]
	to, okTo := m["to"]
	switch {
	case !okFrom && !okTo:
		return m, nil
	case m["date_range"] != nil:
		return nil, invalid("date_range: cannot be given together with from and to")
	case !okFrom:
		return nil, invalid("from: is missing beside to")
	case !okTo:
		return nil, invalid("to: is missing beside from")
	}
	delete(m, "from")
	delete(m, "to")
	m["date_range"] = []any{from, to}
	return m, nil
}

// take gives a member, nil if it is missing.
func (r *request) take(name string) any {
	r.taken[name] = true
	return r.members[name]
}

// closed refuses what no handler has taken.
func (r *request) closed() error {
	unknown := ""
	for name := range r.members {
		if !r.taken[name] && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown == "" && r.members[""] == nil {
		return nil
	}
	return invalid("%s: there is no such member here", cut(unknown))
}

// text takes a text of at most most bytes; fallback if it is missing.
func (r *request) text(name, fallback string, most int) (string, error) {
	v := r.take(name)
	if v == nil {
		return fallback, nil
	}
	s, ok := v.(string)
	switch {
	case !ok:
		return "", invalid("%s: must be a text", name)
	case len(s) > most:
		return "", invalid("%s: longer than %d bytes", name, most)
	}
	return s, nil
}

// choice takes one of a few words; the first is the fallback.
func (r *request) choice(name string, words ...string) (string, error) {
	s, ok := r.take(name).(string)
	if r.members[name] == nil {
		return words[0], nil
	}
	for _, w := range words {
		if ok && s == w {
			return w, nil
		}
	}
	return "", invalid("%s: must be %s", name, strings.Join(words, " or "))
}

// number takes a whole number from low to high.
func (r *request) number(name string, fallback, low, high int) (int, error) {
	var text string
	switch v := r.take(name).(type) {
	case nil:
		return fallback, nil
	case json.Number:
		text = v.String()
	case string:
		if r.parameters {
			text = v
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, invalid("%s: must be a whole number from %d to %d", name, low, high)
	}
	return n, nil
}

// period takes date_range.
func (d *Door) period(r *request, fallback string) (calendar.Period, error) {
	v := r.take("date_range")
	if v == nil {
		v = fallback
	}
	p, err := d.cfg.Dialect.Span(r.ctx, r.site, v, r.now)
	switch {
	case err != nil:
		return p, err
	case p.To <= p.From:
		return p, invalid("date_range: ends before it begins")
	case p.To-p.From > rangeMSMax:
		return p, invalid("date_range: longer than five years")
	}
	return p, nil
}

// filter takes filters.
func (d *Door) filter(r *request) (*query.Filter, error) {
	return d.cfg.Dialect.Filter(r.ctx, r.site, r.who, r.take("filters"))
}

// lasting tells whether visitors of the site keep their ids over several days.
func (r *request) lasting() bool {
	return r.site.Uniques == analytics.UniquesWeekly || r.site.Uniques == analytics.UniquesMonthly
}

// cut keeps texts of the caller short in an error.
func cut(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// sortedKeys gives the names of members in order.
func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

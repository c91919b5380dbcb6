package partner

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Bounds of a v2 query.
const (
	limitMax      = 10_000
	offsetMax     = 1_000_000_000
	dimensionsMax = 8
	orderMax      = 32
)

// queryV2 is a parsed and checked v2 query; what it does not hold yet is the
// date range, which needs the site.
type queryV2 struct {
	words       *words
	metrics     []query.Metric
	dimensions  []query.Dimension
	filters     []any // as given, segments written out, for the echo
	filter      *query.Filter
	tests       tests         // of filter
	goals       []*query.Goal // of the rows of event:goal
	orderBy     []query.Order
	rangeValue  any
	include     includeV2
	comparisons *comparisonsV2
	limit       int
	limited     bool // the limit was asked for
	offset      int
}

type includeV2 struct{ imports, timeLabels, totalRows, trim bool }

type comparisonsV2 struct {
	mode         string
	rangeValue   any
	matchWeekday bool
}

func invalid(format string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, format, args...)
}

// decodeObject reads exactly one JSON object.
func decodeObject(body []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, invalid("#: Invalid JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, invalid("#: Invalid JSON")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("#: Type mismatch. Expected Object but got %s.", typeName(v))
	}
	return m, nil
}

// parseV2 reads and checks a query. The texts are those of the dialect.
func parseV2(m map[string]any, w *words) (*queryV2, error) {
	if err := onlyKeys("#", m, "site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"); err != nil {
		return nil, err
	}
	q := &queryV2{words: w, limit: limitMax}
	for _, key := range []string{"metrics", "date_range"} {
		if _, ok := m[key]; !ok {
			return nil, invalid("#: Required property %s was not present.", key)
		}
	}
	q.rangeValue = m["date_range"]
	for _, step := range []func(map[string]any) error{q.parseMetrics, q.parseDimensions, q.parseFilters, q.parseOrder, q.parseInclude, q.parsePagination} {
		if err := step(m); err != nil {
			return nil, err
		}
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	if slices.Contains(q.dimensions, query.EventGoal) {
		if q.goals = q.tests.reached; !q.tests.goals {
			q.goals = w.every()
		}
	}
	return q, nil
}

func onlyKeys(at string, m map[string]any, known ...string) error {
	unknown := ""
	for key := range m {
		if !slices.Contains(known, key) && (unknown == "" || key < unknown) {
			unknown = key
		}
	}
	if unknown != "" {
		return invalid("%s/%s: Schema does not allow additional properties.", at, cut(unknown))
	}
	return nil
}

// cut keeps texts of the caller short in an error.
func cut(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "String"
	case json.Number:
		return "Number"
	case bool:
		return "Boolean"
	case []any:
		return "Array"
	case map[string]any:
		return "Object"
	}
	return "Null"
}

func mismatch(at, want string, v any) error {
	return invalid("%s: Type mismatch. Expected %s but got %s.", at, want, typeName(v))
}

// text writes a value of the caller as JSON, for an error or the echo.
func text(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// list gives a member that is a list; nil when it is missing.
func list(m map[string]any, key string) ([]any, error) {
	v, ok := m[key]
	if !ok {
		return nil, nil
	}
	l, ok := v.([]any)
	if !ok {
		return nil, mismatch("#/"+key, "Array", v)
	}
	return l, nil
}

func (q *queryV2) parseMetrics(m map[string]any) error {
	l, err := list(m, "metrics")
	if err != nil {
		return err
	}
	if len(l) == 0 {
		return invalid("#/metrics: Expected a minimum of 1 items but got 0.")
	}
	for i, v := range l {
		s, _ := v.(string)
		metric, ok := metricNamed(s)
		if !ok {
			return invalid("#/metrics/%d: Invalid metric %s", i, cut(text(v)))
		}
		if slices.Contains(q.metrics, metric) {
			return invalid("#/metrics: Expected items to be unique but they were not.")
		}
		q.metrics = append(q.metrics, metric)
	}
	return nil
}

func (q *queryV2) parseDimensions(m map[string]any) error {
	l, err := list(m, "dimensions")
	if err != nil {
		return err
	}
	if len(l) > dimensionsMax {
		return invalid("#/dimensions: Expected a maximum of %d items but got %d.", dimensionsMax, len(l))
	}
	times := 0
	for i, v := range l {
		s, _ := v.(string)
		d, ok := dimensionNamed(s)
		switch {
		case !ok:
			return invalid("#/dimensions/%d: Invalid dimension %s", i, cut(text(v)))
		case slices.Contains(q.dimensions, d):
			return invalid("#/dimensions: Expected items to be unique but they were not.")
		}
		if isTime(d) {
			times++
		}
		q.dimensions = append(q.dimensions, d)
	}
	if times > 1 {
		return invalid("#/dimensions: only one time dimension is allowed")
	}
	return nil
}

func (q *queryV2) parseOrder(m map[string]any) error {
	l, err := list(m, "order_by")
	if err != nil {
		return err
	}
	if len(l) > orderMax {
		return invalid("#/order_by: Expected a maximum of %d items but got %d.", orderMax, len(l))
	}
	for i, v := range l {
		pair, _ := v.([]any)
		if len(pair) != 2 {
			return invalid("#/order_by/%d: Invalid value in order_by %s", i, cut(text(v)))
		}
		name, okName := pair[0].(string)
		way, _ := pair[1].(string)
		if !okName || way != "asc" && way != "desc" {
			return invalid("#/order_by/%d: Invalid value in order_by %s", i, cut(text(v)))
		}
		o := query.Order{Desc: way == "desc"}
		switch {
		case slices.Contains(q.metrics, query.Metric(name)):
			o.Metric = query.Metric(name)
		case slices.Contains(q.dimensions, query.Dimension(name)):
			o.Dimension = query.Dimension(name)
		default:
			return invalid("Invalid order_by entry '%s'. Entry is not a queried metric or dimension.", cut(text(v)))
		}
		q.orderBy = append(q.orderBy, o)
	}
	return nil
}

func (q *queryV2) parseInclude(m map[string]any) error {
	v, ok := m["include"]
	if !ok {
		return nil
	}
	in, ok := v.(map[string]any)
	if !ok {
		return mismatch("#/include", "Object", v)
	}
	if err := onlyKeys("#/include", in, "imports", "time_labels", "total_rows", "trim_relative_date_range", "comparisons"); err != nil {
		return err
	}
	for _, f := range []struct {
		key string
		to  *bool
	}{{"imports", &q.include.imports}, {"time_labels", &q.include.timeLabels}, {"total_rows", &q.include.totalRows}, {"trim_relative_date_range", &q.include.trim}} {
		if err := boolean("#/include", in, f.key, f.to); err != nil {
			return err
		}
	}
	return q.parseComparisons(in)
}

func boolean(at string, m map[string]any, key string, to *bool) error {
	v, ok := m[key]
	if !ok {
		return nil
	}
	if *to, ok = v.(bool); !ok {
		return mismatch(at+"/"+key, "Boolean", v)
	}
	return nil
}

func (q *queryV2) parseComparisons(in map[string]any) error {
	const at = "#/include/comparisons"
	v, ok := in["comparisons"]
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return mismatch(at, "Object", v)
	}
	if err := onlyKeys(at, m, "mode", "date_range", "match_day_of_week"); err != nil {
		return err
	}
	c := &comparisonsV2{}
	c.mode, _ = m["mode"].(string)
	var given bool
	c.rangeValue, given = m["date_range"]
	switch {
	case c.mode != "previous_period" && c.mode != "year_over_year" && c.mode != "custom":
		return invalid("%s/mode: Invalid comparison mode %s", at, cut(text(m["mode"])))
	case c.mode == "custom" && !given:
		return invalid("%s: Required property date_range was not present.", at)
	case c.mode != "custom" && given:
		return invalid("%s/date_range: only allowed with mode \"custom\"", at)
	}
	q.comparisons = c
	return boolean(at, m, "match_day_of_week", &c.matchWeekday)
}

func (q *queryV2) parsePagination(m map[string]any) error {
	v, ok := m["pagination"]
	if !ok {
		return nil
	}
	p, ok := v.(map[string]any)
	if !ok {
		return mismatch("#/pagination", "Object", v)
	}
	if err := onlyKeys("#/pagination", p, "limit", "offset"); err != nil {
		return err
	}
	_, q.limited = p["limit"]
	if err := integer(p, "limit", 1, limitMax, &q.limit); err != nil {
		return err
	}
	return integer(p, "offset", 0, offsetMax, &q.offset)
}

func integer(m map[string]any, key string, least, most int, to *int) error {
	v, ok := m[key]
	if !ok {
		return nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return mismatch("#/pagination/"+key, "Integer", v)
	}
	i, err := strconv.Atoi(n.String())
	switch {
	case err != nil && strings.ContainsAny(n.String(), ".eE"):
		return mismatch("#/pagination/"+key, "Integer", v)
	case strings.HasPrefix(n.String(), "-") || err == nil && i < least:
		return invalid("#/pagination/%s: Expected the value to be >= %d", key, least)
	case err != nil || i > most:
		return invalid("#/pagination/%s: Expected the value to be <= %d", key, most)
	}
	*to = i
	return nil
}

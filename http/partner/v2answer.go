package partner

import (
	"slices"
	"strconv"

	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

func (r *resolved) appendResults(dst []byte, rows []comparedRow) []byte {
	dst = append(dst, '[')
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		row := &rows[i]
		dst = appendTexts(append(dst, `{"dimensions":`...), row.Dims)
		dst = appendFigures(append(dst, `,"metrics":`...), r.metrics, row.Values)
		if row.then != nil {
			dst = appendTexts(append(dst, `,"comparison":{"dimensions":`...), row.then.Dims)
			dst = appendFigures(append(dst, `,"metrics":`...), r.metrics, row.then.Values)
			dst = r.appendChange(append(dst, `,"change":`...), row)
			dst = append(dst, '}')
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func (r *resolved) appendChange(dst []byte, row *comparedRow) []byte {
	dst = append(dst, '[')
	for i, m := range r.metrics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendChange(dst, m, row.Values[i], row.then.Values[i])
	}
	return append(dst, ']')
}

func appendChange(dst []byte, m query.Metric, now, then query.Value) []byte {
	if change, ok := query.Change(m, now, then); ok {
		return strconv.AppendInt(dst, int64(change), 10)
	}
	return append(dst, "null"...)
}

func (a *asking) appendMeta(dst []byte, r *resolved, now *query.Answer, total int) []byte {
	dst = strconv.AppendUint(append(dst, `{"as_of":`...), a.index, 10)
	dst = strconv.AppendBool(appendKey(dst, "partial"), r.period.Partial(a.now))
	if r.include.imports {
		dst = append(dst, `,"imports_included":false,"imports_skip_reason":"no_imported_data"`...)
	}
	if r.include.timeLabels {
		dst = appendTexts(appendKey(dst, "time_labels"), labels(r.buckets, nil))
		dst = appendTexts(appendKey(dst, "partial_time_labels"), labels(r.buckets, func(b calendar.Bucket) bool {
			return b.Partial || b.From <= a.now && a.now < b.To
		}))
	}
	if r.other != nil {
		if r.include.timeLabels {
			dst = appendTexts(appendKey(dst, "comparison_time_labels"), labels(a.bucketsOfOther(r), nil))
		}
		at := stamps(*r.other)
		dst = appendTexts(appendKey(dst, "comparison_date_range"), at[:])
	}
	if r.include.totalRows {
		dst = strconv.AppendInt(appendKey(dst, "total_rows"), int64(total), 10)
	}
	if len(now.Warnings) > 0 {
		dst = append(appendKey(dst, "metric_warnings"), '{')
		for _, m := range r.metrics {
			if w, ok := now.Warnings[m]; ok {
				dst = appendText(append(appendKey(dst, string(m)), `{"code":`...), w.Code)
				dst = append(appendText(append(dst, `,"warning":`...), w.Text), '}')
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// labels lists the buckets that pass, each label once.
func labels(buckets []calendar.Bucket, pass func(calendar.Bucket) bool) []string {
	out := make([]string, 0, len(buckets))
	for _, b := range buckets {
		if pass != nil && !pass(b) || len(out) > 0 && slices.Contains(out[max(0, len(out)-2):], b.Label) {
			continue
		}
		out = append(out, b.Label)
	}
	return out
}

// appendQuery echoes the query as it was executed.
func (a *asking) appendQuery(dst []byte, r *resolved) []byte {
	dst = appendText(append(dst, `{"site_id":`...), a.site.Domain)
	dst = appendTexts(appendKey(dst, "metrics"), r.metrics)
	at := stamps(r.period.Period)
	dst = appendTexts(appendKey(dst, "date_range"), at[:])
	dst = appendKey(dst, "filters")
	if len(r.filters) == 0 {
		dst = append(dst, "[]"...)
	} else {
		dst = append(dst, text(r.filters)...)
	}
	dst = appendTexts(appendKey(dst, "dimensions"), r.dimensions)
	dst = r.appendOrder(appendKey(dst, "order_by"))
	dst = append(appendKey(dst, "include"), `{"imports":`...)
	dst = strconv.AppendBool(dst, r.include.imports)
	dst = strconv.AppendBool(appendKey(dst, "time_labels"), r.include.timeLabels)
	dst = strconv.AppendBool(appendKey(dst, "total_rows"), r.include.totalRows)
	dst = strconv.AppendBool(appendKey(dst, "trim_relative_date_range"), r.include.trim)
	if c := r.comparisons; c != nil {
		dst = appendText(append(appendKey(dst, "comparisons"), `{"mode":`...), c.mode)
		if c.mode == "custom" {
			dst = append(appendKey(dst, "date_range"), text(c.rangeValue)...)
		}
		dst = strconv.AppendBool(appendKey(dst, "match_day_of_week"), c.matchWeekday)
		dst = append(dst, '}')
	}
	dst = append(dst, '}')
	dst = strconv.AppendInt(append(appendKey(dst, "pagination"), `{"limit":`...), int64(r.limit), 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), int64(r.offset), 10)
	return append(dst, "}}"...)
}

func (r *resolved) appendOrder(dst []byte) []byte {
	order := r.orderBy
	if len(order) == 0 {
		if r.timeAt >= 0 {
			order = append(order, query.Order{Dimension: r.dimensions[r.timeAt]})
		}
		order = append(order, query.Order{Metric: r.metrics[0], Desc: true})
	}
	dst = append(dst, '[')
	for i, o := range order {
		if i > 0 {
			dst = append(dst, ',')
		}
		way := "asc"
		if o.Desc {
			way = "desc"
		}
		dst = appendTexts(dst, []string{string(o.Metric) + string(o.Dimension), way})
	}
	return append(dst, ']')
}

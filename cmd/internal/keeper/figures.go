package keeper

import (
	"encoding/json"
	"strconv"

	"footfall/analytics/entry"
	"footfall/analytics/query"
)

// appendFigures writes what is kept of a closed month. The form is canonical:
// one order of fields, no spaces, numbers as short as they can be, so that equal
// figures are equal bytes. It is part of the digest of every closed month and
// stays as it is:
//
//	{"month":"2026-03","timezone":"Europe/Berlin","days":31,
//	 "visits":…,"visitors":…,"pageviews":…,"views_per_visit":…,"bounce_rate":…,"visit_duration":…,
//	 "new_pages":…,"best_pages":[{"page":…,"pageviews":…,"visitors":…}],
//	 "best_sources":[{"source":…,"visitors":…,"visits":…}]}
//
// Best pages that have no room, because of very long paths, are left out.
func appendFigures(dst []byte, s *query.MonthStatus, timezone string) ([]byte, error) {
	start := len(dst)
	w := writer{b: dst}
	w.text(`{"month":`, s.Start.MonthLabel())
	w.text(`,"timezone":`, timezone)
	w.b = strconv.AppendInt(append(w.b, `,"days":`...), int64(s.Days), 10)
	for i, m := range query.MonthMetrics() {
		w.value(`,"`+string(m)+`":`, s.Figures[i])
	}
	w.b = strconv.AppendInt(append(w.b, `,"new_pages":`...), int64(s.NewPages), 10)
	w.b = append(w.b, `,"best_pages":[`...)
	for i, p := range s.BestPages {
		before := len(w.b)
		w.comma(i)
		w.text(`{"page":`, p.Page)
		w.value(`,"pageviews":`, p.Pageviews)
		w.value(`,"visitors":`, p.Visitors)
		w.b = append(w.b, '}')
		if len(w.b)-start > entry.FiguresBytesMax/2 {
			w.b = w.b[:before]
			break
		}
	}
	w.b = append(w.b, `],"best_sources":[`...)
	for i, p := range s.BestSources {
		w.comma(i)
		w.text(`{"source":`, p.Source)
		w.value(`,"visitors":`, p.Visitors)
		w.value(`,"visits":`, p.Visits)
		w.b = append(w.b, '}')
	}
	return append(w.b, "]}"...), w.err
}

// writer appends JSON and remembers the first error.
type writer struct {
	b   []byte
	err error
}

// text appends before and s as JSON, with the escapes of encoding/json, so that
// writing it again changes nothing.
func (w *writer) text(before, s string) {
	t, err := json.Marshal(s)
	if w.err == nil {
		w.err = err
	}
	w.b = append(append(w.b, before...), t...)
}

// comma stands between elements: before all but the first.
func (w *writer) comma(i int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
}

func (w *writer) value(before string, v query.Value) {
	w.b = append(w.b, before...)
	if v.Null {
		w.b = append(w.b, "null"...)
		return
	}
	w.b = strconv.AppendFloat(w.b, v.Number, 'f', -1, 64)
}

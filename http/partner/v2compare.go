package partner

import (
	"slices"
	"strings"

	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// comparedRow is a row and, when comparisons were asked for, the same row of
// the other range. Rows of a time dimension are the same when their buckets
// have the same position.
type comparedRow struct {
	query.Row
	then     *query.Row
	position int // of the bucket; -1 without a time dimension
}

func plainRows(a *query.Answer) []comparedRow {
	rows := make([]comparedRow, len(a.Rows))
	for i, row := range a.Rows {
		rows[i] = comparedRow{Row: row, position: -1}
	}
	return rows
}

// positions finds the bucket of a row by its label. Two hours of one day can
// have the same label; the rows come in the order of their buckets then, or in
// the opposite one, so the first, second … row of the same dimensions is given
// the first, second … bucket of that label.
type positions struct {
	timeAt int
	labels map[string][]int
	seen   map[string]int
}

func newPositions(buckets []calendar.Bucket, timeAt int) *positions {
	p := &positions{timeAt: timeAt, labels: make(map[string][]int, len(buckets)), seen: map[string]int{}}
	for i, b := range buckets {
		p.labels[b.Label] = append(p.labels[b.Label], i)
	}
	return p
}

func (p *positions) of(dims []string) int {
	if p.timeAt < 0 {
		return -1
	}
	at := p.labels[dims[p.timeAt]]
	switch len(at) {
	case 0:
		return -1
	case 1:
		return at[0]
	}
	key := strings.Join(dims, "\x00")
	n := min(p.seen[key], len(at)-1)
	p.seen[key]++
	return at[n]
}

// joinKey names a row by what makes it the same in both ranges.
type joinKey struct {
	position int
	dims     string // without time
}

func (r *resolved) key(dims []string, position int) joinKey {
	if r.timeAt >= 0 {
		dims = slices.Delete(slices.Clone(dims), r.timeAt, r.timeAt+1)
	}
	return joinKey{position, strings.Join(dims, "\x00")}
}

// compare gives every row of now its row of then; one that is not there has
// nothing counted.
func (r *resolved) compare(now, then *query.Answer, other []calendar.Bucket) []comparedRow {
	before := make(map[joinKey]*query.Row, len(then.Rows))
	at := newPositions(other, r.timeAt)
	for i := range then.Rows {
		row := &then.Rows[i]
		before[r.key(row.Dims, at.of(row.Dims))] = row
	}
	rows := make([]comparedRow, len(now.Rows))
	at = newPositions(r.buckets, r.timeAt)
	for i, row := range now.Rows {
		position := at.of(row.Dims)
		rows[i] = comparedRow{Row: row, position: position, then: before[r.key(row.Dims, position)]}
		if rows[i].then == nil {
			rows[i].then = r.nothing(r.dimsThen(row.Dims, position, other))
		}
	}
	return rows
}

// dimsThen names the row of the other range that has no figures: a bucket
// beyond its end has no name.
func (r *resolved) dimsThen(dims []string, position int, other []calendar.Bucket) []string {
	if r.timeAt < 0 {
		return dims
	}
	dims = slices.Clone(dims)
	dims[r.timeAt] = ""
	if position >= 0 && position < len(other) {
		dims[r.timeAt] = other[position].Label
	}
	return dims
}

func (r *resolved) nothing(dims []string) *query.Row {
	row := &query.Row{Dims: dims}
	for _, m := range r.metrics {
		row.Values = append(row.Values, query.Nothing(m))
	}
	r.money.nothing(row)
	return row
}

// withMissing adds to a series the buckets that only the other range has
// figures for, so that its line in a chart has no holes.
func (r *resolved) withMissing(rows []comparedRow, then *query.Answer, other []calendar.Bucket) []comparedRow {
	have := make(map[int]bool, len(rows))
	for _, row := range rows {
		have[row.position] = true
	}
	at := newPositions(other, r.timeAt)
	added := false
	for i := range then.Rows {
		row := &then.Rows[i]
		position := at.of(row.Dims)
		if position < 0 || position >= len(r.buckets) || have[position] {
			continue
		}
		empty := r.nothing([]string{r.buckets[position].Label})
		rows = append(rows, comparedRow{Row: *empty, then: row, position: position})
		added = true
	}
	if added {
		r.sort(rows)
	}
	return rows
}

// sort puts the rows of a series in the order that was asked for; ties and the
// default by time.
func (r *resolved) sort(rows []comparedRow) {
	slices.SortStableFunc(rows, func(a, b comparedRow) int {
		for _, o := range r.orderBy {
			c := a.position - b.position
			if o.Metric != "" {
				c = compareValues(a.Values, b.Values, slices.Index(r.metrics, o.Metric), o.Desc)
			} else if o.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return a.position - b.position
	})
}

// compareValues orders two figures; no figure comes last in either direction.
func compareValues(a, b []query.Value, i int, desc bool) int {
	x, y := a[i], b[i]
	c := 0
	switch {
	case x.Null && y.Null:
		return 0
	case x.Null:
		return 1
	case y.Null:
		return -1
	case x.Number < y.Number:
		c = -1
	case x.Number > y.Number:
		c = 1
	}
	if desc {
		return -c
	}
	return c
}

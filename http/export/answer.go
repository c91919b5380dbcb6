package export

import (
	"math"

	"footfall/analytics/query"
)

// answerColumns describes the rows of a question: its dimensions, then its
// metrics, by the names that they were asked for. Revenue has a column more, for
// the currency.
func answerColumns(q *query.Question) []heading {
	var cols []heading
	for _, d := range q.Dimensions {
		cols = append(cols, heading{string(d), text, true})
	}
	for _, m := range q.Metrics {
		switch {
		case isMoney(m):
			cols = append(cols, heading{string(m), money, false}, heading{string(m) + "_currency", text, false})
		case query.Decimals(m) > 0:
			cols = append(cols, heading{string(m), decimal, false})
		default:
			cols = append(cols, heading{string(m), integer, false})
		}
	}
	return cols
}

func isMoney(m query.Metric) bool { return m == query.TotalRevenue || m == query.AverageRevenue }

// writeAnswer writes the rows in their order. Figures are rounded as every door
// shows them; revenue is exact to a millionth of its currency's unit.
func writeAnswer(open opener, q *query.Question, a *query.Answer) error {
	cols := answerColumns(q)
	out, err := open(cols)
	if err != nil {
		return err
	}
	cells := make([]cell, len(cols))
	for i := range a.Rows {
		row := &a.Rows[i]
		at := 0
		for _, s := range row.Dims {
			cells[at] = cell{s: s}
			at++
		}
		for k, m := range q.Metrics {
			v := row.Values[k]
			if !isMoney(m) {
				cells[at] = figure(m, v)
				at++
				continue
			}
			cells[at], cells[at+1] = amount(v), cell{s: v.Currency}
			cells[at+1].null = cells[at].null
			at += 2
		}
		if err := out.row(cells); err != nil {
			return err
		}
	}
	return out.end()
}

func figure(m query.Metric, v query.Value) cell {
	if v.Null || math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
		return cell{null: true}
	}
	x := query.Shown(m, v.Number)
	return cell{n: int64(x), f: x}
}

// amount gives money in millionths; what has no currency or is beyond all bounds
// is no amount.
func amount(v query.Value) cell {
	n := math.Round(v.Number * 1e6)
	if v.Null || v.Currency == "" || !(math.Abs(n) < math.MaxInt64) {
		return cell{null: true}
	}
	return cell{n: int64(n)}
}

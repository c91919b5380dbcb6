package readcache

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"footfall/analytics/query"
)

// An answer is kept as numbers first and texts behind them, so that reading it
// takes one piece of memory for all texts, one for all dimensions and one for
// all values. Numbers are uvarints unless stated; lengths of lists that may be
// nil are one more than the length, and 0 for nil:
//
//	length of the texts (4 bytes), dims in all, values in all, total rows, rows
//	per row:     dims, the length of each; values, and for each flags (1 byte),
//	             the number (a uvarint or 8 bytes of a float), the length of its
//	             currency
//	warnings, in order of metrics: length of metric, code and text
//	the texts, in the order of their lengths
//
// Only this process reads it, so it has no version. Index is not in it: one
// answer is true of many states.

// Flags of a value.
const (
	isNull  = 1 << iota // Null
	isWhole             // the number is a uvarint
	hasCoin             // Currency is not empty
)

const wholeBelow = 1 << 53

const textsLen = 4

// appendAnswer appends the form in which a is kept; false if it is longer than
// bytesMax.
func appendAnswer(b []byte, a *query.Answer, bytesMax int) ([]byte, bool) {
	dims, values, texts := 0, 0, 0
	for i := range a.Rows {
		dims += len(a.Rows[i].Dims)
		values += len(a.Rows[i].Values)
		for _, d := range a.Rows[i].Dims {
			texts += len(d)
		}
		// A dimension takes at least a byte beside its text, a value two.
		if dims+2*values+texts > bytesMax {
			return nil, false
		}
	}
	from := len(b)
	b = append(b, make([]byte, textsLen)...)
	b = binary.AppendUvarint(b, uint64(dims))
	b = binary.AppendUvarint(b, uint64(values))
	b = binary.AppendUvarint(b, uint64(a.TotalRows))
	b = appendLen(b, len(a.Rows), a.Rows == nil)
	for i := range a.Rows {
		b = appendRow(b, &a.Rows[i])
	}
	b = appendLen(b, len(a.Warnings), a.Warnings == nil)
	warned := slices.Sorted(maps.Keys(a.Warnings))
	for _, m := range warned {
		w := a.Warnings[m]
		for _, n := range [...]int{len(m), len(w.Code), len(w.Text)} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	behind := len(b)
	for i := range a.Rows {
		b = appendRowTexts(b, &a.Rows[i])
	}
	for _, m := range warned {
		w := a.Warnings[m]
		b = append(append(append(b, m...), w.Code...), w.Text...)
	}
	binary.BigEndian.PutUint32(b[from:], uint32(len(b)-behind))
	return b, len(b)-from <= bytesMax
}

func appendRow(b []byte, r *query.Row) []byte {
	b = appendLen(b, len(r.Dims), r.Dims == nil)
	for _, d := range r.Dims {
		b = binary.AppendUvarint(b, uint64(len(d)))
	}
	b = appendLen(b, len(r.Values), r.Values == nil)
	for i := range r.Values {
		b = appendValue(b, &r.Values[i])
	}
	return b
}

func appendValue(b []byte, v *query.Value) []byte {
	var flags byte
	if v.Null {
		flags |= isNull
	}
	whole := v.Number >= 0 && v.Number < wholeBelow && v.Number == math.Trunc(v.Number) && !math.Signbit(v.Number)
	if whole {
		flags |= isWhole
	}
	if v.Currency != "" {
		flags |= hasCoin
	}
	b = append(b, flags)
	if whole {
		b = binary.AppendUvarint(b, uint64(v.Number))
	} else {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Number))
	}
	if v.Currency != "" {
		b = binary.AppendUvarint(b, uint64(len(v.Currency)))
	}
	return b
}

func appendRowTexts(b []byte, r *query.Row) []byte {
	for _, d := range r.Dims {
		b = append(b, d...)
	}
	for i := range r.Values {
		b = append(b, r.Values[i].Currency...)
	}
	return b
}

func appendLen(b []byte, n int, isNil bool) []byte {
	if isNil {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(n)+1)
}

// decodeAnswer reads what appendAnswer wrote; nothing of b is kept. False if it
// was something else.
func decodeAnswer(b []byte) (*query.Answer, bool) {
	if len(b) < textsLen {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(b))
	if n > len(b)-textsLen {
		return nil, false
	}
	d := decoder{numbers: b[textsLen : len(b)-n], texts: string(b[len(b)-n:])}
	dims, values := make([]string, d.count()), make([]query.Value, d.count())
	a := &query.Answer{TotalRows: int(d.uvarint())}
	if rows, some := d.list(); some {
		a.Rows = make([]query.Row, rows)
	}
	for i := range a.Rows {
		r := &a.Rows[i]
		r.Dims = part(&d, &dims)
		for j := range r.Dims {
			r.Dims[j] = d.text()
		}
		r.Values = part(&d, &values)
		for j := range r.Values {
			d.value(&r.Values[j])
		}
	}
	if warned, some := d.list(); some {
		a.Warnings = make(map[query.Metric]query.Warning, warned)
		for range warned {
			m := query.Metric(d.text())
			code := d.text()
			a.Warnings[m] = query.Warning{Code: code, Text: d.text()}
		}
	}
	return a, !d.bad && len(d.numbers) == 0 && d.texts == ""
}

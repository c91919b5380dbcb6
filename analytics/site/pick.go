package site

import (
	"footfall/analytics/column"
)

// pick gives the elements of s at rows, in a slice of its own.
func pick[T any](s []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = s[r]
	}
	return out
}

// rowsWhere lists the rows below n for which keep holds.
func rowsWhere(n int, keep func(int) bool) []int32 {
	rows := make([]int32, 0, n)
	for i := range n {
		if keep(i) {
			rows = append(rows, int32(i))
		}
	}
	return rows
}

// pickEvents gives the events at rows, with the same dictionary.
func pickEvents(e *column.Events, rows []int32) *column.Events {
	return &column.Events{Day: e.Day, At: pick(e.At, rows), Visit: pick(e.Visit, rows), Back: pick(e.Back, rows), Kind: pick(e.Kind, rows),
		Name: pick(e.Name, rows), Page: pick(e.Page, rows), Host: pick(e.Host, rows), Props: pick(e.Props, rows), Revenue: pick(e.Revenue, rows),
		Scroll: pick(e.Scroll, rows), Engaged: pick(e.Engaged, rows), Dict: e.Dict}
}

// pickVisits gives the visits at rows, with the same dictionary.
func pickVisits(v *column.Visits, rows []int32) *column.Visits {
	return &column.Visits{Day: v.Day, Number: pick(v.Number, rows), Visitor: pick(v.Visitor, rows),
		Start: pick(v.Start, rows), Last: pick(v.Last, rows), EntryAt: pick(v.EntryAt, rows), ExitAt: pick(v.ExitAt, rows),
		Views: pick(v.Views, rows), Customs: pick(v.Customs, rows), Flags: pick(v.Flags, rows),
		Entry: pick(v.Entry, rows), Exit: pick(v.Exit, rows), EntryHost: pick(v.EntryHost, rows), ExitHost: pick(v.ExitHost, rows),
		Agent: pick(v.Agent, rows), Place: pick(v.Place, rows), Acquisition: pick(v.Acquisition, rows),
		Language: pick(v.Language, rows), Screen: pick(v.Screen, rows), LastEvent: pick(v.LastEvent, rows), Dict: v.Dict}
}

// eventsBlock is a block of compact events that is not written yet.
func eventsBlock(chunk uint32, e *column.Events) block {
	b := block{chunk: chunk, rows: uint32(e.Len()), from: e.Time(0), to: e.Time(0), events: e}
	for i := 1; i < e.Len(); i++ {
		b.from, b.to = min(b.from, e.Time(i)), max(b.to, e.Time(i))
	}
	return b
}

// visitsBlock is a block of compact visits that is not written yet.
func visitsBlock(chunk uint32, v *column.Visits) block {
	b := block{chunk: chunk, rows: uint32(v.Len()), from: v.Start[0], to: v.Last[0], visits: v}
	for i := range v.Start {
		b.from, b.to = min(b.from, v.Start[i]), max(b.to, v.Last[i])
	}
	return b
}

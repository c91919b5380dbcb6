package readcache

import (
	"encoding/binary"
	"slices"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

// A key is, in this order: what is kept (1 byte), site (8), version (8), then
// the question, field by field, or the range and the caller's own key. Numbers
// are varints unless of fixed length; texts and lists have their length in
// front. So no two different questions are spelled alike, and a key is as long
// as its question.
//
// Question.Now is left out: no answer depends on it, only how a door shows one.
const (
	ofQuestion = 'q'
	ofBytes    = 'b'
	ofNewest   = 'n' // the version is 0
)

func appendHead(b []byte, kind byte, site analytics.SiteID, version uint64) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, uint64(site))
	return binary.BigEndian.AppendUint64(b, version)
}

func appendRange(b []byte, from, to int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, from), to)
}

func appendQuestion(b []byte, q *query.Question) []byte {
	b = appendRange(b, q.From, q.To)
	b = appendZone(b, q.Zone, q.From, q.To)
	b = appendTexts(b, q.Metrics)
	b = appendTexts(b, q.Dimensions)
	b = appendFilter(b, q.Filter)
	b = appendGoals(b, q.Goals)
	b = appendBool(b, q.Lasting)
	b = binary.AppendUvarint(b, uint64(len(q.OrderBy)))
	for _, o := range q.OrderBy {
		b = appendText(b, o.Metric)
		b = appendText(b, o.Dimension)
		b = appendBool(b, o.Desc)
	}
	b = binary.AppendVarint(b, int64(q.Limit))
	b = binary.AppendVarint(b, int64(q.Offset))
	return binary.AppendVarint(b, int64(q.RowsMax))
}

// appendZone names the zone. Zones that were not loaded by their name can share
// one; their offsets tell them apart.
func appendZone(b []byte, zone *time.Location, from, to int64) []byte {
	b = appendText(b, zone.String())
	for _, ms := range [...]int64{from, to} {
		_, offset := time.UnixMilli(ms).In(zone).Zone()
		b = binary.AppendVarint(b, int64(offset))
	}
	return b
}

// appendFilter writes a tree from its root; a missing one has an op of its own.
func appendFilter(b []byte, f *query.Filter) []byte {
	if f == nil {
		return append(b, 0)
	}
	b = append(b, 1, byte(f.Op))
	b = binary.AppendUvarint(b, uint64(len(f.Children)))
	for _, child := range f.Children {
		b = appendFilter(b, child)
	}
	b = appendText(b, f.Dim)
	b = appendTexts(b, f.Values)
	b = binary.AppendUvarint(b, uint64(len(f.Patterns)))
	for _, p := range f.Patterns {
		b = appendText(b, p.String())
	}
	b = appendGoals(b, f.Goals)
	return appendBool(appendBool(b, f.Fold), f.Negated)
}

func appendGoals(b []byte, goals []*query.Goal) []byte {
	b = binary.AppendUvarint(b, uint64(len(goals)))
	for _, g := range goals {
		b = binary.AppendUvarint(b, g.ID)
		b = binary.AppendUvarint(b, uint64(g.Site))
		b = appendText(b, g.Kind)
		b = appendText(b, g.Name)
		b = appendText(b, g.Event)
		b = appendText(b, g.Page)
		b = append(b, g.Scroll)
		b = binary.AppendUvarint(b, uint64(len(g.Props)))
		for _, p := range g.Props {
			b = appendText(appendText(b, p.Key), p.Value)
		}
		b = appendText(b, g.Currency)
	}
	return b
}

func appendText[T ~string](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts[T ~string](b []byte, list []T) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// ownQuestion copies what a caller may use again for the next question: the
// fields and the lists, not what is in them.
func ownQuestion(q *query.Question) *query.Question {
	own := *q
	own.Metrics, own.Dimensions = slices.Clone(q.Metrics), slices.Clone(q.Dimensions)
	own.Goals, own.OrderBy = slices.Clone(q.Goals), slices.Clone(q.OrderBy)
	return &own
}

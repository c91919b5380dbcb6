package query

import (
	"encoding/binary"
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
)

// What a question counts in a day that is over and wholly inside its range does
// not depend on the range. It is remembered by the question's shape and the
// version of the day, and so is the sum over a block of such days: a long range
// then costs what its answer is large, not how much happened in it.

// How many days are summed up together: small blocks, and large ones of small
// ones.
const (
	smallBlock = 4
	largeBlock = 32
)

// memoBytesMax bounds one tally that is remembered.
const memoBytesMax = 8 << 20

// memoShape gives a text that is equal for questions which count the same in a
// day; "" if nothing of this one is remembered.
func (ev *evaluation) memoShape() string {
	q := ev.q
	if q.Lasting {
		return "" // visitors are told apart over the whole range
	}
	var b []byte
	for _, c := range ev.wanted {
		b = append(b, byte(c))
	}
	flags := byte(0)
	for i, on := range []bool{ev.byEvents, ev.needEvents, ev.wantVisits, ev.wantScroll, ev.wantEngaged, ev.wantRevenue, ev.scrollGoals} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, 255, flags)
	b = binary.AppendUvarint(b, uint64(len(q.Dimensions)))
	for _, d := range q.Dimensions {
		b = appendString(b, string(d))
	}
	if ev.timeAt >= 0 {
		b = appendString(b, q.Zone.String())
	}
	if ev.goalAt >= 0 {
		b = appendGoals(b, q.Goals)
	}
	return string(appendFilter(b, q.Filter))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendFilter writes a filter so that equal bytes mean equal filters.
func appendFilter(b []byte, f *Filter) []byte {
	if f == nil {
		return append(b, 0)
	}
	flags := byte(1)
	if f.Fold {
		flags |= 2
	}
	if f.Negated {
		flags |= 4
	}
	b = append(b, flags, byte(f.Op))
	b = appendString(b, string(f.Dim))
	b = binary.AppendUvarint(b, uint64(len(f.Children)))
	for _, c := range f.Children {
		b = appendFilter(b, c)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Values)))
	for _, v := range f.Values {
		b = appendString(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Patterns)))
	for _, p := range f.Patterns {
		b = appendString(b, p.String())
	}
	return appendGoals(b, f.Goals)
}

func appendGoals(b []byte, goals []*Goal) []byte {
	b = binary.AppendUvarint(b, uint64(len(goals)))
	for _, g := range goals {
		b = appendString(b, string(g.Kind))
		b = appendString(b, g.Name)
		b = appendString(b, g.Event)
		b = appendString(b, g.Page)
		b = append(b, g.Scroll)
		b = binary.AppendUvarint(b, uint64(len(g.Props)))
		for _, p := range g.Props {
			b = appendString(appendString(b, p.Key), p.Value)
		}
	}
	return b
}

// settled tells whether what is counted in a span can be remembered: the day is
// over and all of it is inside the range.
func (ev *evaluation) settled(s span) bool {
	if ev.shape == "" || s.first < ev.q.From || s.last >= ev.q.To ||
		int64(s.day+1)*column.DayMS+analytics.VisitGapMS >= ev.picture.View.Now {
		return false
	}
	if ev.timeAt < 0 {
		return true
	}
	for i := sort.Search(len(ev.buckets), func(i int) bool { return ev.buckets[i].To > s.first }); i < len(ev.buckets) && ev.buckets[i].From <= s.last; i++ {
		if ev.buckets[i].Start%60_000 != 0 {
			return false
		}
	}
	return true
}

// piece is a day that is to be counted, alone if it is to be remembered.
type piece struct {
	span
	key   string // "" if it is not
	block *block
	// settled says that it is to be remembered, together with all others that are.
	settled bool
}

// block is the settled days of one block, and the sum to be remembered of them.
type block struct {
	key    string
	parent *block
	days   []*tally // of days or of smaller blocks
	open   int      // of those, what is yet to be counted
	// partial says that a day is not among days, because visitors in it last: the
	// sum is not that of all days that key names.
	partial bool
}

// recall adds what is remembered to the total, and gives what has to be counted.
func (ev *evaluation) recall(spans []span) []piece {
	var out []piece
	whole := ev.wholeKey(spans)
	if t, ok := ev.picture.Days.Recall(whole); ok {
		ev.add(t.(*tally))
		for _, s := range spans {
			if !ev.settled(s) {
				out = append(out, piece{span: s})
			}
		}
		return out
	}
	ev.whole = &block{key: whole}
	if ev.q.Filter != nil { // a filter is hardly ever asked for again with another range
		for _, s := range spans {
			out = append(out, piece{span: s, settled: ev.settled(s)})
		}
		return out
	}
	return ev.recallBlocks(out, spans, largeBlock, ev.whole)
}

// recallBlocks recalls what there is of blocks of a size, which belong to parent.
func (ev *evaluation) recallBlocks(out []piece, spans []span, size int32, parent *block) []piece {
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].day/size == spans[0].day/size {
			n++
		}
		out = ev.recallBlock(out, spans[:n], size, parent)
		spans = spans[n:]
	}
	return out
}

// wholeKey names the sum over all settled days.
func (ev *evaluation) wholeKey(spans []span) string {
	k := append(make([]byte, 0, len(ev.shape)+12*len(spans)+1), ev.shape...)
	for _, s := range spans {
		if ev.settled(s) {
			k = append(k, s.key()...)
		}
	}
	return string(append(k, '*'))
}

func (ev *evaluation) recallBlock(out []piece, spans []span, size int32, parent *block) []piece {
	bl := &block{parent: parent}
	sum := []byte(ev.shape)
	for _, s := range spans {
		if ev.settled(s) {
			sum = append(sum, s.key()...)
		}
	}
	bl.key = string(append(sum, '+'))
	if t, ok := ev.picture.Days.Recall(bl.key); ok {
		parent.days = append(parent.days, t.(*tally))
		for _, s := range spans {
			if !ev.settled(s) {
				out = append(out, piece{span: s})
			}
		}
		return out
	}
	parent.open++
	bl.open++ // until all of it was looked at
	if size > smallBlock {
		out = ev.recallBlocks(out, spans, smallBlock, bl)
	} else {
		out = ev.recallDays(out, spans, bl)
	}
	ev.close(bl)
	return out
}

func (ev *evaluation) recallDays(out []piece, spans []span, bl *block) []piece {
	for _, s := range spans {
		p := piece{span: s}
		if ev.settled(s) {
			p.key = ev.shape + string(s.key())
			if t, ok := ev.picture.Days.Recall(p.key); ok {
				bl.days = append(bl.days, t.(*tally))
				continue
			}
			p.block = bl
			bl.open++
		}
		out = append(out, p)
	}
	return out
}

// key names the day as of its version.
func (s span) key() []byte {
	k := binary.LittleEndian.AppendUint32(make([]byte, 0, 12), uint32(s.day))
	return binary.LittleEndian.AppendUint64(k, s.version)
}

// add adds a remembered tally to the total.
func (ev *evaluation) add(t *tally) { ev.total.merge(t, ev.bucketAt) }

// close notes that one thing less is open of a block. When nothing is, its sum
// goes into the block that it belongs to.
func (ev *evaluation) close(bl *block) {
	if bl.open--; bl.open > 0 || bl.parent == nil {
		return
	}
	if len(bl.days) > 0 {
		if sum := ev.sum(bl); sum != nil {
			bl.parent.days = append(bl.parent.days, sum)
		}
	}
	bl.parent.partial = bl.parent.partial || bl.partial
	ev.close(bl.parent)
}

// sum adds up the tallies of a block and remembers the result; nil if it has too
// many rows.
func (ev *evaluation) sum(bl *block) *tally {
	sum := bl.days[0]
	if len(bl.days) > 1 {
		sum = ev.newTally()
		for _, t := range bl.days {
			sum.merge(t, nil)
			ev.picture.yield(0)
		}
		if sum.full {
			ev.total.full = true
			return nil
		}
		sum = sum.frozen()
	}
	if len(bl.days) == 1 && bl != ev.whole {
		return sum // remembered as what it is
	}
	if n := sum.bytes() + len(bl.key); n <= memoBytesMax && !bl.partial {
		ev.picture.Days.Remember(bl.key, sum, n)
	}
	return sum
}

// addWhole adds all that was remembered or is to be.
func (ev *evaluation) addWhole() {
	if ev.whole == nil || len(ev.whole.days) == 0 {
		return
	}
	if sum := ev.sum(ev.whole); sum != nil {
		ev.add(sum)
	}
}

// bucketAt finds the bucket that begins at a minute, as remembered tallies name
// them.
func (ev *evaluation) bucketAt(minute int32) int32 {
	if ev.timeAt < 0 {
		return -1
	}
	start := int64(minute) * 60_000
	i, _ := slices.BinarySearchFunc(ev.buckets, start, func(b calendar.Bucket, t int64) int {
		return int(max(-1, min(1, b.Start-t)))
	})
	return int32(i)
}

// keep makes what a day counted ready to be remembered.
func (ev *evaluation) keep(t *tally) *tally {
	f := t.frozen()
	if ev.timeAt >= 0 {
		for i := range f.keys {
			f.keys[i].bucket = int32(ev.buckets[f.keys[i].bucket].Start / 60_000)
		}
	}
	return f
}

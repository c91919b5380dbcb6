package column

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// A sealed segment:
//
//	sealed = version(1)=1  type(1)=3  day(varint)  visits(uvarint)  events(uvarint)
//	         numbers(spread)                    difference to the visit before, signed
//	         named(piece, a byte each)
//	         visitors(spread)  ids(piece, 8 bytes each)  others(spread)
//	         texts: a count(uvarint) for each text column, then shared(piece) lengths(spread) bytes(piece)
//	         agent place acquisition language screen(ids)
//	         counts(spread)                     events of each visit
//	         begins(spread)                     time of its first event to that of the visit before, signed
//	         gaps(spread)                       of the other events to the one before
//	         shapes(piece, a byte each)         Kind, and what is rare: bits from 3 on
//	         page(ids) host(ids)                of events
//	         name props revenue(ids) engaged(spread) scroll(piece)   of those that have it
//	         crc32c(4, over all before)
//	ids    = a piece of bytes if the column has fewer than 255 texts, else a spread
//
// A visitor is 0: new, known by this visit's number; 1: new, with the next of
// ids; 2: new, known by the next number of others; from 3 on: who came n-2
// visitors ago. Numbers are those of VisitorOf.
//
// Each text column has texts of its own: 0 is the empty text, the others follow
// in the order of texts. The page of an event is that number plus 1, or 0 for the
// page of the event before. In columns that are spreads the texts used most have
// the smallest numbers, and within a class they are sorted; in the others all are
// sorted. shared is how many bytes a text has in common with the one before it.
const (
	sealedVersion = 1
	typeSealed    = 3

	shapeName    = 1 << 3
	shapeProps   = 1 << 4
	shapeRevenue = 1 << 5
	shapeEngaged = 1 << 6
	shapeScroll  = 1 << 7
	shapeKind    = KindMask | NonInteractive

	textBytesMax = 64 << 20 // of a segment
	bytesIDsMax  = 254      // texts of a column that is bytes
)

// textColumns is how many columns of texts there are, in the order of uses.
const textColumns = 10

// AppendSealed encodes s; pack may be nil. It must hold at most SealedVisitsMax
// visits and SealedEventsMax events.
func AppendSealed(dst []byte, s *Sealed, pack Packer) []byte {
	start := len(dst)
	dst = append(dst, sealedVersion, typeSealed)
	dst = binary.AppendVarint(dst, int64(s.Day))
	w := &writer{dst: dst, pack: pack}
	w.uvarint(uint64(s.Len()))
	w.uvarint(uint64(len(s.At)))
	n := make([]int64, max(s.Len(), len(s.At)))
	before := int64(0)
	for i, x := range s.Number {
		n[i] = int64(x) - before
		before = int64(x)
	}
	w.spread(n[:s.Len()], true)
	w.piece(s.Named)
	w.visitors(s, n)
	uses := usesOf(s)
	numbers := w.texts(s.Dict, uses)
	for c := firstOfVisits; c < textColumns; c++ {
		w.ids(uses[c], numbers[c], n)
	}
	for i := range s.Number {
		n[i] = int64(s.First[i+1] - s.First[i])
	}
	w.spread(n[:s.Len()], false)
	w.times(s, n)
	shapes := make([]byte, len(s.At))
	for e := range shapes {
		shapes[e] = s.shape(e)
	}
	w.piece(shapes)
	for c := range firstOfVisits {
		w.ids(uses[c], numbers[c], n)
	}
	var scroll []byte
	engaged := n[:0]
	for _, r := range s.Rare {
		if r == 0 {
			continue
		}
		x := &s.Rares[r-1]
		if x.Engaged != 0 {
			engaged = append(engaged, int64(x.Engaged))
		}
		if x.Scroll != scrollNone {
			scroll = append(scroll, x.Scroll)
		}
	}
	w.uvarint(uint64(len(engaged)))
	w.spread(engaged, false)
	w.uvarint(uint64(len(scroll)))
	w.piece(scroll)
	return binary.LittleEndian.AppendUint32(w.dst, crc32.Checksum(w.dst[start:], castagnoli))
}

// Places of the columns of texts: first those of events.
const (
	ofPage = iota
	ofHost
	ofName
	ofProps
	ofRevenue
	firstOfVisits
)

// samePage stands in uses for the page of the event before.
const samePage = ^uint32(0)

// usesOf gives the columns of texts as they are written, without rows that have
// nothing to say.
func usesOf(s *Sealed) (uses [textColumns][]uint32) {
	page := make([]uint32, len(s.Page))
	for i := range s.Number {
		before := samePage
		for e := s.First[i]; e < s.First[i+1]; e++ {
			if page[e] = s.Page[e]; s.Page[e] == before {
				page[e] = samePage
			}
			before = s.Page[e]
		}
	}
	uses[ofPage], uses[ofHost] = page, s.Host
	for _, r := range s.Rare {
		if r == 0 {
			continue
		}
		x := &s.Rares[r-1]
		for c, t := range [...]uint32{ofName: x.Name, ofProps: x.Props, ofRevenue: x.Revenue} {
			if t != 0 {
				uses[c] = append(uses[c], t)
			}
		}
	}
	for c, col := range [][]uint32{s.Agent, s.Place, s.Acquisition, s.Language, s.Screen} {
		uses[firstOfVisits+c] = col
	}
	return uses
}

func (s *Sealed) shape(e int) byte {
	b := s.Kind[e] & shapeKind
	if s.Rare[e] == 0 {
		return b
	}
	x := s.Rares[s.Rare[e]-1]
	if x.Name != 0 {
		b |= shapeName
	}
	if x.Props != 0 {
		b |= shapeProps
	}
	if x.Revenue != 0 {
		b |= shapeRevenue
	}
	if x.Engaged != 0 {
		b |= shapeEngaged
	}
	if x.Scroll != scrollNone {
		b |= shapeScroll
	}
	return b
}

func (w *writer) visitors(s *Sealed, n []int64) {
	var ids []byte
	var others []int64
	place := make(map[uint64]int64, s.Len())
	for i, id := range s.Visitor {
		if at, ok := place[id]; ok {
			n[i] = int64(len(place)) - at + 2
			continue
		}
		switch number, ok := numberOf(s.Day, id); {
		case ok && number == s.Number[i]:
			n[i] = 0
		case ok:
			n[i] = 2
			others = append(others, int64(number))
		default:
			n[i] = 1
			ids = binary.LittleEndian.AppendUint64(ids, id)
		}
		place[id] = int64(len(place))
	}
	w.spread(n[:s.Len()], false)
	w.uvarint(uint64(len(ids) / 8))
	w.raw(ids)
	w.uvarint(uint64(len(others)))
	w.spread(others, false)
}

func (w *writer) times(s *Sealed, n []int64) {
	before := int64(s.Day) * DayMS
	for i := range s.Number {
		at := s.At[s.First[i]]
		n[i] = at - before
		before = at
	}
	w.spread(n[:s.Len()], true)
	gaps := n[:0]
	for i := range s.Number {
		for e := s.First[i] + 1; e < s.First[i+1]; e++ {
			gaps = append(gaps, s.At[e]-s.At[e-1])
		}
	}
	w.spread(gaps, false)
}

// ids writes a column of texts; n is scratch.
func (w *writer) ids(col []uint32, c columnTexts, n []int64) {
	if !c.wide() {
		b := make([]byte, len(col))
		for i, t := range col {
			b[i] = byte(c.value(t))
		}
		w.piece(b)
		return
	}
	for i, t := range col {
		n[i] = c.value(t)
	}
	w.spread(n[:len(col)], false)
}

// columnTexts numbers the texts of one column: number is by number in Dict, 0 for
// the empty text.
type columnTexts struct {
	texts  int
	page   bool
	number []uint32
}

func (c *columnTexts) wide() bool { return c.texts > bytesIDsMax }

func (c *columnTexts) value(t uint32) int64 {
	switch {
	case t == samePage:
		return 0
	case c.page:
		return int64(c.number[t]) + 1
	}
	return int64(c.number[t])
}

// texts writes the texts that the columns use, and numbers them.
func (w *writer) texts(dict []string, uses [textColumns][]uint32) (numbers [textColumns]columnTexts) {
	var all []string
	for c, col := range uses {
		texts, number := rank(dict, col, c == ofPage)
		numbers[c] = columnTexts{len(texts), c == ofPage, number}
		w.uvarint(uint64(len(texts)))
		all = append(all, texts...)
	}
	shared, suffixes := make([]byte, len(all)), []byte(nil)
	lengths := make([]int64, len(all))
	before := ""
	for i, t := range all {
		k := 0
		for k < min(len(t), len(before), 255) && t[k] == before[k] {
			k++
		}
		shared[i], lengths[i] = byte(k), int64(len(t)-k)
		suffixes = append(suffixes, t[k:]...)
		before = t
	}
	w.piece(shared)
	w.spread(lengths, false)
	w.piece(suffixes)
	return numbers
}

// rank gives the texts of a column in the order of their numbers.
func rank(dict []string, col []uint32, page bool) (texts []string, number []uint32) {
	count := make([]uint32, len(dict))
	var used []uint32
	for _, t := range col {
		if t != 0 && t != samePage {
			if count[t] == 0 {
				used = append(used, t)
			}
			count[t]++
		}
	}
	byText := func(x, y uint32) int { return cmp.Compare(dict[x], dict[y]) }
	if len(used) <= bytesIDsMax {
		slices.SortFunc(used, byText)
	} else {
		slices.SortFunc(used, func(x, y uint32) int { return cmp.Or(cmp.Compare(count[y], count[x]), byText(x, y)) })
		first := 1
		if page {
			first = 2
		}
		for from := 0; from < len(used); {
			to := from
			for to < len(used) && classOf(to+first) == classOf(from+first) {
				to++
			}
			slices.SortFunc(used[from:to], byText)
			from = to
		}
	}
	number = make([]uint32, len(dict))
	texts = make([]string, len(used))
	for i, t := range used {
		texts[i], number[t] = dict[t], uint32(i+1)
	}
	return texts, number
}

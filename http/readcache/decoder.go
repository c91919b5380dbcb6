package readcache

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"footfall/analytics/query"
)

// decoder reads numbers and the texts whose lengths they are. What does not fit
// makes it bad; it never reads beyond what it has, nor makes lists longer than
// that could fill.
type decoder struct {
	numbers []byte
	texts   string
	bad     bool
}

func (d *decoder) uvarint() uint64 {
	if len(d.numbers) > 0 && d.numbers[0] < 0x80 { // nearly always
		n := d.numbers[0]
		d.numbers = d.numbers[1:]
		return uint64(n)
	}
	n, w := binary.Uvarint(d.numbers)
	if w <= 0 {
		d.fail()
		return 0
	}
	d.numbers = d.numbers[w:]
	return n
}

func (d *decoder) fail() { d.bad, d.numbers, d.texts = true, nil, "" }

// count reads how many there are of something that takes a byte at least.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.numbers)) {
		d.fail()
		return 0
	}
	return int(n)
}

// list reads the length of a list, false for nil.
func (d *decoder) list() (n int, some bool) {
	plus := d.uvarint()
	if plus > uint64(len(d.numbers))+1 {
		d.fail()
		return 0, false
	}
	return int(plus) - 1, plus > 0
}

// part reads the length of a list and cuts it off the front of all.
func part[T any](d *decoder, all *[]T) []T {
	n, some := d.list()
	if !some {
		return nil
	}
	if n > len(*all) {
		d.fail()
		return nil
	}
	out := (*all)[:n:n]
	*all = (*all)[n:]
	return out
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.texts)) {
		d.fail()
		return ""
	}
	out := d.texts[:n]
	d.texts = d.texts[n:]
	return out
}

func (d *decoder) value(v *query.Value) {
	if len(d.numbers) == 0 {
		d.fail()
		return
	}
	flags := d.numbers[0]
	d.numbers = d.numbers[1:]
	v.Null = flags&isNull != 0
	switch {
	case flags&isWhole != 0:
		v.Number = float64(d.uvarint())
	case len(d.numbers) < 8:
		d.fail()
		return
	default:
		v.Number = math.Float64frombits(binary.BigEndian.Uint64(d.numbers))
		d.numbers = d.numbers[8:]
	}
	if flags&hasCoin != 0 {
		v.Currency = d.text()
	}
}

// cloneAnswer copies an answer that others have too.
func cloneAnswer(a *query.Answer) *query.Answer {
	c := *a
	c.Rows = slices.Clone(a.Rows)
	for i := range c.Rows {
		c.Rows[i].Dims = slices.Clone(c.Rows[i].Dims)
		c.Rows[i].Values = slices.Clone(c.Rows[i].Values)
	}
	c.Warnings = maps.Clone(a.Warnings)
	return &c
}

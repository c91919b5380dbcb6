package provision

import (
	"cmp"
	"encoding/base64"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Bounds of one page of a list.
const (
	pageDefault = 100
	pageMax     = 1000
)

// page is the part of a list that is asked for. Lists have the highest id
// first; at most one of after and before is not 0.
type page struct {
	limit  int
	after  uint64 // ids below
	before uint64 // ids above
}

// meta tells how to go on. Cursors are null at the ends of a list.
type meta struct {
	After  *string `json:"after"`
	Before *string `json:"before"`
	Limit  int     `json:"limit"`
}

const cursorMark = "id:"

func cursor(id uint64) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(cursorMark + strconv.FormatUint(id, 10)))
	return &text
}

func readCursor(field, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(text)
	digits, ok := strings.CutPrefix(string(plain), cursorMark)
	id, wrong := strconv.ParseUint(digits, 10, 64)
	if err != nil || !ok || wrong != nil || id == 0 || id > math.MaxInt64 {
		return 0, invalid("%s: is not a cursor of this list", field)
	}
	return id, nil
}

func (f fields) page() (p page, err error) {
	after, err := f.text("after")
	if err != nil {
		return p, err
	}
	before, err := f.text("before")
	if err != nil {
		return p, err
	}
	if after != "" && before != "" {
		return p, invalid("before: cannot be used with after")
	}
	if p.after, err = readCursor("after", after); err != nil {
		return p, err
	}
	if p.before, err = readCursor("before", before); err != nil {
		return p, err
	}
	limit, err := f.text("limit")
	if err != nil {
		return p, err
	}
	p.limit = pageDefault
	if limit != "" {
		p.limit, err = strconv.Atoi(limit)
		if err != nil || p.limit < 1 || p.limit > pageMax {
			return p, invalid("limit: must be a number between 1 and %d", pageMax)
		}
	}
	return p, nil
}

// list gives the ids below and above one in the order away from it. Only as
// much of them is walked as a page needs.
type list[T any] struct {
	below, above func(id uint64) iter.Seq[T]
	id           func(T) uint64
}

// listed makes a list of what is all there, in order of ids.
func listed[T any](all []T, id func(T) uint64) list[T] {
	at := func(x uint64) int {
		i, _ := slices.BinarySearchFunc(all, x, func(v T, x uint64) int { return cmp.Compare(id(v), x) })
		return i
	}
	return list[T]{id: id,
		below: func(x uint64) iter.Seq[T] {
			return func(yield func(T) bool) {
				for _, v := range slices.Backward(all[:at(x)]) {
					if !yield(v) {
						return
					}
				}
			}
		},
		above: func(x uint64) iter.Seq[T] { return slices.Values(all[at(x+1):]) },
	}
}

// cut gives one page of a list, highest id first.
func cut[T any](l list[T], p page) ([]T, meta) {
	m := meta{Limit: p.limit}
	if p.before != 0 {
		part, more := take(l.above(p.before), p.limit)
		slices.Reverse(part)
		if len(part) > 0 {
			m.After = cursor(l.id(part[len(part)-1]))
			if more {
				m.Before = cursor(l.id(part[0]))
			}
		}
		return part, m
	}
	from := p.after
	if from == 0 {
		from = math.MaxUint64
	}
	part, more := take(l.below(from), p.limit)
	if len(part) > 0 {
		if more {
			m.After = cursor(l.id(part[len(part)-1]))
		}
		if p.after != 0 {
			m.Before = cursor(l.id(part[0]))
		}
	}
	return part, m
}

// take gives the first n of a sequence and whether there are more.
func take[T any](seq iter.Seq[T], n int) (part []T, more bool) {
	for v := range seq {
		if len(part) == n {
			return part, true
		}
		part = append(part, v)
	}
	return part, false
}

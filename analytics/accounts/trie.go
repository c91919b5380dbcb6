package accounts

import (
	"iter"
	"math/bits"
)

// trie is a persistent ordered map from uint64: put and delete leave the old
// trie as it was and share all but the path of nodes they touch, so a snapshot
// is a copy of three words. Iteration is in order of keys. The zero value is
// empty. Reading needs no lock.
//
// Digits of five bits are read from the top; a leaf stands as high as it is
// alone, and the root is only as high as the largest key needs, which keeps
// counters (ids) and uniform hashes equally shallow.
type trie[V any] struct {
	root  *trieNode[V]
	shift uint // of the root's digit: 0, 5, … 60
	size  int
}

type trieNode[V any] struct {
	bitmap uint32
	slots  []trieSlot[V]
}

// trieSlot is a subtree if child is set, else a leaf.
type trieSlot[V any] struct {
	key   uint64
	value V
	child *trieNode[V]
}

const (
	digitBits = 5
	digitMask = 1<<digitBits - 1
	shiftMax  = 60
)

func (n *trieNode[V]) find(digit uint) (at int, ok bool) {
	bit := uint32(1) << digit
	return bits.OnesCount32(n.bitmap & (bit - 1)), n.bitmap&bit != 0
}

// beyond tells whether key does not fit under a root at shift.
func beyond(key uint64, shift uint) bool { return shift < shiftMax && key>>(shift+digitBits) != 0 }

func (t trie[V]) get(key uint64) (v V, ok bool) {
	if t.root == nil || beyond(key, t.shift) {
		return v, false
	}
	n, s := t.root, t.shift
	for {
		at, ok := n.find(uint(key>>s) & digitMask)
		if !ok {
			return v, false
		}
		slot := &n.slots[at]
		if slot.child == nil {
			if slot.key != key {
				return v, false
			}
			return slot.value, true
		}
		n, s = slot.child, s-digitBits
	}
}

func (t trie[V]) put(key uint64, v V) trie[V] {
	if t.root == nil {
		t.root = &trieNode[V]{}
	}
	for beyond(key, t.shift) {
		if len(t.root.slots) > 0 {
			t.root = &trieNode[V]{bitmap: 1, slots: []trieSlot[V]{{child: t.root}}}
		}
		t.shift += digitBits
	}
	root, added := t.root.put(t.shift, key, v)
	t.root = root
	if added {
		t.size++
	}
	return t
}

func (n *trieNode[V]) put(s uint, key uint64, v V) (*trieNode[V], bool) {
	digit := uint(key>>s) & digitMask
	at, ok := n.find(digit)
	if !ok {
		slots := make([]trieSlot[V], len(n.slots)+1)
		copy(slots, n.slots[:at])
		slots[at] = trieSlot[V]{key: key, value: v}
		copy(slots[at+1:], n.slots[at:])
		return &trieNode[V]{bitmap: n.bitmap | 1<<digit, slots: slots}, true
	}
	old := n.slots[at]
	switch {
	case old.child != nil:
		child, added := old.child.put(s-digitBits, key, v)
		return n.with(at, trieSlot[V]{child: child}), added
	case old.key == key:
		return n.with(at, trieSlot[V]{key: key, value: v}), false
	}
	child := &trieNode[V]{bitmap: 1 << (uint(old.key>>(s-digitBits)) & digitMask), slots: []trieSlot[V]{old}}
	child, _ = child.put(s-digitBits, key, v)
	return n.with(at, trieSlot[V]{child: child}), true
}

// with copies n with one slot replaced.
func (n *trieNode[V]) with(at int, slot trieSlot[V]) *trieNode[V] {
	slots := make([]trieSlot[V], len(n.slots))
	copy(slots, n.slots)
	slots[at] = slot
	return &trieNode[V]{bitmap: n.bitmap, slots: slots}
}

func (t trie[V]) delete(key uint64) trie[V] {
	if t.root == nil || beyond(key, t.shift) {
		return t
	}
	root, removed := t.root.delete(t.shift, key)
	if !removed {
		return t
	}
	t.root = root
	t.size--
	if root == nil {
		return trie[V]{}
	}
	return t
}

// delete gives nil for a node that became empty.
func (n *trieNode[V]) delete(s uint, key uint64) (*trieNode[V], bool) {
	digit := uint(key>>s) & digitMask
	at, ok := n.find(digit)
	if !ok {
		return n, false
	}
	old := n.slots[at]
	if old.child != nil {
		child, removed := old.child.delete(s-digitBits, key)
		switch {
		case !removed:
			return n, false
		case child == nil:
			return n.without(at, digit), true
		case len(child.slots) == 1 && child.slots[0].child == nil:
			return n.with(at, child.slots[0]), true // a leaf that is alone moves up
		}
		return n.with(at, trieSlot[V]{child: child}), true
	}
	if old.key != key {
		return n, false
	}
	return n.without(at, digit), true
}

func (n *trieNode[V]) without(at int, digit uint) *trieNode[V] {
	if len(n.slots) == 1 {
		return nil
	}
	slots := make([]trieSlot[V], len(n.slots)-1)
	copy(slots, n.slots[:at])
	copy(slots[at:], n.slots[at+1:])
	return &trieNode[V]{bitmap: n.bitmap &^ (1 << digit), slots: slots}
}

// from walks the entries with key >= low in order.
func (t trie[V]) from(low uint64) iter.Seq2[uint64, V] {
	return func(yield func(uint64, V) bool) {
		if t.root != nil {
			t.root.walk(t.shift, 0, low, yield)
		}
	}
}

func (n *trieNode[V]) walk(s uint, prefix, low uint64, yield func(uint64, V) bool) bool {
	left := n.bitmap
	for i := range n.slots {
		digit := uint64(bits.TrailingZeros32(left))
		left &= left - 1
		slot := &n.slots[i]
		if slot.child == nil {
			if slot.key >= low && !yield(slot.key, slot.value) {
				return false
			}
			continue
		}
		first := prefix | digit<<s
		if last := first | (1<<s - 1); last < low {
			continue
		}
		if !slot.child.walk(s-digitBits, first, low, yield) {
			return false
		}
	}
	return true
}

// down walks the entries with key <= high in reverse order.
func (t trie[V]) down(high uint64) iter.Seq2[uint64, V] {
	return func(yield func(uint64, V) bool) {
		if t.root != nil {
			t.root.walkDown(t.shift, 0, high, yield)
		}
	}
}

func (n *trieNode[V]) walkDown(s uint, prefix, high uint64, yield func(uint64, V) bool) bool {
	left := n.bitmap
	for i := len(n.slots) - 1; i >= 0; i-- {
		digit := uint64(31 - bits.LeadingZeros32(left))
		left &^= 1 << digit
		slot := &n.slots[i]
		if slot.child == nil {
			if slot.key <= high && !yield(slot.key, slot.value) {
				return false
			}
			continue
		}
		first := prefix | digit<<s
		if first > high {
			continue
		}
		if !slot.child.walkDown(s-digitBits, first, high, yield) {
			return false
		}
	}
	return true
}

// list gives the values in order of keys.
func (t trie[V]) list() []V {
	if t.size == 0 {
		return nil
	}
	out := make([]V, 0, t.size)
	for _, v := range t.from(0) {
		out = append(out, v)
	}
	return out
}

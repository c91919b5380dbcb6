package accounts

import (
	"encoding/binary"
	"hash/maphash"
)

// index is a persistent map from text or bytes, for looking up and nothing
// else: its order depends on the seed of the process and is never shown. Texts
// that strangers choose are hashed with the seed, so they cannot be made to
// collide. The zero value is not usable; see newIndex.
type index[V any] struct {
	seed   maphash.Seed
	digest bool // keys are digests already, their first bytes serve as hash
	table  trie[*entry[V]]
}

// entry is one of the keys with the same hash.
type entry[V any] struct {
	key   string
	value V
	next  *entry[V]
}

// newIndex makes an index for keys that anyone may choose.
func newIndex[V any](seed maphash.Seed) index[V] { return index[V]{seed: seed} }

// newDigestIndex makes an index for keys that are digests already.
func newDigestIndex[V any]() index[V] { return index[V]{digest: true} }

// hash keeps no hold of key, so that keys can live on the stack.
func (x index[V]) hash(key []byte) uint64 {
	if x.digest {
		return binary.BigEndian.Uint64(key)
	}
	return maphash.Bytes(x.seed, key)
}

// get allocates nothing.
func (x index[V]) get(key []byte) (v V, ok bool) {
	e, _ := x.table.get(x.hash(key))
	for ; e != nil; e = e.next {
		if e.key == string(key) {
			return e.value, true
		}
	}
	return v, false
}

func (x index[V]) put(key string, v V) index[V] {
	h := x.hash([]byte(key))
	chain, _ := x.table.get(h)
	x.table = x.table.put(h, &entry[V]{key: key, value: v, next: chain.without(key)})
	return x
}

func (x index[V]) delete(key string) index[V] {
	h := x.hash([]byte(key))
	chain, ok := x.table.get(h)
	if !ok {
		return x
	}
	if chain = chain.without(key); chain == nil {
		x.table = x.table.delete(h)
	} else {
		x.table = x.table.put(h, chain)
	}
	return x
}

// without gives the chain with key left out; the old one stays as it is.
func (e *entry[V]) without(key string) *entry[V] {
	if e == nil {
		return nil
	}
	if e.key == key {
		return e.next
	}
	return &entry[V]{key: e.key, value: e.value, next: e.next.without(key)}
}

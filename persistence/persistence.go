// Package persistence is the contract of what keeps bytes on disk: an ordered
// key-value store per node, and the keys used in it. Implementations live in
// packages below and pass storetest. Nothing here knows what the bytes mean.
package persistence

import "errors"

// ErrNotFound is returned by Get for a key that is not there.
var ErrNotFound = errors.New("key not found")

// Store is an ordered key-value store. Safe for concurrent use.
type Store interface {
	// Get gives a copy of the value, owned by the caller, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for every key in [from, to) in order, over one consistent
	// view. key and value are valid only during the call. fn's error ends the
	// scan and is returned.
	Scan(from, to []byte, fn func(key, value []byte) error) error
	// NewBatch starts a set of writes.
	NewBatch() Batch
	// Commit applies all writes of b at once, or none. With sync it returns after
	// they would survive a power cut; without, they are durable no later than the
	// next Commit with sync. Commits take effect in call order. b must not be
	// used after. A failed sync stops the process: see pebblestore.
	Commit(b Batch, sync bool) error
	// Close flushes and releases everything. No call may be running or follow.
	Close() error
}

// Batch collects writes. Not safe for concurrent use. Keys and values are
// copied. The order of calls matters: a DeleteRange hides what was set before.
type Batch interface {
	Set(key, value []byte)
	Delete(key []byte)
	DeleteRange(from, to []byte)
	// Size is the approximate number of bytes collected.
	Size() int
	// Discard releases a batch that is not committed.
	Discard()
}

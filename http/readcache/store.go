package readcache

import (
	"encoding/binary"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
	"github.com/cespare/xxhash/v2"
)

// entryBytesMax is the longest key and answer, together, that are kept.
const entryBytesMax = 1 << 20

// smallBytesMax is the longest that fastcache keeps in one piece.
const smallBytesMax = 60 << 10

// store keeps bytes under keys of any length, in bounded memory outside the heap
// that is taken at the first set and given up by close.
//
// fastcache finds an entry by a hash of 128 bits of its key; the key itself
// stands in front of what is kept and is compared, so that two keys with one hash
// displace each other and nothing worse. Large entries are cut in pieces that
// fastcache finds by a hash of their content; the comparison covers that too,
// since the key is part of the content.
type store struct {
	bytesMax int

	mu     sync.RWMutex // held for reading over every use of cache
	cache  *fastcache.Cache
	closed bool
}

// where an entry is looked for: its first byte says how it is kept.
type place [1 + 16]byte

const (
	inOnePiece = 's'
	inPieces   = 'b'
)

// Two seeds make two independent hashes.
const (
	seedLow  = 0x9e3779b97f4a7c15
	seedHigh = 0xc2b2ae3d27d4eb4f
)

func placeOf(key []byte) (p place) {
	var d xxhash.Digest
	for i, seed := range [...]uint64{seedLow, seedHigh} {
		d.ResetWithSeed(seed)
		_, _ = d.Write(key) // never an error
		binary.LittleEndian.PutUint64(p[1+8*i:], d.Sum64())
	}
	return p
}

// get appends what is kept under key to dst, which must be empty; the result is
// empty if there is nothing.
func (s *store) get(dst, key []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cache == nil {
		return dst
	}
	p := placeOf(key)
	p[0] = inOnePiece
	dst, found := s.cache.HasGet(dst, p[:])
	if !found {
		p[0] = inPieces
		dst = s.cache.GetBig(dst, p[:])
	}
	n, w := binary.Uvarint(dst)
	if w <= 0 || n != uint64(len(key)) || uint64(len(dst)-w) < n || string(dst[w:w+len(key)]) != string(key) {
		return dst[:0]
	}
	return dst[w+len(key):]
}

// set keeps value, which is not empty, under key. Both together are no longer
// than entryBytesMax.
func (s *store) set(key, value []byte) {
	b := make([]byte, 0, binary.MaxVarintLen64+len(key)+len(value))
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(append(b, key...), value...)
	p := placeOf(key)
	s.take()
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.cache == nil:
	case len(b) <= smallBytesMax:
		p[0] = inOnePiece
		s.cache.Set(p[:], b)
	default:
		p[0] = inPieces
		s.cache.SetBig(p[:], b)
	}
}

// take makes the cache, unless there is one or the store is closed.
func (s *store) take() {
	s.mu.RLock()
	have := s.cache != nil || s.closed
	s.mu.RUnlock()
	if have {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil && !s.closed {
		s.cache = fastcache.New(s.bytesMax)
	}
}

// close gives the memory back. fastcache keeps it for the next cache of the
// process; it does not return it to the system.
func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.cache != nil {
		s.cache.Reset()
		s.cache = nil
	}
}

func (s *store) stats() (stats fastcache.Stats) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cache != nil {
		s.cache.UpdateStats(&stats)
	}
	return stats
}

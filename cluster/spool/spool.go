// Package spool keeps batches that an edge has accepted and no shard has
// acknowledged yet, in the node's own store. It must never forget a batch before
// it is acknowledged, and never give a number a second time: the epoch under
// which a process numbers its batches rises, synced, before the first of them
// leaves. It knows nothing of what batches mean. Start at Open.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync"
	"sync/atomic"

	"footfall/persistence"
)

// The keys, numbers big-endian, and their values, numbers little-endian:
//
//	06 shard(2) epoch(4) sequence(8)   version(1)=1 time(8, Unix ms) crc32c of the batch(4) batch
//	06 FFFF                            version(1)=1 epoch(4) crc32c of those(4)
const (
	version  = 1
	keyLen   = 1 + 2 + 4 + 8
	valueLen = 1 + 8 + 4
	headLen  = 1 + 4 + 4
	headName = 0xFFFF
)

// ErrFull means that the spool holds as many bytes as it may.
var ErrFull = errors.New("spool is full")

// ErrFormat means that a record of the spool is damaged or of a later version.
var ErrFormat = errors.New("spool: unknown or damaged format")

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Key names a batch: its shard, and its number in the stream of this edge.
type Key struct {
	Shard    uint16
	Epoch    uint32
	Sequence uint64
}

// Batch is a batch with its name. Data is not kept.
type Batch struct {
	Key
	Data []byte
}

// Span is a run of batches of one shard and epoch. Numbers in between may be
// missing: those were acknowledged.
type Span struct {
	Shard       uint16
	Epoch       uint32
	First, Last uint64
}

// Spool is the batches of one edge. Safe for concurrent use.
type Spool struct {
	store persistence.Store
	max   int64
	clock func() int64 // Unix ms

	bytes   atomic.Int64
	backlog []Span // as found by Open; not changed

	mu    sync.Mutex // guards epoch; held over its writing
	epoch uint32
}

// Open reads what a spool holds. bytesMax bounds it, see Write; clock gives Unix
// ms. It reads every batch once.
func Open(store persistence.Store, bytesMax int64, clock func() int64) (*Spool, error) {
	s := &Spool{store: store, max: bytesMax, clock: clock}
	switch head, err := store.Get(headKey()); {
	case errors.Is(err, persistence.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("read head of the spool: %w", err)
	default:
		if s.epoch, err = decodeHead(head); err != nil {
			return nil, fmt.Errorf("read head of the spool: %w", err)
		}
	}
	from := []byte{persistence.TableSpool}
	err := store.Scan(from, headKey(), func(k, v []byte) error {
		key, err := parseKey(k)
		if err != nil {
			return err
		}
		if key.Epoch > s.epoch {
			return fmt.Errorf("batch of epoch %d, but only %d were begun: %w", key.Epoch, s.epoch, ErrFormat)
		}
		s.bytes.Add(size(len(v) - valueLen))
		if n := len(s.backlog); n > 0 && s.backlog[n-1].Shard == key.Shard && s.backlog[n-1].Epoch == key.Epoch {
			s.backlog[n-1].Last = key.Sequence
			return nil
		}
		s.backlog = append(s.backlog, Span{key.Shard, key.Epoch, key.Sequence, key.Sequence})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return s, nil
}

// size is what a batch of n bytes counts against the bound.
func size(n int) int64 { return int64(n + keyLen + valueLen) }

// Backlog lists what the spool held when it was opened, by shard and epoch.
func (s *Spool) Backlog() []Span { return s.backlog }

// NextEpoch begins an epoch that this edge never used before. It is on disk when
// NextEpoch returns.
func (s *Spool) NextEpoch() (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == math.MaxUint32 {
		return 0, errors.New("spool: no epochs are left")
	}
	b := s.store.NewBatch()
	b.Set(headKey(), encodeHead(s.epoch+1))
	if err := s.store.Commit(b, true); err != nil {
		return 0, fmt.Errorf("begin an epoch: %w", err)
	}
	s.epoch++
	return s.epoch, nil
}

// Epoch is the last one that was begun, 0 if none was.
func (s *Spool) Epoch() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Write keeps batches: all are on disk when it returns nil, none counts as kept
// otherwise. ErrFull says that there is no room for them.
func (s *Spool) Write(batches []Batch) error { return s.replace(nil, batches) }

// Rename keeps the batch under another number, at once: after a crash it is there
// under exactly one of them.
func (s *Spool) Rename(old Key, b Batch) error {
	return s.replace([]Batch{{Key: old, Data: b.Data}}, []Batch{b})
}

func (s *Spool) replace(old, batches []Batch) error {
	var more int64
	for _, x := range batches {
		more += size(len(x.Data))
	}
	for _, x := range old {
		more -= size(len(x.Data))
	}
	if n := s.bytes.Add(more); more > 0 && n > s.max {
		s.bytes.Add(-more)
		return ErrFull
	}
	b := s.store.NewBatch()
	now := s.clock()
	for _, x := range old {
		b.Delete(x.bytes())
	}
	for _, x := range batches {
		b.Set(x.bytes(), encode(now, x.Data))
	}
	if err := s.store.Commit(b, true); err != nil {
		s.bytes.Add(-more)
		return fmt.Errorf("write %d batches to the spool: %w", len(batches), err)
	}
	return nil
}

// Remove forgets a batch of so many bytes that was acknowledged. It is not
// synced: after a crash the batch may be there again, and is a duplicate.
func (s *Spool) Remove(k Key, bytes int) error {
	b := s.store.NewBatch()
	b.Delete(k.bytes())
	if err := s.store.Commit(b, false); err != nil {
		return fmt.Errorf("remove batch %d of epoch %d, shard %d from the spool: %w", k.Sequence, k.Epoch, k.Shard, err)
	}
	s.bytes.Add(-size(bytes))
	return nil
}

// errFound ends a scan at its first key.
var errFound = errors.New("found")

// Next gives the first batch of a shard and epoch from a sequence on; ok is false
// if there is none. The data belongs to the caller.
func (s *Spool) Next(from Key) (b Batch, ok bool, err error) {
	end := Key{from.Shard, from.Epoch, math.MaxUint64}
	err = s.store.Scan(from.bytes(), append(end.bytes(), 0), func(k, v []byte) error {
		if b.Key, err = parseKey(k); err != nil {
			return err
		}
		_, data, err := decode(v)
		if err != nil {
			return fmt.Errorf("batch %d: %w", b.Sequence, err)
		}
		b.Data = append([]byte(nil), data...)
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return b, true, nil
	case err != nil:
		return Batch{}, false, fmt.Errorf("read the spool of shard %d, epoch %d: %w", from.Shard, from.Epoch, err)
	}
	return Batch{}, false, nil
}

// Bytes is the size of what is kept.
func (s *Spool) Bytes() int64 { return s.bytes.Load() }

// BytesMax is the bound given to Open.
func (s *Spool) BytesMax() int64 { return s.max }

// Oldest is when the oldest batch was written, Unix ms; 0 if there is none. It
// looks at one batch of each shard and epoch.
func (s *Spool) Oldest() (ms int64, err error) {
	from := []byte{persistence.TableSpool}
	for {
		var at Key
		err := s.store.Scan(from, headKey(), func(k, v []byte) error {
			if at, err = parseKey(k); err != nil {
				return err
			}
			t, _, err := decode(v)
			if err != nil {
				return err
			}
			if ms == 0 || t < ms {
				ms = t
			}
			return errFound
		})
		if err == nil {
			return ms, nil
		}
		if !errors.Is(err, errFound) {
			return 0, fmt.Errorf("look for the oldest batch of the spool: %w", err)
		}
		from = append(Key{at.Shard, at.Epoch, math.MaxUint64}.bytes(), 0)
	}
}

func (k Key) bytes() []byte {
	b := append(make([]byte, 0, keyLen+1), persistence.TableSpool)
	b = binary.BigEndian.AppendUint16(b, k.Shard)
	b = binary.BigEndian.AppendUint32(b, k.Epoch)
	return binary.BigEndian.AppendUint64(b, k.Sequence)
}

func parseKey(b []byte) (Key, error) {
	if len(b) != keyLen || b[0] != persistence.TableSpool {
		return Key{}, fmt.Errorf("key %x: %w", b, ErrFormat)
	}
	return Key{binary.BigEndian.Uint16(b[1:]), binary.BigEndian.Uint32(b[3:]), binary.BigEndian.Uint64(b[7:])}, nil
}

func headKey() []byte {
	return binary.BigEndian.AppendUint16([]byte{persistence.TableSpool}, headName)
}

func encodeHead(epoch uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{version}, epoch)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

func decodeHead(b []byte) (epoch uint32, err error) {
	if len(b) != headLen || b[0] != version || binary.LittleEndian.Uint32(b[5:]) != crc32.Checksum(b[:5], crcTable) {
		return 0, ErrFormat
	}
	return binary.LittleEndian.Uint32(b[1:]), nil
}

func encode(ms int64, data []byte) []byte {
	b := append(make([]byte, 0, valueLen+len(data)), version)
	b = binary.LittleEndian.AppendUint64(b, uint64(ms))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(data, crcTable))
	return append(b, data...)
}

// decode reads a value; data refers into it.
func decode(b []byte) (ms int64, data []byte, err error) {
	if len(b) < valueLen || b[0] != version || binary.LittleEndian.Uint32(b[9:]) != crc32.Checksum(b[valueLen:], crcTable) {
		return 0, nil, ErrFormat
	}
	return int64(binary.LittleEndian.Uint64(b[1:])), b[valueLen:], nil
}

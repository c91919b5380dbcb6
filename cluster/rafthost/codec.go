package rafthost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// Records of a group in table 01, by the last byte of the key.
const (
	keyHardState = 0x01
	keyConf      = 0x03
	keyPersisted = 0x04
)

var (
	errDamaged = errors.New("damaged: the checksum does not match")
	errTooNew  = errors.New("written by a newer version")
)

func groupKey(g Group, record byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{persistence.TableGroup}, uint16(g)), record)
}

// logKeyLen is the length of a log entry's key: table, group, index.
const logKeyLen = 1 + 2 + 8

func appendLogKey(dst []byte, g Group, index uint64) []byte {
	dst = append(dst, persistence.TableLog)
	dst = binary.BigEndian.AppendUint16(dst, uint16(g))
	return binary.BigEndian.AppendUint64(dst, index)
}

func logKey(g Group, index uint64) []byte {
	return appendLogKey(make([]byte, 0, logKeyLen), g, index)
}

// castagnoli is computed once by package crc32 and uses the CPU's instruction.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// entryHeader precedes the data of an entry: term(8) type(1) crc32c(4). The
// checksum covers key, term, type and data, so an entry under a wrong key is
// found too.
const entryHeader = 8 + 1 + 4

// appendEntry appends the value stored under key for e.
func appendEntry(dst, key []byte, e *raftpb.Entry) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, e.GetTerm())
	dst = append(dst, byte(e.GetType()))
	sum := crc32.Update(crc32.Checksum(key, castagnoli()), castagnoli(), dst[at:])
	sum = crc32.Update(sum, castagnoli(), e.GetData())
	dst = binary.BigEndian.AppendUint32(dst, sum)
	return append(dst, e.GetData()...)
}

// diskEntry holds an entry and its numbers in one allocation.
type diskEntry struct {
	raftpb.Entry
	term, index uint64
	typ         raftpb.EntryType
}

// decodeEntry reads what appendEntry made; data is copied.
func decodeEntry(key, value []byte) (*raftpb.Entry, error) {
	if len(key) != logKeyLen || len(value) < entryHeader {
		return nil, fmt.Errorf("damaged: %d bytes are too short for an entry", len(value))
	}
	sum := crc32.Update(crc32.Checksum(key, castagnoli()), castagnoli(), value[:9])
	if crc32.Update(sum, castagnoli(), value[entryHeader:]) != binary.BigEndian.Uint32(value[9:]) {
		return nil, errDamaged
	}
	d := &diskEntry{term: binary.BigEndian.Uint64(value), index: binary.BigEndian.Uint64(key[3:]), typ: raftpb.EntryType(value[8])}
	d.Term, d.Index, d.Type = &d.term, &d.index, &d.typ
	if d.typ != raftpb.EntryNormal {
		return nil, fmt.Errorf("entry of type %d: %w", d.typ, errTooNew)
	}
	if data := value[entryHeader:]; len(data) > 0 {
		d.Data = append(make([]byte, 0, len(data)), data...)
	}
	return &d.Entry, nil
}

// hardState is what raft must remember of a group: term(8) vote(8) commit(8)
// crc32c(4).
type hardState struct{ term, vote, commit uint64 }

func (s hardState) encode() []byte { return seal(appendNumbers(nil, s.term, s.vote, s.commit)) }

func decodeHardState(v []byte) (hardState, error) {
	n, err := numbers(v, 3)
	if err != nil {
		return hardState{}, err
	}
	return hardState{n[0], n[1], n[2]}, nil
}

// point is a place in a log: index(8) term(8) crc32c(4).
type point struct{ index, term uint64 }

func (p point) encode() []byte { return seal(appendNumbers(nil, p.index, p.term)) }

func decodePoint(v []byte) (point, error) {
	n, err := numbers(v, 2)
	if err != nil {
		return point{}, err
	}
	return point{n[0], n[1]}, nil
}

// conf is who belongs to a group: version(1) replica(8) count(2), then the
// voters (8 each), crc32c(4). Learners and joint configurations will raise the
// version.
type conf struct {
	replica uint64
	voters  []uint64
}

const confVersion = 1

func (c conf) encode() []byte {
	v := appendNumbers([]byte{confVersion}, c.replica)
	v = binary.BigEndian.AppendUint16(v, uint16(len(c.voters)))
	return seal(appendNumbers(v, c.voters...))
}

func decodeConf(v []byte) (conf, error) {
	if len(v) > 0 && v[0] > confVersion {
		return conf{}, fmt.Errorf("members record %d: %w", v[0], errTooNew)
	}
	v, err := unseal(v)
	if err != nil {
		return conf{}, err
	}
	if len(v) < 11 || v[0] != confVersion || len(v) != 11+8*int(binary.BigEndian.Uint16(v[9:])) {
		return conf{}, errDamaged
	}
	c := conf{replica: binary.BigEndian.Uint64(v[1:])}
	for v = v[11:]; len(v) > 0; v = v[8:] {
		c.voters = append(c.voters, binary.BigEndian.Uint64(v))
	}
	if c.replica == 0 || len(c.voters) == 0 {
		return conf{}, errDamaged
	}
	return c, nil
}

func appendNumbers(b []byte, n ...uint64) []byte {
	for _, x := range n {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return b
}

func numbers(v []byte, count int) ([]uint64, error) {
	v, err := unseal(v)
	if err != nil {
		return nil, err
	}
	if len(v) != 8*count {
		return nil, errDamaged
	}
	n := make([]uint64, count)
	for i := range n {
		n[i] = binary.BigEndian.Uint64(v[8*i:])
	}
	return n, nil
}

func seal(v []byte) []byte {
	return binary.BigEndian.AppendUint32(v, crc32.Checksum(v, castagnoli()))
}

func unseal(v []byte) ([]byte, error) {
	if len(v) < 4 || crc32.Checksum(v[:len(v)-4], castagnoli()) != binary.BigEndian.Uint32(v[len(v)-4:]) {
		return nil, errDamaged
	}
	return v[:len(v)-4], nil
}

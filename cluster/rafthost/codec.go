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
	keyTruncated = 0x02
	keyConf      = 0x03
	keyPersisted = 0x04
	keyMarker    = 0x05
	keyLast      = 0x06
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
	if d.typ != raftpb.EntryNormal && d.typ != raftpb.EntryConfChangeV2 {
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

// lastReplica is the newest replica id that a store ever had for a group:
// replica(8) crc32c(4). It outlives the replica.
func encodeLast(replica uint64) []byte { return seal(appendNumbers(nil, replica)) }

func decodeLast(v []byte) (uint64, error) {
	n, err := numbers(v, 1)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// conf is who belongs to a group. Version 1, for groups whose members never
// changed: version(1) replica(8) count(2), then the voters (8 each), crc32c(4).
// Version 2: version(1) replica(8) index(8) leave(1), then voters, learners,
// outgoing voters and those of them that become learners, each as count(2) and
// ids (8 each), crc32c(4).
type conf struct {
	replica      uint64 // this node's
	index        uint64 // of the entry that made it; 0 for the first
	voters       []uint64
	learners     []uint64
	outgoing     []uint64 // not empty between the two halves of a joint change
	learnersNext []uint64
	autoLeave    bool
}

const (
	confVersion1 = 1
	confVersion2 = 2
)

func (c conf) first() bool {
	return c.index == 0 && !c.autoLeave && len(c.voters) > 0 && len(c.learners)+len(c.outgoing)+len(c.learnersNext) == 0
}

func (c conf) encode() []byte {
	if c.first() {
		v := appendNumbers([]byte{confVersion1}, c.replica)
		v = binary.BigEndian.AppendUint16(v, uint16(len(c.voters)))
		return seal(appendNumbers(v, c.voters...))
	}
	v := appendNumbers([]byte{confVersion2}, c.replica, c.index)
	if c.autoLeave {
		v = append(v, 1)
	} else {
		v = append(v, 0)
	}
	for _, ids := range [][]uint64{c.voters, c.learners, c.outgoing, c.learnersNext} {
		v = binary.BigEndian.AppendUint16(v, uint16(len(ids)))
		v = appendNumbers(v, ids...)
	}
	return seal(v)
}

func decodeConf(v []byte) (conf, error) {
	if len(v) > 0 && v[0] > confVersion2 {
		return conf{}, fmt.Errorf("members record %d: %w", v[0], errTooNew)
	}
	v, err := unseal(v)
	if err != nil {
		return conf{}, err
	}
	if len(v) < 11 {
		return conf{}, errDamaged
	}
	c := conf{replica: binary.BigEndian.Uint64(v[1:])}
	ok := c.replica != 0
	switch v[0] {
	case confVersion1:
		c.voters, v = takeIDs(v[9:], &ok)
		ok = ok && len(c.voters) > 0
	case confVersion2:
		if len(v) < 18 || v[17] > 1 {
			return conf{}, errDamaged
		}
		c.index, c.autoLeave = binary.BigEndian.Uint64(v[9:]), v[17] == 1
		v = v[18:]
		for _, ids := range []*[]uint64{&c.voters, &c.learners, &c.outgoing, &c.learnersNext} {
			*ids, v = takeIDs(v, &ok)
		}
		ok = ok && !c.first() // that is version 1
	default:
		ok = false
	}
	if !ok || len(v) != 0 {
		return conf{}, errDamaged
	}
	return c, nil
}

// takeIDs reads count(2) and ids from v and gives the rest.
func takeIDs(v []byte, ok *bool) ([]uint64, []byte) {
	if len(v) < 2 {
		*ok = false
		return nil, nil
	}
	n := int(binary.BigEndian.Uint16(v))
	if v = v[2:]; len(v) < 8*n {
		*ok = false
		return nil, nil
	}
	var ids []uint64
	for range n {
		ids, v = append(ids, binary.BigEndian.Uint64(v)), v[8:]
	}
	return ids, v
}

// state is c as raft sees it.
func (c conf) state() *raftpb.ConfState {
	clone := func(ids []uint64) []uint64 { return append([]uint64(nil), ids...) }
	return &raftpb.ConfState{Voters: clone(c.voters), Learners: clone(c.learners),
		VotersOutgoing: clone(c.outgoing), LearnersNext: clone(c.learnersNext), AutoLeave: new(c.autoLeave)}
}

// confOf is what raft says, made by the entry at index.
func confOf(replica, index uint64, s *raftpb.ConfState) conf {
	return conf{replica: replica, index: index, voters: s.GetVoters(), learners: s.GetLearners(),
		outgoing: s.GetVotersOutgoing(), learnersNext: s.GetLearnersNext(), autoLeave: s.GetAutoLeave()}
}

// marker says that the snapshot in a finished stage is to replace the state of
// its group: version(1) index(8) term(8) length(2) name length(2) members, as
// in their own record, crc32c(4).
type marker struct {
	at    point
	stage string
	conf  conf
}

const markerVersion = 1

func (m marker) encode() []byte {
	v := appendNumbers([]byte{markerVersion}, m.at.index, m.at.term)
	v = binary.BigEndian.AppendUint16(v, uint16(len(m.stage)))
	v = append(v, m.stage...)
	c := m.conf.encode()
	v = binary.BigEndian.AppendUint16(v, uint16(len(c)))
	return seal(append(v, c...))
}

func decodeMarker(v []byte) (marker, error) {
	if len(v) > 0 && v[0] > markerVersion {
		return marker{}, fmt.Errorf("snapshot marker %d: %w", v[0], errTooNew)
	}
	v, err := unseal(v)
	if err != nil {
		return marker{}, err
	}
	if len(v) < 19 || v[0] != markerVersion {
		return marker{}, errDamaged
	}
	m := marker{at: point{binary.BigEndian.Uint64(v[1:]), binary.BigEndian.Uint64(v[9:])}}
	n := int(binary.BigEndian.Uint16(v[17:]))
	if v = v[19:]; len(v) < n+2 {
		return marker{}, errDamaged
	}
	m.stage, v = string(v[:n]), v[n:]
	if n = int(binary.BigEndian.Uint16(v)); len(v) != 2+n {
		return marker{}, errDamaged
	}
	if m.conf, err = decodeConf(v[2:]); err != nil {
		return marker{}, err
	}
	return m, nil
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

package delivery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// The bytes of a table, numbers little-endian:
//
//	version(1)=1  index(8)  time(8)  swept(4)  digest(8)  count(4)
//	count × [edge(8) epoch(4) sequence(8) index(8) last(8)], by edge
//	crc32c of all before (4)
const (
	version   = 1
	headLen   = 1 + 8 + 8 + 4 + 8 + 4
	rowLen    = 8 + 4 + 8 + 8 + 8
	versionAt = 0
)

// ErrFormat means that bytes are not a table of a known version.
var ErrFormat = errors.New("delivery table: unknown or damaged format")

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Encode gives the canonical bytes: equal tables have equal ones, however they
// came about.
func (t *Table) Encode() []byte {
	rows := slices.Clone(t.rows)
	slices.SortFunc(rows, func(a, b row) int {
		if a.edge < b.edge {
			return -1
		}
		return 1 // edges are distinct
	})
	le := binary.LittleEndian
	b := make([]byte, 0, headLen+len(rows)*rowLen+4)
	b = append(b, version)
	b = le.AppendUint64(b, t.index)
	b = le.AppendUint64(b, uint64(t.time))
	b = le.AppendUint32(b, uint32(t.swept))
	b = le.AppendUint64(b, t.sum)
	b = le.AppendUint32(b, uint32(len(rows)))
	for _, r := range rows {
		b = le.AppendUint64(b, r.edge)
		b = le.AppendUint32(b, r.epoch)
		b = le.AppendUint64(b, r.seq)
		b = le.AppendUint64(b, r.index)
		b = le.AppendUint64(b, uint64(r.last))
	}
	return appendSum(b)
}

func appendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

// Decode reads what Encode gave. Nothing else is accepted, with ErrFormat.
func Decode(b []byte) (*Table, error) {
	if len(b) > versionAt && b[versionAt] > version {
		return nil, fmt.Errorf("delivery table of version %d, this one reads %d: %w", b[versionAt], version, ErrFormat)
	}
	le := binary.LittleEndian
	if len(b) < headLen+4 || b[versionAt] != version || le.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], crcTable) {
		return nil, ErrFormat
	}
	t := &Table{index: le.Uint64(b[1:]), time: int64(le.Uint64(b[9:])), swept: int32(le.Uint32(b[17:])), sum: le.Uint64(b[21:])}
	n := int(le.Uint32(b[29:]))
	if n > EdgesMax || len(b) != headLen+n*rowLen+4 {
		return nil, ErrFormat
	}
	t.rows = make([]row, n)
	for i := range t.rows {
		p := b[headLen+i*rowLen:]
		r := row{edge: le.Uint64(p), epoch: le.Uint32(p[8:]), seq: le.Uint64(p[12:]), index: le.Uint64(p[20:]), last: int64(le.Uint64(p[28:]))}
		if i > 0 && r.edge <= t.rows[i-1].edge || r.epoch == 0 || r.seq == 0 {
			return nil, ErrFormat
		}
		t.rows[i] = r
	}
	if t.index > 0 {
		t.past[0], t.next = digest{t.index, t.sum}, 1
	}
	return t, nil
}

package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"footfall/persistence"
)

// FormatVersion is the newest version of the key layout in package persistence
// that this package reads. It rises with every change that an older binary would
// misread.
const FormatVersion = formatMember

const (
	formatAlone  = 1 // a node that is no member of a cluster, as every new store
	formatMember = 2 // SetMembership was called: a binary that knows no clusters would serve alone
)

// Ident is what a store knows about itself.
type Ident struct {
	Node   uint64 // random, not 0, never changes: a wiped directory is another node
	Format uint32 // what a reader has to know; SetMembership raises it once
}

// identLen and the layout: magic(4) format(4) node(8) crc32c(4), big-endian.
const identLen = 4 + 4 + 8 + 4

const identMagic = "ffst"

var errIdentDamaged = errors.New("ident record is damaged")

func (i Ident) encode() []byte {
	b := append(make([]byte, 0, identLen), identMagic...)
	b = binary.BigEndian.AppendUint32(b, i.Format)
	b = binary.BigEndian.AppendUint64(b, i.Node)
	return binary.BigEndian.AppendUint32(b, sum(b))
}

// sum is the check sum of every record of this package.
func sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// decodeIdent looks at the format before the length and the checksum, so that a
// newer layout of this record is still recognised as newer.
func decodeIdent(b []byte) (Ident, error) {
	if len(b) < 8 || string(b[:4]) != identMagic {
		return Ident{}, errIdentDamaged
	}
	i := Ident{Format: binary.BigEndian.Uint32(b[4:])}
	if i.Format > FormatVersion {
		return Ident{}, fmt.Errorf("data format %d is newer than %d, the newest this version reads: use a newer version", i.Format, FormatVersion)
	}
	if len(b) != identLen || sum(b[:identLen-4]) != binary.BigEndian.Uint32(b[identLen-4:]) {
		return Ident{}, errIdentDamaged
	}
	i.Node = binary.BigEndian.Uint64(b[8:])
	if i.Node == 0 || i.Format == 0 {
		return Ident{}, errIdentDamaged
	}
	return i, nil
}

// errNotEmpty ends the scan that looks for strange content.
var errNotEmpty = errors.New("the directory holds a database without ident record: not made by footfall")

// loadIdent reads the ident record or makes it in an empty database.
func (s *Store) loadIdent(o Options) (Ident, bool, error) {
	key := []byte{persistence.TableIdent}
	v, err := s.Get(key)
	if err == nil {
		i, err := decodeIdent(v)
		return i, false, err
	}
	if !errors.Is(err, persistence.ErrNotFound) {
		return Ident{}, false, err
	}
	if err := s.Scan(nil, nil, func(_, _ []byte) error { return errNotEmpty }); err != nil {
		return Ident{}, false, err
	}
	i := Ident{Format: formatAlone}
	for i.Node == 0 {
		var r [8]byte
		if _, err := io.ReadFull(o.Rand, r[:]); err != nil {
			return Ident{}, false, fmt.Errorf("draw node id: %w", err)
		}
		i.Node = binary.BigEndian.Uint64(r[:])
	}
	b := s.NewBatch()
	b.Set(key, i.encode())
	if err := s.Commit(b, true); err != nil {
		return Ident{}, false, fmt.Errorf("write ident: %w", err)
	}
	return i, true, nil
}

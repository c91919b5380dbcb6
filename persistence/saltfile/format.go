package saltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The file, big-endian:
//
//	magic "ffsl"(4) version(1) count(1)  then per salt, by family, and in each
//	                                     the current one first, then the previous:
//	family(1)                            0 day, 1 week, 2 month; not in version 1
//	from(4) salt(16)                     from is in days since 1970, UTC
//	crc32c(4)                            of everything before it
//
// Version 3 is of a node of a cluster, see Shared: id(16) stands between from and
// salt, there can be several salts of a period and none at all.
//
// Version 1 knows the family of days only. It is still written while there is
// no other, so that a node can go back to a release that reads nothing newer
// until a site asks for longer ids.
const (
	magic       = "ffsl"
	versionDays = 1
	version     = 2
	versionIDs  = 3

	headLen = 4 + 1 + 1
	saltLen = 4 + 16 // without the family
	sumLen  = 4
)

func (s *state) encode() []byte {
	v := byte(version)
	if s[weekly] == nil && s[monthly] == nil {
		v = versionDays
	}
	b := append([]byte(magic), v, 0)
	for m, p := range s {
		if p == nil {
			continue
		}
		list := []*salt{&p.current, p.previous}
		for _, one := range list {
			if one == nil {
				continue
			}
			if v != versionDays {
				b = append(b, byte(m))
			}
			b = append(binary.BigEndian.AppendUint32(b, uint32(one.from)), one.bytes[:]...)
			b[headLen-1]++
		}
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

var errDamaged = errors.New("is damaged; restore it, or remove it and accept that every visitor counts as new")

func decode(b []byte) (*state, error) {
	if len(b) > headLen && string(b[:4]) == magic && b[4] == versionIDs {
		return nil, errors.New("is of a node that belongs to a cluster")
	}
	if len(b) > headLen && string(b[:4]) == magic && b[4] > versionIDs {
		return nil, fmt.Errorf("was written by a newer version (format %d)", b[4])
	}
	if len(b) < headLen+sumLen || string(b[:4]) != magic || b[4] == 0 ||
		checksum(b[:len(b)-sumLen]) != binary.BigEndian.Uint32(b[len(b)-sumLen:]) {
		return nil, errDamaged
	}
	count, each := int(b[headLen-1]), saltLen
	if b[4] != versionDays {
		each++
	}
	salts := b[headLen : len(b)-sumLen]
	if count == 0 || len(salts) != count*each {
		return nil, errDamaged
	}
	var s state
	for ; len(salts) > 0; salts = salts[each:] {
		m, body := daily, salts[:each]
		if b[4] != versionDays {
			m, body = family(body[0]), body[1:]
		}
		if !s.add(m, salt{from: int64(binary.BigEndian.Uint32(body)), bytes: [16]byte(body[4:])}) {
			return nil, errDamaged
		}
	}
	return &s, nil
}

// add takes in the next salt of a family; false if there can be none such.
func (s *state) add(m family, one salt) bool {
	switch {
	case m >= families:
		return false
	case s[m] == nil:
		s[m] = &pair{current: one, end: m.end(one.from)}
		return true
	case s[m].previous != nil:
		return false
	}
	s[m].previous = &one
	return true
}

const heldLen = 1 + 4 + 16 + 16

func encodeHeld(list []held) []byte {
	b := append([]byte(magic), versionIDs, byte(len(list)))
	for _, h := range list {
		b = binary.BigEndian.AppendUint32(append(b, h.Family), uint32(h.Start))
		b = append(append(b, h.id[:]...), h.bytes[:]...)
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// decodeHeld reads what encodeHeld wrote, and the file of a node that was alone:
// the ids of its salts are of no meaning but to be different.
func decodeHeld(b []byte) ([]held, error) {
	if len(b) < headLen+sumLen || b[4] != versionIDs || string(b[:4]) != magic {
		s, err := decode(b)
		if err != nil {
			return nil, err
		}
		return s.held(), nil
	}
	salts := b[headLen : len(b)-sumLen]
	if checksum(b[:len(b)-sumLen]) != binary.BigEndian.Uint32(b[len(b)-sumLen:]) || len(salts) != heldLen*int(b[headLen-1]) {
		return nil, errDamaged
	}
	var list []held
	for ; len(salts) > 0; salts = salts[heldLen:] {
		h := held{Period{salts[0], int64(binary.BigEndian.Uint32(salts[1:]))}, ID(salts[5:]), [16]byte(salts[21:])}
		if !h.valid() || h.id == (ID{}) {
			return nil, errDamaged
		}
		list = append(list, h)
	}
	return list, nil
}

// held gives the salts of a node that was alone as a cluster keeps them. One
// that a rotation by hand made counts for its whole period.
func (s *state) held() (list []held) {
	for m, p := range s {
		if p == nil {
			continue
		}
		now := Period{uint8(m), family(m).start(p.current.from)}
		list = append(list, held{now, ID{byte(1 + m)}, p.current.bytes})
		if p.previous == nil || now.Start == 0 {
			continue
		}
		if before := (Period{uint8(m), family(m).start(now.Start - 1)}); p.previous.from < p.current.from {
			list = append(list, held{before, ID{byte(1 + m)}, p.previous.bytes})
		}
	}
	return list
}

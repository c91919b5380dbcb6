package site

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
)

// Seal is a closed month: its figures as they were when it was closed. Each
// digest contains that of the month before, so that no closed month can be
// changed or left out unnoticed. Immutable.
type Seal struct {
	Month   int32  // year*12 + month-1, of the site's zone
	Figures []byte // canonical JSON, as given
	Index   uint64 // log index of the seal
	At      int64  // log time of the seal, Unix ms
	Digest  [sha256.Size]byte
}

// MonthNumber gives the number by which seals know a month.
func MonthNumber(year int, month time.Month) int32 { return int32(year*12 + int(month) - 1) }

// MonthLabel gives "2006-01" of a month's number.
func MonthLabel(month int32) string { return fmt.Sprintf("%04d-%02d", month/12, month%12+1) }

// SealDigest is SHA-256 over the digest of the month before (32 zero bytes for
// the first), the site's number (8 bytes, big-endian), the month as "2006-01"
// and the figures.
func SealDigest(before [sha256.Size]byte, id analytics.SiteID, month int32, figures []byte) [sha256.Size]byte {
	b := append([]byte(nil), before[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = append(b, MonthLabel(month)...)
	return sha256.Sum256(append(b, figures...))
}

// VerifySeals checks the chain of a site's seals from the first on; the error
// says at which month it breaks.
func VerifySeals(id analytics.SiteID, seals []Seal) error {
	var before [sha256.Size]byte
	for i := range seals {
		s := &seals[i]
		if i > 0 && s.Month != seals[i-1].Month+1 {
			return fmt.Errorf("seal of %s: comes after that of %s, months are missing", MonthLabel(s.Month), MonthLabel(seals[i-1].Month))
		}
		if s.Digest != SealDigest(before, id, s.Month, s.Figures) {
			return fmt.Errorf("seal of %s: the digest does not fit its figures and the month before", MonthLabel(s.Month))
		}
		before = s.Digest
	}
	return nil
}

// zoneMaxMS is how far the end of a month can lie before that in UTC.
const zoneMaxMS = 15 * 60 * 60 * 1000

// seal closes a month. Months are closed in order, without holes, after they
// have ended; the first can be any.
func (m *Machine) seal(month int32, figures []byte) analytics.Reason {
	end := time.Date(int(month)/12, time.Month(month%12)+2, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	if month < 0 || len(figures) > entry.FiguresBytesMax || m.now < end-zoneMaxMS {
		return analytics.DropInvalid
	}
	var before [sha256.Size]byte
	if n := len(m.seals); n > 0 {
		last := &m.seals[n-1]
		switch {
		case month <= last.Month:
			return analytics.DropDuplicate
		case month > last.Month+1:
			return analytics.DropInvalid
		}
		before = last.Digest
	}
	m.seals = append(m.seals, Seal{Month: month, Figures: append([]byte(nil), figures...), Index: m.applied, At: m.now,
		Digest: SealDigest(before, m.id, month, figures)})
	m.sealsDirty = true
	return analytics.Counted
}

// The seals of a site are one record, written when one is added:
//
//	seals = version(1)=1  count, then for each: month index at digest(32) length(uvarint) figures  crc32c(4)
const sealsVersion = 1

func (m *Machine) encodeSeals() []byte {
	b := []byte{sealsVersion}
	b = binary.AppendUvarint(b, uint64(len(m.seals)))
	for i := range m.seals {
		s := &m.seals[i]
		b = binary.AppendVarint(b, int64(s.Month))
		b = binary.AppendUvarint(b, s.Index)
		b = binary.AppendVarint(b, s.At)
		b = append(b, s.Digest[:]...)
		b = binary.AppendUvarint(b, uint64(len(s.Figures)))
		b = append(b, s.Figures...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

func decodeSeals(b []byte) ([]Seal, error) {
	d, err := checked(b, sealsVersion)
	if err != nil {
		return nil, err
	}
	var seals []Seal
	for n := d.count(); n > 0 && !d.bad; n-- {
		s := Seal{Month: int32(d.i()), Index: d.u(), At: d.i()}
		copy(s.Digest[:], d.bytes(len(s.Digest)))
		s.Figures = append([]byte(nil), d.bytes(d.count())...)
		seals = append(seals, s)
	}
	return seals, d.err()
}

// provideSeals takes the seals' record; there must be as many as the header says.
func (m *Machine) provideSeals(value []byte) error {
	seals, err := decodeSeals(value)
	if err != nil {
		return err
	}
	if len(seals) != len(m.seals) || len(seals) > 0 && seals[len(seals)-1].Month != m.seals[len(seals)-1].Month {
		return errDamaged
	}
	m.seals = seals
	return nil
}

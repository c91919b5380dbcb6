package entry

import (
	"encoding/binary"

	"footfall/analytics"
)

// Command is what an item asks of a site besides counting an event. The numbers
// are stored; new ones go at the end. An entry holds at most one command of a
// site, and no event of that site beside it.
type Command uint8

const (
	// NoCommand is an event or a count of dropped ones.
	NoCommand Command = iota
	// Erase removes the visits of Visitor that are filed under Day, with all of
	// their events.
	Erase
	// Retain removes the visits that are filed under days before Day, with all of
	// their events, and closes those days.
	Retain
	// Seal keeps Figures as those of Month, for ever.
	Seal

	commands // how many there are
)

// FiguresBytesMax bounds Item.Figures.
const FiguresBytesMax = 64 << 10

// AppendErase appends the command that removes a visitor's visits of a day.
func AppendErase(dst []byte, site analytics.SiteID, visitor uint64, day int32) []byte {
	return appendCommand(dst, site, Erase, func(d []byte) []byte {
		d = binary.LittleEndian.AppendUint64(d, visitor)
		return binary.AppendVarint(d, int64(day))
	})
}

// AppendRetain appends the command that removes what is older than a day.
func AppendRetain(dst []byte, site analytics.SiteID, day int32) []byte {
	return appendCommand(dst, site, Retain, func(d []byte) []byte {
		return binary.AppendVarint(d, int64(day))
	})
}

// AppendSeal appends the command that closes a month. len(figures) is at most
// FiguresBytesMax.
func AppendSeal(dst []byte, site analytics.SiteID, month int32, figures []byte) []byte {
	return appendCommand(dst, site, Seal, func(d []byte) []byte {
		d = binary.AppendVarint(d, int64(month))
		d = binary.AppendUvarint(d, uint64(len(figures)))
		return append(d, figures...)
	})
}

func appendCommand(dst []byte, site analytics.SiteID, c Command, fill func([]byte) []byte) []byte {
	return nested(dst, func(d []byte) []byte {
		d = append(d, kindDrop|byte(c)<<commandShift)
		d = binary.LittleEndian.AppendUint64(d, uint64(site))
		return fill(d)
	})
}

// decodeCommand reads what follows the site of an item that is not an event. A
// command that is not known is refused: a newer node wrote it.
func (it *Item) decodeCommand(command Command, c *cursor) error {
	it.Command = command
	switch command {
	case NoCommand:
		it.Drop = true
		it.Reason, it.Count, it.Day = int(c.uvarint()), c.uvarint(), int32(c.varint())
	case Erase:
		it.Visitor, it.Day = c.u64(), int32(c.varint())
	case Retain:
		it.Day = int32(c.varint())
	case Seal:
		it.Month, it.Figures = int32(c.varint()), c.text()
		if len(it.Figures) > FiguresBytesMax {
			c.bad = true
		}
	default:
		c.bad = true
	}
	return c.err()
}

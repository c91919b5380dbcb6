// Package entry is the byte form of what a shard's log holds: batches of
// enriched events and counts of dropped ones. Encoding copies; decoding refers
// into the entry. It knows nothing of counting. Start at Batch and Reader.
//
//	entry   = version(1)=2  time(8, Unix ms, when the batch left)  edge(8)  epoch(4)  sequence(8)  item*
//	          version 1, which is still read, has no epoch
//	item    = length(uvarint)  body
//	body    = flags(1)  site(8)  …
//	event   = … id(8) visitor(8) [previous(8)] time(varint) [name] page host
//	          [scroll(1) engaged(uvarint)] [props] [currency(3) amount(varint)] attributes
//	drop    = … reason(uvarint) count(uvarint) day(varint)
//	erase   = … visitor(8) day(varint)            flags: kind 3, command 1 above it
//	retain  = … day(varint)                       command 2
//	seal    = … month(varint) figures(text)       command 3
//	text    = length(uvarint) bytes
//	attributes = text of five texts: agent, place, acquisition, language, screen;
//	          the first three are themselves runs of texts (a tuple)
package entry

import (
	"encoding/binary"
	"errors"

	"footfall/analytics"
)

// Version is the format that is written. Version 1 is read too; decoding
// refuses others.
const Version = 2

const (
	flagKind        = 3 // two bits: analytics.Kind, or kindDrop
	kindDrop        = 3 // not an event: the bits above are a Command
	commandShift    = 2
	flagExplicit    = 1 << 2
	flagNonInteract = 1 << 3
	flagPrevious    = 1 << 4
	flagProps       = 1 << 5
	flagRevenue     = 1 << 6
	flagScroll      = 1 << 7 // engagements: always set, scroll and engaged follow
	flagNamed       = 1 << 7 // other events: the visitor id lasts
)

// ErrFormat means that bytes are not an entry of a known version.
var ErrFormat = errors.New("log entry: unknown or damaged format")

// HeaderLen is the length of the header that is written, header1Len that of
// version 1.
const (
	HeaderLen  = 1 + 8 + 8 + 4 + 8
	header1Len = 1 + 8 + 8 + 8
)

// PutHeader writes the header of an entry that leaves at time ms, the
// sequence-th batch of the edge's epoch; epoch 0 says that the edge does not
// number its batches, so that the entry is applied whatever its sequence.
// len(dst) is at least HeaderLen.
func PutHeader(dst []byte, ms int64, edge uint64, epoch uint32, sequence uint64) {
	dst[0] = Version
	binary.LittleEndian.PutUint64(dst[1:], uint64(ms))
	binary.LittleEndian.PutUint64(dst[9:], edge)
	binary.LittleEndian.PutUint32(dst[17:], epoch)
	binary.LittleEndian.PutUint64(dst[21:], sequence)
}

// AppendEvent appends one event as an item.
func AppendEvent(dst []byte, site analytics.SiteID, ev *analytics.Event) []byte {
	mark := len(dst)
	dst = append(dst, 0, 0, 0) // room for the length, three bytes always
	flags := byte(ev.Kind)
	if ev.Explicit {
		flags |= flagExplicit
	}
	if ev.NonInteractive {
		flags |= flagNonInteract
	}
	if ev.Previous != 0 {
		flags |= flagPrevious
	}
	if len(ev.Props) > 0 {
		flags |= flagProps
	}
	if ev.Revenue.Currency != "" {
		flags |= flagRevenue
	}
	if ev.Kind == analytics.Engagement {
		flags |= flagScroll
	} else if ev.Named {
		flags |= flagNamed
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(site))
	dst = binary.LittleEndian.AppendUint64(dst, ev.ID)
	dst = binary.LittleEndian.AppendUint64(dst, ev.Visitor)
	if ev.Previous != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, ev.Previous)
	}
	dst = binary.AppendVarint(dst, ev.Time)
	if ev.Kind == analytics.Custom {
		dst = appendText(dst, ev.Name)
	}
	dst = appendText(dst, ev.Page)
	dst = appendText(dst, ev.Host)
	if ev.Kind == analytics.Engagement {
		dst = append(dst, ev.ScrollDepth)
		dst = binary.AppendUvarint(dst, uint64(ev.EngagedMS))
	}
	if len(ev.Props) > 0 {
		dst = nested(dst, func(d []byte) []byte {
			for _, p := range ev.Props {
				d = appendText(appendText(d, p.Key), p.Value)
			}
			return d
		})
	}
	if ev.Revenue.Currency != "" {
		dst = append(dst, (ev.Revenue.Currency + "   ")[:3]...)
		dst = binary.AppendVarint(dst, ev.Revenue.Amount)
	}
	attrs := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = appendAttributes(dst, ev)
	putLen(dst[attrs:], len(dst)-attrs-3)
	putLen(dst[mark:], len(dst)-mark-3)
	return dst
}

// putLen writes n as a uvarint of exactly three bytes; n is below 2^21.
func putLen(b []byte, n int) {
	b[0], b[1], b[2] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
}

func nested(dst []byte, fill func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = fill(dst)
	putLen(dst[at:], len(dst)-at-3)
	return dst
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendAttributes(dst []byte, ev *analytics.Event) []byte {
	dst = tuple(dst, ev.Agent.Browser, ev.Agent.BrowserVersion, ev.Agent.OS, ev.Agent.OSVersion, ev.Agent.Device)
	dst = tuple(dst, ev.Place.Country, ev.Place.Region, ev.Place.City)
	a := &ev.Acquisition
	dst = tuple(dst, a.Source, a.Referrer, a.Channel, a.Medium, a.UTMSource, a.Campaign, a.Content, a.Term, a.ClickID)
	dst = appendText(dst, ev.Language)
	return appendText(dst, ev.Screen)
}

// tuple writes a run of texts as one text; trailing empty texts are left out, so
// that equal values have equal bytes.
func tuple(dst []byte, fields ...string) []byte {
	for len(fields) > 0 && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1]
	}
	n := 0
	for _, f := range fields {
		n += uvarintLen(len(f)) + len(f)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for _, f := range fields {
		dst = appendText(dst, f)
	}
	return dst
}

func uvarintLen(n int) int {
	l := 1
	for n >= 0x80 {
		n >>= 7
		l++
	}
	return l
}

// AppendDrop appends the count of events of a UTC day that were dropped.
func AppendDrop(dst []byte, site analytics.SiteID, reason int, count uint64, day int32) []byte {
	return nested(dst, func(d []byte) []byte {
		d = append(d, kindDrop)
		d = binary.LittleEndian.AppendUint64(d, uint64(site))
		d = binary.AppendUvarint(d, uint64(reason))
		d = binary.AppendUvarint(d, count)
		return binary.AppendVarint(d, int64(day))
	})
}

// Item is a decoded item: an event, a count of dropped ones, or a command.
// Byte slices refer into the entry.
type Item struct {
	Site    analytics.SiteID
	Drop    bool
	Command Command

	Kind                  analytics.Kind
	Explicit              bool
	NonInteractive, Named bool
	ID, Visitor, Previous uint64
	Time                  int64
	Name, Page, Host      []byte
	Scroll                uint8
	EngagedMS             uint32
	Props, Revenue        []byte // as stored in columns: run of texts; currency and amount
	attributes            []byte

	Reason int // of a drop
	Count  uint64
	Day    int32 // of a drop, of Erase and of Retain: days since 1970, UTC

	Month   int32  // of Seal: year*12 + month-1
	Figures []byte // of Seal
}

// Attributes gives the visit attributes: three tuples and two texts.
func (it *Item) Attributes() (agent, place, acquisition, language, screen []byte) {
	r := cursor{b: it.attributes}
	return r.text(), r.text(), r.text(), r.text(), r.text()
}

// Reader walks the items of an entry.
type Reader struct {
	Time           int64 // Unix ms
	Edge, Sequence uint64
	Epoch          uint32 // 0: the batch has no number, Sequence says nothing
	rest           []byte
}

// Open reads the header of an entry.
func Open(data []byte) (Reader, error) {
	if len(data) < header1Len || data[0] == Version && len(data) < HeaderLen || data[0] != 1 && data[0] != Version {
		return Reader{}, ErrFormat
	}
	r := Reader{Time: int64(binary.LittleEndian.Uint64(data[1:])), Edge: binary.LittleEndian.Uint64(data[9:])}
	if data[0] == 1 {
		r.Sequence, r.rest = binary.LittleEndian.Uint64(data[17:]), data[header1Len:]
		return r, nil
	}
	r.Epoch, r.Sequence = binary.LittleEndian.Uint32(data[17:]), binary.LittleEndian.Uint64(data[21:])
	r.rest = data[HeaderLen:]
	return r, nil
}

// Check reads a whole entry and tells whether it can be applied. Whatever comes
// from another node is checked before it goes into a log.
func Check(data []byte) (Reader, error) {
	rd, err := Open(data)
	if err != nil {
		return Reader{}, err
	}
	walk := rd
	var it Item
	for {
		ok, err := walk.Next(&it)
		switch {
		case err != nil:
			return Reader{}, err
		case !ok:
			return rd, nil
		case it.Drop && it.Reason >= len(analytics.Reasons): // a newer node's
			return Reader{}, ErrFormat
		}
	}
}

// Next decodes the next item into it; false at the end.
func (r *Reader) Next(it *Item) (bool, error) {
	if len(r.rest) == 0 {
		return false, nil
	}
	c := cursor{b: r.rest}
	body := c.text()
	if c.bad || len(body) < 9 {
		return false, ErrFormat
	}
	r.rest = c.b
	return true, decode(body, it)
}

func decode(body []byte, it *Item) error {
	flags := body[0]
	c := cursor{b: body[1:]}
	*it = Item{Site: analytics.SiteID(c.u64()), Scroll: analytics.ScrollNone}
	if flags&flagKind == kindDrop {
		return it.decodeCommand(Command(flags>>commandShift), &c)
	}
	it.Kind = analytics.Kind(flags & flagKind)
	it.Explicit, it.NonInteractive = flags&flagExplicit != 0, flags&flagNonInteract != 0
	it.ID, it.Visitor = c.u64(), c.u64()
	if flags&flagPrevious != 0 {
		it.Previous = c.u64()
	}
	it.Time = c.varint()
	if it.Kind == analytics.Custom {
		it.Name = c.text()
	}
	it.Page, it.Host = c.text(), c.text()
	it.Named = it.Kind != analytics.Engagement && flags&flagNamed != 0
	if it.Kind == analytics.Engagement && flags&flagScroll != 0 {
		it.Scroll = c.byte()
		it.EngagedMS = uint32(c.uvarint())
	}
	if flags&flagProps != 0 {
		it.Props = c.text()
	}
	if flags&flagRevenue != 0 {
		start := c.b
		c.skip(3)
		c.varint()
		if !c.bad {
			it.Revenue = start[:len(start)-len(c.b)]
		}
	}
	it.attributes = c.text()
	return c.err()
}

// cursor reads fields and remembers damage, so that callers check once.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) err() error {
	if c.bad {
		return ErrFormat
	}
	return nil
}

func (c *cursor) skip(n int) {
	if len(c.b) < n {
		c.bad, c.b = true, nil
		return
	}
	c.b = c.b[n:]
}

func (c *cursor) byte() byte {
	if len(c.b) < 1 {
		c.bad = true
		return 0
	}
	x := c.b[0]
	c.b = c.b[1:]
	return x
}

func (c *cursor) u64() uint64 {
	if len(c.b) < 8 {
		c.bad, c.b = true, nil
		return 0
	}
	x := binary.LittleEndian.Uint64(c.b)
	c.b = c.b[8:]
	return x
}

func (c *cursor) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) varint() int64 {
	x, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) text() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	x := c.b[:n:n]
	c.b = c.b[n:]
	return x
}

// Field gives the i-th text of a tuple, "" if it has fewer.
func Field(tuple string, i int) string {
	for {
		n, l := uvarintString(tuple)
		if l <= 0 || n > uint64(len(tuple)-l) {
			return ""
		}
		if i == 0 {
			return tuple[l : l+int(n)]
		}
		tuple = tuple[l+int(n):]
		i--
	}
}

// Lookup finds the value of a key in a run of key and value texts.
func Lookup(props, key string) (string, bool) {
	for len(props) > 0 {
		n, l := uvarintString(props)
		if l <= 0 || n > uint64(len(props)-l) {
			return "", false
		}
		k := props[l : l+int(n)]
		props = props[l+int(n):]
		n, l = uvarintString(props)
		if l <= 0 || n > uint64(len(props)-l) {
			return "", false
		}
		if k == key {
			return props[l : l+int(n)], true
		}
		props = props[l+int(n):]
	}
	return "", false
}

// Money reads what a revenue column holds.
func Money(s string) (currency string, amount int64) {
	if len(s) < 4 {
		return "", 0
	}
	amount, _ = binary.Varint([]byte(s[3:]))
	return s[:3], amount
}

func uvarintString(s string) (uint64, int) {
	var x uint64
	for i := 0; i < len(s) && i < 10; i++ {
		b := s[i]
		x |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return x, i + 1
		}
	}
	return 0, 0
}

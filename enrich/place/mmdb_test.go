package place

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"sort"
)

// mmdb builds a MaxMind DB file for the tests: an IPv6 tree whose IPv4 part lies
// under ::/96, one data section, metadata. recordBits is 24, 28 or 32.
func mmdb(recordBits int, kind string, places map[string]any) []byte {
	type node struct{ child [2]int } // >0 node, <0 record -n, 0 nothing
	nodes := []node{{}}
	var data bytes.Buffer
	prefixes := make([]string, 0, len(places))
	for p := range places {
		prefixes = append(prefixes, p)
	}
	sort.Slice(prefixes, func(i, j int) bool {
		a, b := netip.MustParsePrefix(prefixes[i]), netip.MustParsePrefix(prefixes[j])
		return a.Bits() < b.Bits() || a.Bits() == b.Bits() && prefixes[i] < prefixes[j]
	})
	for _, text := range prefixes {
		p := netip.MustParsePrefix(text)
		bits, addr := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			bits += 96
			four := p.Addr().As4()
			addr = [16]byte{12: four[0], 13: four[1], 14: four[2], 15: four[3]}
		}
		record := -(data.Len() + 1)
		encode(&data, places[text])
		at := 0
		for i := range bits {
			side := addr[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at].child[side] = record
				break
			}
			if nodes[at].child[side] <= 0 {
				nodes = append(nodes, node{})
				nodes[at].child[side] = len(nodes) - 1
			}
			at = nodes[at].child[side]
		}
	}
	var file bytes.Buffer
	for _, n := range nodes {
		var v [2]uint64
		for i, c := range n.child {
			switch {
			case c > 0:
				v[i] = uint64(c)
			case c < 0:
				v[i] = uint64(len(nodes) + 16 + -c - 1)
			default:
				v[i] = uint64(len(nodes))
			}
		}
		switch recordBits {
		case 24:
			file.Write([]byte{byte(v[0] >> 16), byte(v[0] >> 8), byte(v[0]), byte(v[1] >> 16), byte(v[1] >> 8), byte(v[1])})
		case 28:
			file.Write([]byte{byte(v[0] >> 16), byte(v[0] >> 8), byte(v[0]), byte(v[0]>>24)<<4 | byte(v[1]>>24),
				byte(v[1] >> 16), byte(v[1] >> 8), byte(v[1])})
		case 32:
			file.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(v[0])), uint32(v[1])))
		}
	}
	file.Write(make([]byte, 16))
	file.Write(data.Bytes())
	file.WriteString("\xab\xcd\xefMaxMind.com")
	encode(&file, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1_700_000_000), "database_type": kind, "description": map[string]any{"en": "test"},
		"ip_version": uint16(6), "languages": []any{"en"}, "node_count": uint32(len(nodes)), "record_size": uint16(recordBits),
	})
	return file.Bytes()
}

// encode writes v in the data format: a control byte with type and size, then
// the payload.
func encode(b *bytes.Buffer, v any) {
	control := func(kind, size int) {
		first, extended := kind<<5, -1
		if kind > 7 {
			first, extended = 0, kind-7
		}
		var more []byte
		switch {
		case size >= 285:
			more = []byte{byte((size - 285) >> 8), byte(size - 285)}
			first |= 30
		case size >= 29:
			more = []byte{byte(size - 29)}
			first |= 29
		default:
			first |= size
		}
		b.WriteByte(byte(first))
		if extended >= 0 {
			b.WriteByte(byte(extended))
		}
		b.Write(more)
	}
	number := func(kind int, v uint64) {
		raw := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, v), "\x00")
		control(kind, len(raw))
		b.Write(raw)
	}
	switch v := v.(type) {
	case string:
		control(2, len(v))
		b.WriteString(v)
	case float64:
		control(3, 8)
		b.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case bool:
		size := 0
		if v {
			size = 1
		}
		control(14, size)
	case []any:
		control(11, len(v))
		for _, e := range v {
			encode(b, e)
		}
	case map[string]any:
		control(7, len(v))
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			encode(b, k)
			encode(b, v[k])
		}
	default:
		panic("mmdb: type not written here")
	}
}

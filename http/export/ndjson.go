package export

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ndjsonWriter writes one JSON object a line. Every object has all columns in
// their order; what is null reads null.
type ndjsonWriter struct {
	w    io.Writer
	cols []heading
	keys []string // what stands before each value
	buf  []byte
}

func newNDJSON(w io.Writer, cols []heading) *ndjsonWriter {
	n := &ndjsonWriter{w: w, cols: cols}
	for i := range cols {
		key := []byte{','}
		if i == 0 {
			key[0] = '{'
		}
		n.keys = append(n.keys, string(append(appendJSON(key, cols[i].name), ':')))
	}
	return n
}

func (n *ndjsonWriter) row(cells []cell) error {
	b := n.buf[:0]
	for i := range cells {
		b = append(b, n.keys[i]...)
		x := &cells[i]
		if x.null {
			b = append(b, "null"...)
			continue
		}
		switch n.cols[i].kind {
		case text:
			b = appendJSON(b, x.s)
		case object:
			b = append(b, x.s...)
		case instant:
			b = append(appendInstant(append(b, '"'), x.n), '"')
		case integer:
			b = strconv.AppendInt(b, x.n, 10)
		case decimal:
			b = appendDecimal(b, x.f)
		case money:
			b = appendMillionths(b, x.n)
		}
	}
	n.buf = append(b, "}\n"...)
	if _, err := n.w.Write(n.buf); err != nil {
		return fmt.Errorf("write a row of an NDJSON file: %w", err)
	}
	return nil
}

func (n *ndjsonWriter) end() error { return nil }

// appendJSON appends s as a JSON string on one line. Runs of bytes that
// are no UTF-8 become U+FFFD, in every format alike.
func appendJSON(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	s = strings.ToValidUTF8(s, "\ufffd")
	dst = append(dst, '"')
	start := 0 // of what is copied as it is
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == '\u2028' || r == '\u2029' { // ends a line for some readers
				dst = append(append(dst, s[start:i]...), '\\', 'u', '2', '0', '2', hex[r&15])
				start = i + size
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

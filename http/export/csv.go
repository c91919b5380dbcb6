package export

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// csvWriter writes RFC 4180: a header, CRLF after every record, quotes doubled
// inside quotes; UTF-8. What is null is empty.
type csvWriter struct {
	w    io.Writer
	cols []heading
	raw  bool
	buf  []byte
}

func newCSV(w io.Writer, cols []heading, raw bool) (*csvWriter, error) {
	c := &csvWriter{w: w, cols: cols, raw: raw}
	names := make([]byte, 0, 512)
	for i := range cols {
		if i > 0 {
			names = append(names, ',')
		}
		names = appendField(names, cols[i].name, raw)
	}
	if _, err := w.Write(append(names, "\r\n"...)); err != nil {
		return nil, fmt.Errorf("write the header of a CSV file: %w", err)
	}
	return c, nil
}

func (c *csvWriter) row(cells []cell) error {
	b := c.buf[:0]
	for i := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		x := &cells[i]
		if x.null {
			continue
		}
		switch c.cols[i].kind {
		case text, object:
			b = appendField(b, x.s, c.raw)
		case instant:
			b = appendInstant(b, x.n)
		case integer:
			b = strconv.AppendInt(b, x.n, 10)
		case decimal:
			b = appendDecimal(b, x.f)
		case money:
			b = appendMillionths(b, x.n)
		}
	}
	if len(b) == 0 {
		b = append(b, `""`...) // an empty line would be no record
	}
	c.buf = append(b, "\r\n"...)
	if _, err := c.w.Write(c.buf); err != nil {
		return fmt.Errorf("write a row of a CSV file: %w", err)
	}
	return nil
}

func (c *csvWriter) end() error { return nil }

// appendField appends a text as a field. Unless raw, a text that a spreadsheet
// would take for a formula is kept from it by an apostrophe.
func appendField(dst []byte, s string, raw bool) []byte {
	s = strings.ToValidUTF8(s, "\ufffd")
	guard := !raw && isFormula(s)
	if s != "" && !strings.ContainsAny(s, "\",\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		if guard {
			dst = append(dst, '\'')
		}
		return append(dst, s...)
	}
	dst = append(dst, '"')
	if guard {
		dst = append(dst, '\'')
	}
	for {
		before, after, found := strings.Cut(s, `"`)
		dst = append(dst, before...)
		if !found {
			return append(dst, '"')
		}
		dst = append(dst, `""`...)
		s = after
	}
}

// isFormula tells whether a spreadsheet could take a text for a formula, by the
// list of OWASP.
func isFormula(s string) bool {
	return s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0
}

package export

import (
	"io"
	"strconv"
	"time"
)

// kind is what the cells of a column hold.
type kind uint8

const (
	text    kind = iota // cell.s
	object              // cell.s, a JSON object
	instant             // cell.n, Unix ms
	integer             // cell.n
	decimal             // cell.f
	money               // cell.n, millionths, exact
)

// heading describes a column, for every format alike.
type heading struct {
	name     string
	kind     kind
	required bool // no cell of it is null
}

// cell is one value. Which field holds it is the column's matter.
type cell struct {
	null bool
	s    string
	n    int64
	f    float64
}

// texted is a text that is null where there is none.
func texted(s string) cell { return cell{s: s, null: s == ""} }

// writer writes rows in one format. What it is given it does not keep; an error
// is the end of it. end completes the file but closes nothing.
type writer interface {
	row(cells []cell) error
	end() error
}

// format is a form of file.
type format uint8

const (
	csvFormat format = iota
	ndjsonFormat
	parquetFormat
)

func parseFormat(name string) (format, error) {
	switch name {
	case "", "csv":
		return csvFormat, nil
	case "ndjson":
		return ndjsonFormat, nil
	case "parquet":
		return parquetFormat, nil
	}
	return 0, invalid("format: must be csv, ndjson or parquet")
}

func (f format) extension() string { return [...]string{"csv", "ndjson", "parquet"}[f] }

func (f format) contentType() string {
	return [...]string{"text/csv; charset=utf-8; header=present", "application/x-ndjson", "application/vnd.apache.parquet"}[f]
}

// writer begins a file.
func (f format) writer(w io.Writer, cols []heading, r *request, index uint64) (writer, error) {
	switch f {
	case ndjsonFormat:
		return newNDJSON(w, cols), nil
	case parquetFormat:
		return newParquet(w, cols, [][2]string{
			{"footfall.site", r.site.Domain},
			{"footfall.as_of", strconv.FormatUint(index, 10)},
			{"footfall.from", time.UnixMilli(r.from).UTC().Format(time.RFC3339Nano)},
			{"footfall.to", time.UnixMilli(r.to).UTC().Format(time.RFC3339Nano)},
		}), nil
	}
	return newCSV(w, cols, r.raw)
}

// appendMillionths appends n millionths as the shortest exact decimal.
func appendMillionths(dst []byte, n int64) []byte {
	u := uint64(n)
	if n < 0 {
		dst, u = append(dst, '-'), -u
	}
	dst = strconv.AppendUint(dst, u/1e6, 10)
	rest := u % 1e6
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for place := uint64(1e5); rest > 0; place /= 10 {
		dst = append(dst, byte('0'+rest/place))
		rest %= place
	}
	return dst
}

// appendInstant appends a time in RFC 3339 with milliseconds, in UTC.
func appendInstant(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}

// appendDecimal appends the shortest decimal that reads back as x.
func appendDecimal(dst []byte, x float64) []byte {
	if x == 0 {
		x = 0 // not -0
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

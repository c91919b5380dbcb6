package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	meta "github.com/parquet-go/parquet-go/format"
)

// Bounds of a row group, which is held, compressed, until it is written.
const (
	groupRows       = 32 << 10
	groupBytes      = 8 << 20 // of texts before compression
	dictionaryBytes = 1 << 20 // of one column; beyond it texts are written out
	pageBytes       = 64 << 10
	windowBytes     = 256 << 10 // that compression looks back; several pages
)

// parquetWriter writes Parquet: texts by dictionary, everything in zstd, row
// groups bounded so that memory stays flat however long the file becomes.
type parquetWriter struct {
	w      *parquet.Writer
	cols   []heading
	values parquet.Row
	amount []byte // memory of the amounts of a row
	bytes  int    // of texts in this row group
	rows   int
}

func newParquet(w io.Writer, cols []heading, about [][2]string) *parquetWriter {
	options := []parquet.WriterOption{
		schemaOf(cols),
		parquet.Compression(&zipper{}),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.PageBufferSize(pageBytes),
		parquet.CreatedBy("footfall", "1", "0"),
	}
	for _, kv := range about {
		options = append(options, parquet.KeyValueMetadata(kv[0], kv[1]))
	}
	return &parquetWriter{w: parquet.NewWriter(w, options...), cols: cols, values: make(parquet.Row, len(cols))}
}

func (p *parquetWriter) row(cells []cell) error {
	p.amount = p.amount[:0]
	for i := range cells {
		p.values[i] = p.value(i, &cells[i])
	}
	if _, err := p.w.WriteRows([]parquet.Row{p.values}); err != nil {
		return fmt.Errorf("write a row of a Parquet file: %w", err)
	}
	if p.rows++; p.rows < groupRows && p.bytes < groupBytes {
		return nil
	}
	p.rows, p.bytes = 0, 0
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write a row group of a Parquet file: %w", err)
	}
	return nil
}

func (p *parquetWriter) value(i int, x *cell) parquet.Value {
	level := 1
	if p.cols[i].required {
		level = 0
	}
	if x.null {
		return parquet.NullValue().Level(0, 0, i)
	}
	var v parquet.Value
	switch p.cols[i].kind {
	case text, object:
		s := strings.ToValidUTF8(x.s, "\ufffd")
		p.bytes += len(s)
		v = parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s))) // copied by WriteRows
	case decimal:
		v = parquet.DoubleValue(x.f)
	case money:
		at := len(p.amount)
		p.amount = append(p.amount, byte(x.n>>63))
		p.amount = binary.BigEndian.AppendUint64(p.amount, uint64(x.n))
		v = parquet.FixedLenByteArrayValue(p.amount[at:])
	default:
		v = parquet.Int64Value(x.n)
	}
	return v.Level(0, level, i)
}

func (p *parquetWriter) end() error {
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("end a Parquet file: %w", err)
	}
	return nil
}

// zipper compresses the pages of one file with zstd. The library's own codec holds
// a window of megabytes that pages of some kilobytes have no use for.
type zipper struct{ encoder *zstd.Encoder }

func (z *zipper) String() string                          { return "ZSTD" }
func (z *zipper) CompressionCodec() meta.CompressionCodec { return parquet.Zstd.CompressionCodec() }

// Encode is called by one goroutine.
func (z *zipper) Encode(dst, src []byte) ([]byte, error) {
	if z.encoder == nil {
		var err error
		if z.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowBytes), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false)); err != nil {
			return nil, fmt.Errorf("compress a page: %w", err)
		}
	}
	return z.encoder.EncodeAll(src, dst[:0]), nil
}

func (z *zipper) Decode(dst, src []byte) ([]byte, error) { return parquet.Zstd.Decode(dst, src) }

// moneyBytes hold any int64 of millionths, which has up to 19 digits; an INT64
// DECIMAL has 18.
const moneyBytes = 9

func schemaOf(cols []heading) *parquet.Schema {
	root := ordered{parquet.Group{}, make([]parquet.Field, len(cols))}
	for i, c := range cols {
		var n parquet.Node
		switch c.kind {
		case text:
			n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		case object:
			n = parquet.Encoded(parquet.JSON(), &parquet.RLEDictionary)
		case instant:
			n = parquet.Encoded(parquet.Timestamp(parquet.Millisecond), &parquet.DeltaBinaryPacked)
		case integer:
			n = parquet.Leaf(parquet.Int64Type)
		case decimal:
			n = parquet.Leaf(parquet.DoubleType)
		case money:
			n = parquet.Decimal(6, 19, parquet.FixedLenByteArrayType(moneyBytes))
		}
		if !c.required {
			n = parquet.Optional(n)
		}
		root.fields[i] = &field{n, c.name}
	}
	return parquet.NewSchema("row", root)
}

// ordered is a group whose fields are in the order of the columns; the library's
// own is sorted by name. It has no Go type: rows are given as values, and a type
// made for every question would never be freed.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }
func (o ordered) GoType() reflect.Type    { return reflect.TypeFor[struct{}]() }

type field struct {
	parquet.Node
	name string
}

func (f *field) Name() string                        { return f.name }
func (f *field) Value(_ reflect.Value) reflect.Value { return reflect.Value{} }

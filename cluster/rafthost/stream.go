package rafthost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// A snapshot on the wire: the four bytes of streamMagic, whose last is the
// version, then chunks of length(4) crc32c(4) and that many bytes, then a
// chunk of length 0 followed by records(8) crc32c(4) of the bytes of all
// chunks, crc32c(4) of those twelve. The chunks' bytes, taken together, are
// records of key length (uvarint), key, value length (uvarint), value; a record
// may go over the border of a chunk. Numbers are big-endian.
const (
	streamMagic = "FFS\x01"
	chunkMax    = 256 << 10
	keyMax      = 64 << 10
	valueMax    = 256 << 20
)

// streamWriter writes records as chunks.
type streamWriter struct {
	w       io.Writer
	buf     []byte // the chunk being filled, after room for its header
	records uint64
	sum     uint32
	pace    func(n int) error // called before n bytes are written
}

const chunkHeader = 8

func newStreamWriter(w io.Writer, pace func(n int) error) (*streamWriter, error) {
	if _, err := io.WriteString(w, streamMagic); err != nil {
		return nil, err
	}
	return &streamWriter{w: w, pace: pace, buf: make([]byte, chunkHeader, chunkHeader+chunkMax)}, nil
}

func (s *streamWriter) record(key, value []byte) error {
	var n [binary.MaxVarintLen64]byte
	for _, part := range [][]byte{key, value} {
		if err := s.bytes(n[:binary.PutUvarint(n[:], uint64(len(part)))]); err != nil {
			return err
		}
		if err := s.bytes(part); err != nil {
			return err
		}
	}
	s.records++
	return nil
}

func (s *streamWriter) bytes(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), cap(s.buf)-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		if len(s.buf) == cap(s.buf) {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *streamWriter) flush() error {
	body := s.buf[chunkHeader:]
	if len(body) == 0 {
		return nil
	}
	if err := s.pace(len(s.buf)); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(s.buf, uint32(len(body)))
	binary.BigEndian.PutUint32(s.buf[4:], crc32.Checksum(body, castagnoli()))
	s.sum = crc32.Update(s.sum, castagnoli(), body)
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:chunkHeader]
	return err
}

// close writes the rest and the trailer.
func (s *streamWriter) close() error {
	if err := s.flush(); err != nil {
		return err
	}
	t := binary.BigEndian.AppendUint64(nil, s.records)
	t = binary.BigEndian.AppendUint32(t, s.sum)
	_, err := s.w.Write(append(make([]byte, 4), seal(t)...))
	return err
}

// chunkReader gives the bytes of the chunks and io.EOF after a trailer that fits.
type chunkReader struct {
	ctx     context.Context
	r       io.Reader
	buf     []byte
	at      int
	sum     uint32
	ended   bool
	records uint64 // as the trailer says
}

func (c *chunkReader) next() error {
	if c.ended {
		return io.EOF
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	var h [chunkHeader]byte
	if err := c.full(h[:4]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n == 0 {
		return c.trailer()
	}
	if n > chunkMax {
		return fmt.Errorf("snapshot stream: chunk of %d bytes, at most %d", n, chunkMax)
	}
	if err := c.full(h[4:]); err != nil {
		return err
	}
	if cap(c.buf) < int(n) {
		c.buf = make([]byte, chunkMax)
	}
	c.buf, c.at = c.buf[:n], 0
	if err := c.full(c.buf); err != nil {
		return err
	}
	if crc32.Checksum(c.buf, castagnoli()) != binary.BigEndian.Uint32(h[4:]) {
		return fmt.Errorf("snapshot stream: chunk %w", errDamaged)
	}
	c.sum = crc32.Update(c.sum, castagnoli(), c.buf)
	return nil
}

func (c *chunkReader) trailer() error {
	var t [16]byte
	if err := c.full(t[:]); err != nil {
		return err
	}
	v, err := unseal(t[:])
	if err != nil || binary.BigEndian.Uint32(v[8:]) != c.sum {
		return fmt.Errorf("snapshot stream: trailer %w", errDamaged)
	}
	c.records, c.ended = binary.BigEndian.Uint64(v), true
	return io.EOF
}

// full reads all of p; a stream that ends there was cut off.
func (c *chunkReader) full(p []byte) error {
	if _, err := io.ReadFull(c.r, p); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("snapshot stream: %w", err)
	}
	return nil
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for c.at == len(c.buf) {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.at:])
	c.at += n
	return n, nil
}

func (c *chunkReader) ReadByte() (byte, error) {
	for c.at == len(c.buf) {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	c.at++
	return c.buf[c.at-1], nil
}

// readStream passes every record of a stream to put, whose arguments are valid
// during the call only. Keys must rise and lie in [from, to). A stream that
// ends early, goes on after its trailer or does not fit its sums is an error.
func readStream(ctx context.Context, r io.Reader, from, to []byte, put func(key, value []byte) error) (records uint64, err error) {
	c := &chunkReader{ctx: ctx, r: r}
	var magic [len(streamMagic)]byte
	if err := c.full(magic[:]); err != nil {
		return 0, err
	}
	if string(magic[:3]) != streamMagic[:3] {
		return 0, errors.New("snapshot stream: not a snapshot")
	}
	if magic[3] != streamMagic[3] {
		return 0, fmt.Errorf("snapshot stream of version %d: %w", magic[3], errTooNew)
	}
	var key, value, before bytes.Buffer
	for {
		if err := part(c, &key, keyMax); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return records, err
		}
		if err := part(c, &value, valueMax); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("snapshot stream: ends in the middle of a record")
			}
			return records, err
		}
		k := key.Bytes()
		if bytes.Compare(k, from) < 0 || bytes.Compare(k, to) >= 0 {
			return records, fmt.Errorf("snapshot stream: key %x is not in [%x, %x)", k, from, to)
		}
		if records > 0 && bytes.Compare(k, before.Bytes()) <= 0 {
			return records, fmt.Errorf("snapshot stream: key %x follows %x", k, before.Bytes())
		}
		if err := put(k, value.Bytes()); err != nil {
			return records, err
		}
		records++
		key, before = before, key
	}
	if c.records != records {
		return records, fmt.Errorf("snapshot stream: %d records, the trailer says %d", records, c.records)
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n > 0 {
		return records, errors.New("snapshot stream: goes on after its trailer")
	} else if !errors.Is(err, io.EOF) {
		return records, fmt.Errorf("snapshot stream: %w", err)
	}
	return records, nil
}

// part reads a length and that many bytes. io.EOF means that the stream ended
// before the length.
func part(c *chunkReader, into *bytes.Buffer, most uint64) error {
	into.Reset()
	n := uint64(0)
	for shift := 0; ; shift += 7 {
		b, err := c.ReadByte()
		if err != nil {
			if shift > 0 && errors.Is(err, io.EOF) {
				err = errors.New("snapshot stream: ends in the middle of a record")
			}
			return err
		}
		if n |= uint64(b&0x7f) << shift; n > most || shift > 28 {
			return fmt.Errorf("snapshot stream: record of more than %d bytes", most)
		}
		if b < 0x80 {
			break
		}
	}
	// The buffer grows with what arrives, not with what is announced.
	if m, err := io.CopyN(into, c, int64(n)); err != nil {
		if m < int64(n) && errors.Is(err, io.EOF) {
			err = errors.New("snapshot stream: ends in the middle of a record")
		}
		return err
	}
	return nil
}

// pacer holds writes to a number of bytes per second, on average since start.
type pacer struct {
	perSecond int64 // not positive: no limit
	now       func() time.Time
	begin     time.Time
	sent      int64
}

// wait returns when n more bytes may be written.
func (p *pacer) wait(ctx context.Context, n int) error {
	if p.perSecond <= 0 {
		return ctx.Err()
	}
	if p.begin.IsZero() {
		p.begin = p.now()
	}
	due := time.Duration(float64(p.sent) / float64(p.perSecond) * float64(time.Second))
	p.sent += int64(n)
	ahead := due - p.now().Sub(p.begin)
	if ahead <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

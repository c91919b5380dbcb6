package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync/atomic"
)

// frameKind says what a frame holds. Numbers are frozen. Kinds from
// frameOptional on may be ignored by who does not know them; any other unknown
// kind ends the connection.
type frameKind uint8

const (
	frameMessage    frameKind = iota + 1 // body
	framePing                            // stamp(8)
	framePong                            // stamp(8), as in the ping
	frameBye                             // text: why the sender of this closes
	frameCall                            // id(8) deadlineMs(4) kind(1) total(4) piece
	frameCallMore                        // id(8) piece
	frameCallCancel                      // id(8)
	frameReply                           // id(8) status(1) code(1) total(4) piece
	frameReplyMore                       // id(8) piece
	frameStream                          // kind(1) header
	frameData                            // piece
	frameEnd                             // nothing: all was sent
	frameAbort                           // text: the sender gave up
	frameResult                          // status(1) code(1) text
	frameOptional   frameKind = 0x80
)

const (
	frameHead  = 5 // length(4) of what follows it, kind(1)
	checkBytes = 4
	readBytes  = 64 << 10
	// bufferKept is the largest buffer that is kept for reuse.
	bufferKept = 1 << 20
)

// beginFrame appends the head of a frame. What is appended until endFrame is
// its body.
func beginFrame(dst []byte, kind frameKind) []byte {
	return append(dst, 0, 0, 0, 0, byte(kind))
}

// endFrame completes the frame that begins at start. check adds a checksum over
// all of it, for connections that TLS does not protect.
func endFrame(dst []byte, start int, check bool) []byte {
	size := len(dst) - start - 4
	if check {
		size += checkBytes
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(size))
	if check {
		dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	}
	return dst
}

func appendFrame(dst []byte, kind frameKind, check bool, body ...byte) []byte {
	start := len(dst)
	dst = append(beginFrame(dst, kind), body...)
	return endFrame(dst, start, check)
}

// frameReader reads frames. A length is believed only as far as bytes arrive:
// memory grows with them, never ahead by more than what is there already.
type frameReader struct {
	r       *bufio.Reader
	bodyMax int
	check   bool
	count   *atomic.Uint64 // bytes read; may be nil
	peeked  int            // bytes of the last frame still in r
	large   []byte         // for frames that do not fit into r
}

func newFrameReader(r io.Reader, bodyMax int, check bool) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, readBytes), bodyMax: bodyMax, check: check}
}

var errChecksum = errors.New("wrong checksum")

// next gives a frame. Its body is valid until the next call. io.EOF comes only
// between frames.
func (f *frameReader) next() (frameKind, []byte, error) {
	if f.peeked > 0 {
		if _, err := f.r.Discard(f.peeked); err != nil {
			return 0, nil, err
		}
		f.peeked = 0
	}
	if cap(f.large) > bufferKept {
		f.large = nil
	}
	head, err := f.r.Peek(frameHead)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	kind := frameKind(head[4])
	tail := 0
	if f.check {
		tail = checkBytes
	}
	size := int64(binary.BigEndian.Uint32(head))
	if size < int64(1+tail) || size > int64(1+tail+f.bodyMax) {
		return 0, nil, fmt.Errorf("frame of kind %d: length %d, at most %d is allowed", kind, size, 1+tail+f.bodyMax)
	}
	total := int(size) + 4
	var b []byte
	if total <= f.r.Size() {
		if b, err = f.r.Peek(total); err == nil {
			f.peeked = total
		}
	} else {
		b, err = f.readLarge(total)
	}
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	if f.count != nil {
		f.count.Add(uint64(total))
	}
	end := total - tail
	if f.check && crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return 0, nil, fmt.Errorf("frame of kind %d, %d bytes: %w", kind, total, errChecksum)
	}
	return kind, b[frameHead:end], nil
}

func (f *frameReader) readLarge(total int) ([]byte, error) {
	b := f.large[:0]
	for len(b) < total {
		step := min(total-len(b), max(len(b), readBytes))
		b = slices.Grow(b, step)
		n, err := io.ReadFull(f.r, b[len(b):len(b)+step])
		b = b[:len(b)+n]
		if err != nil {
			f.large = b
			return nil, err
		}
	}
	f.large = b
	return b, nil
}

// unknown is the error for a frame that has no place on a lane, or nil if it
// may be ignored.
func unknown(kind frameKind, lane Lane) error {
	if kind >= frameOptional {
		return nil
	}
	return fmt.Errorf("frame of unknown kind %d on the %s lane", kind, lane)
}

var errShort = errors.New("frame is too short")

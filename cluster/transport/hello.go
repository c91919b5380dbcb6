package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Versions is the range of protocol versions that a node speaks, both ends
// included.
type Versions struct{ Min, Max uint16 }

// current is what this code speaks.
var current = Versions{Min: 1, Max: 1}

// common gives the newest version that both speak.
func (v Versions) common(o Versions) (uint16, bool) {
	newest := min(v.Max, o.Max)
	return newest, newest >= max(v.Min, o.Min)
}

func (v Versions) String() string {
	if v.Min == v.Max {
		return fmt.Sprint(v.Min)
	}
	return fmt.Sprintf("%d to %d", v.Min, v.Max)
}

// Sizes of the parts of a hello and its answer. The layout is frozen: whatever
// the versions, the two sides can tell each other why they do not work together.
const (
	helloHead     = 6 // magic(4) size(2)
	helloBody     = 34
	answerBody    = 35
	helloBytesMax = 1024
	textBytesMax  = 512
)

var (
	helloMagic  = [4]byte{'F', 'F', 'H', 'I'}
	answerMagic = [4]byte{'F', 'F', 'A', 'N'}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// errNotOurs is what somebody sent who does not speak this protocol.
var errNotOurs = errors.New("not a node of Footfall")

// hello opens every connection.
type hello struct {
	versions Versions
	cluster  [16]byte
	node     Node // 0: joining
	to       Node // whom the dialler expects; 0: whoever answers
	ident    uint64
	lane     Lane
}

func (h hello) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, helloMagic[:]...)
	dst = binary.BigEndian.AppendUint16(dst, helloBody+checkBytes)
	dst = binary.BigEndian.AppendUint16(dst, h.versions.Min)
	dst = binary.BigEndian.AppendUint16(dst, h.versions.Max)
	dst = append(dst, h.cluster[:]...)
	dst = binary.BigEndian.AppendUint16(dst, h.node)
	dst = binary.BigEndian.AppendUint16(dst, h.to)
	dst = binary.BigEndian.AppendUint64(dst, h.ident)
	dst = append(dst, byte(h.lane), 0)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func readHello(r io.Reader) (h hello, err error) {
	b, err := readOpening(r, helloMagic, helloBody)
	if err != nil {
		return h, err
	}
	h.versions = Versions{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
	h.cluster = [16]byte(b[4:])
	h.node = binary.BigEndian.Uint16(b[20:])
	h.to = binary.BigEndian.Uint16(b[22:])
	h.ident = binary.BigEndian.Uint64(b[24:])
	h.lane = Lane(b[32])
	return h, nil
}

// answer closes the opening: the lane is open, or why not.
type answer struct {
	refusal  Refusal // 0: accepted
	version  uint16  // chosen; 0 when refused
	versions Versions
	cluster  [16]byte
	node     Node
	ident    uint64
	text     string
}

func (a answer) append(dst []byte) []byte {
	text := a.text[:min(len(a.text), textBytesMax)]
	start := len(dst)
	dst = append(dst, answerMagic[:]...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(answerBody+len(text)+checkBytes))
	dst = append(dst, byte(a.refusal))
	dst = binary.BigEndian.AppendUint16(dst, a.version)
	dst = binary.BigEndian.AppendUint16(dst, a.versions.Min)
	dst = binary.BigEndian.AppendUint16(dst, a.versions.Max)
	dst = append(dst, a.cluster[:]...)
	dst = binary.BigEndian.AppendUint16(dst, a.node)
	dst = binary.BigEndian.AppendUint64(dst, a.ident)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(text)))
	dst = append(dst, text...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func readAnswer(r io.Reader) (a answer, err error) {
	b, err := readOpening(r, answerMagic, answerBody)
	if err != nil {
		return a, err
	}
	a.refusal = Refusal(b[0])
	a.version = binary.BigEndian.Uint16(b[1:])
	a.versions = Versions{binary.BigEndian.Uint16(b[3:]), binary.BigEndian.Uint16(b[5:])}
	a.cluster = [16]byte(b[7:])
	a.node = binary.BigEndian.Uint16(b[23:])
	a.ident = binary.BigEndian.Uint64(b[25:])
	size := int(binary.BigEndian.Uint16(b[33:]))
	if size > len(b)-answerBody {
		return a, fmt.Errorf("answer to the hello: text of %d bytes in %d: %w", size, len(b)-answerBody, errNotOurs)
	}
	a.text = string(b[answerBody : answerBody+size])
	return a, nil
}

// readOpening reads exactly one hello or answer, and gives its body of at least
// least bytes. More than that is from a newer version and not looked at.
func readOpening(r io.Reader, magic [4]byte, least int) ([]byte, error) {
	var head [helloHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[4:]))
	if [4]byte(head[:]) != magic || size < least+checkBytes || size > helloBytesMax {
		return nil, errNotOurs
	}
	b := make([]byte, helloHead+size)
	copy(b, head[:])
	if _, err := io.ReadFull(r, b[helloHead:]); err != nil {
		return nil, err
	}
	end := len(b) - checkBytes
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("opening of a connection: wrong checksum: %w", errNotOurs)
	}
	return b[helloHead:end], nil
}

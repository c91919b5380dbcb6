package column

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// squeeze is a Packer.
type squeeze struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newSqueeze(t testing.TB) squeeze {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	return squeeze{enc, dec}
}

func (s squeeze) Pack(dst, src []byte) []byte { return s.enc.EncodeAll(src, dst) }

func (s squeeze) Unpack(dst, src []byte, n int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	if !h.HasFCS || h.FrameContentSize != uint64(n) {
		return nil, errors.New("another size")
	}
	return s.dec.DecodeAll(src, dst)
}

// someSealed makes visits with pages and the like of so many texts.
func someSealed(visits, texts int, r *rand.Rand) *Sealed {
	s := &Sealed{Day: 20_513, Dict: []string{""}, First: []uint32{0}}
	for i := range texts {
		s.Dict = append(s.Dict, fmt.Sprintf("/some/path/%d", i*7919%texts))
	}
	id := func() uint32 {
		if r.IntN(9) == 0 {
			return 0
		}
		return uint32(r.ExpFloat64()*float64(texts)/5) % uint32(len(s.Dict))
	}
	number := uint32(0)
	for i := range visits {
		number += uint32(r.IntN(3)) + 1
		s.Number = append(s.Number, number)
		switch {
		case i > 0 && r.IntN(3) == 0:
			s.Visitor = append(s.Visitor, s.Visitor[r.IntN(i)])
		case r.IntN(3) == 0:
			s.Visitor = append(s.Visitor, VisitorOf(s.Day, number))
		case r.IntN(5) == 0:
			s.Visitor = append(s.Visitor, VisitorOf(s.Day, 1<<30+number))
		default:
			s.Visitor = append(s.Visitor, r.Uint64())
		}
		s.Named = append(s.Named, uint8(r.IntN(2)))
		for _, col := range []*[]uint32{&s.Agent, &s.Place, &s.Acquisition, &s.Language, &s.Screen} {
			*col = append(*col, id())
		}
		at := int64(s.Day)*DayMS + int64(r.IntN(2*DayMS)) - DayMS/2
		for range r.IntN(5) + 1 {
			s.At = append(s.At, at)
			at += int64(r.IntN(1 << r.IntN(31)))
			s.Kind = append(s.Kind, uint8(r.IntN(3)|r.IntN(2)*NonInteractive))
			s.Page, s.Host = append(s.Page, id()), append(s.Host, id())
			x := plain
			if r.IntN(2) == 0 {
				x = Rare{id(), id(), id(), r.Uint32() >> r.IntN(32), uint8(r.IntN(256))}
			}
			s.Rare = append(s.Rare, s.AddRare(x))
		}
		s.First = append(s.First, uint32(len(s.At)))
	}
	return s
}

// spelled gives the same with texts in place of their numbers.
func spelled(s *Sealed) (out []string) {
	for i := range s.Number {
		x := fmt.Sprintln(s.Day, s.Number[i], s.Visitor[i], s.Named[i])
		for _, col := range [][]uint32{s.Agent, s.Place, s.Acquisition, s.Language, s.Screen} {
			x += s.Dict[col[i]] + " "
		}
		for e := s.First[i]; e < s.First[i+1]; e++ {
			r := s.RareOf(int(e))
			x += fmt.Sprintln(s.At[e], s.Kind[e], s.Dict[s.Page[e]], s.Dict[s.Host[e]], s.Dict[r.Name], s.Dict[r.Props], s.Dict[r.Revenue], r.Engaged, r.Scroll)
		}
		out = append(out, x)
	}
	return out
}

func TestSealedSegmentsReadBackAsTheyWereWritten(t *testing.T) {
	z := newSqueeze(t)
	r := rand.New(rand.NewPCG(1, 3))
	for _, pack := range []Packer{nil, z} {
		for _, n := range [][2]int{{0, 0}, {1, 1}, {3, 2}, {200, 40}, {900, 254}, {900, 255}, {3000, 1500}} {
			s := someSealed(n[0], n[1], r)
			b := AppendSealed([]byte{1, 2, 3}, s, pack)[3:]
			got, err := DecodeSealed(b, pack)
			if err != nil {
				t.Fatalf("%v: %v", n, err)
			}
			if x, y := spelled(got), spelled(s); !reflect.DeepEqual(x, y) {
				for i := range x {
					if x[i] != y[i] {
						t.Fatalf("%v: visit %d: got\n%s\nwant\n%s", n, i, x[i], y[i])
					}
				}
				t.Fatalf("%v: %d visits, want %d", n, len(x), len(y))
			}
			day, number, visitor, err := SealedVisitors(b, pack)
			if err != nil || day != s.Day || !reflect.DeepEqual(visitor, got.Visitor) || !reflect.DeepEqual(number, got.Number) {
				t.Fatalf("%v: the visitors alone: %v", n, err)
			}
		}
	}
}

func TestADamagedSealedSegmentIsRefused(t *testing.T) {
	b := AppendSealed(nil, someSealed(20, 5, rand.New(rand.NewPCG(3, 4))), nil)
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 0x10
		if _, err := DecodeSealed(c, nil); !errors.Is(err, ErrBlock) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

func TestNumberedVisitorsHaveIDsOfTheirOwn(t *testing.T) {
	seen := map[uint64]bool{}
	for _, day := range []int32{-3, 0, 1, 20_513} {
		for _, number := range []uint32{0, 1, 77, 1<<32 - 1} {
			id := VisitorOf(day, number)
			if n, ok := numberOf(day, id); !ok || n != number || seen[id] {
				t.Fatalf("day %d number %d: id %d, back %d %v", day, number, id, n, ok)
			}
			if _, ok := numberOf(day+1, id); ok {
				t.Fatalf("the id of day %d is one of the day after", day)
			}
			seen[id] = true
		}
	}
}

// FuzzSealed mends the checksum, so that what is behind it meets every damage.
func FuzzSealed(f *testing.F) {
	z := newSqueeze(f)
	r := rand.New(rand.NewPCG(5, 6))
	f.Add(AppendSealed(nil, someSealed(20, 5, r), nil))
	f.Add(AppendSealed(nil, someSealed(60, 20, r), z))
	f.Add(AppendSealed(nil, someSealed(1500, 600, r), z))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		b = append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
		s, err := DecodeSealed(b, z)
		if err != nil {
			return
		}
		for i := range s.Number {
			s.Sum(i)
		}
		again, err := DecodeSealed(AppendSealed(nil, s, z), z)
		if err != nil || !reflect.DeepEqual(spelled(again), spelled(s)) {
			t.Fatalf("what was read is not what is written: %v", err)
		}
	})
}

// TestTheFirstFormatOfSealedSegmentsIsRead: testdata/sealed-1.bin was written
// when the format was new; sealed-1.txt is what it holds.
func TestTheFirstFormatOfSealedSegmentsIsRead(t *testing.T) {
	b, err := os.ReadFile("testdata/sealed-1.bin")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/sealed-1.txt")
	if err != nil {
		t.Fatal(err)
	}
	s, err := DecodeSealed(b, newSqueeze(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(spelled(s), "---\n"); got != string(want) {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

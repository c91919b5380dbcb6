package column

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"testing"
)

func someEvents(n int, texts int, r *rand.Rand) *Events {
	e := &Events{Day: 20_513, Dict: []string{""}}
	for i := range texts {
		e.Dict = append(e.Dict, string(rune('a'+i%26))+string(rune(0x4e00+i)))
	}
	id := func() uint32 { return uint32(r.IntN(len(e.Dict))) }
	for range n {
		e.At = append(e.At, uint32(r.IntN(DayMS)))
		e.Visit = append(e.Visit, r.Uint32())
		e.Back = append(e.Back, uint8(r.IntN(3)))
		e.Kind = append(e.Kind, uint8(r.IntN(8)))
		e.Name, e.Page, e.Host = append(e.Name, id()), append(e.Page, id()), append(e.Host, id())
		e.Props, e.Revenue = append(e.Props, 0), append(e.Revenue, id())
		e.Scroll, e.Engaged = append(e.Scroll, 255), append(e.Engaged, r.Uint32())
	}
	return e
}

func someVisits(n int, r *rand.Rand) *Visits {
	v := NewVisits(-3, n, []string{"", "x", "y", "unused"})
	for i := range n {
		start := int64(-3)*DayMS + int64(r.IntN(DayMS))
		v.Number = append(v.Number, uint32(i*3))
		v.Visitor = append(v.Visitor, r.Uint64())
		v.Start, v.Last = append(v.Start, start), append(v.Last, start+int64(r.IntN(1e7)))
		v.LastEvent = append(v.LastEvent, v.Last[i]-int64(r.IntN(100)))
		v.EntryAt, v.ExitAt = append(v.EntryAt, start), append(v.ExitAt, v.Last[i])
		v.Views, v.Customs, v.Flags = append(v.Views, r.Uint32()), append(v.Customs, 0), append(v.Flags, uint8(r.IntN(4)))
		for _, col := range []*[]uint32{&v.Entry, &v.Exit, &v.EntryHost, &v.ExitHost, &v.Agent, &v.Place, &v.Acquisition, &v.Language, &v.Screen} {
			*col = append(*col, uint32(r.IntN(3)))
		}
	}
	return v
}

func TestBlocksReadBackAsTheyWereWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, texts := range []int{0, 3, 254, 255, 256, 70_000} {
		e := someEvents(500, texts, r).Compact()
		got, err := DecodeEvents(AppendEvents(nil, e))
		if err != nil {
			t.Fatalf("%d texts: %v", texts, err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("%d texts: events differ", texts)
		}
	}
	v := someVisits(300, r).Compact()
	got, err := DecodeVisits(AppendVisits([]byte{}, v))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, v) {
		t.Fatalf("visits differ:\n%+v\n%+v", got, v)
	}
	if len(v.Dict) != 3 {
		t.Fatalf("a compact segment keeps texts that nothing uses: %q", v.Dict)
	}
}

func TestADamagedBlockIsRefused(t *testing.T) {
	b := AppendEvents(nil, someEvents(50, 5, rand.New(rand.NewPCG(3, 4))).Compact())
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 0x10
		if _, err := DecodeEvents(c); !errors.Is(err, ErrBlock) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	if _, err := DecodeVisits(b); !errors.Is(err, ErrBlock) {
		t.Fatalf("events read as visits: %v", err)
	}
}

// FuzzBlock mends the checksum, so that what is behind it meets every damage.
func FuzzBlock(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	f.Add(AppendEvents(nil, someEvents(20, 5, r).Compact()))
	f.Add(AppendVisits(nil, someVisits(20, r).Compact()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		b = append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
		if e, err := DecodeEvents(b); err == nil {
			for _, col := range [][]uint32{e.Name, e.Page, e.Host, e.Props, e.Revenue} {
				for _, n := range col {
					_ = e.Dict[n]
				}
			}
		}
		if v, err := DecodeVisits(b); err == nil && len(v.Screen) != v.Len() {
			t.Fatal("columns of different lengths")
		}
	})
}

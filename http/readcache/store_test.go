package readcache

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Two keys with the same hash must never meet, whatever the hash is worth: what
// lies where a key is looked for is compared with the whole key.
func TestAKeyNeverGetsWhatIsKeptUnderAnother(t *testing.T) {
	s := store{bytesMax: 512 << 20}
	defer s.close()
	mine, other := []byte("site 1, version 1"), []byte("site 2, version 1")
	for _, size := range []int{10, 200 << 10} {
		s.cache = nil
		value := bytes.Repeat([]byte("v"), size)
		s.set(other, value)
		if got := s.get(nil, other); !bytes.Equal(got, value) {
			t.Fatalf("%d of %d bytes come back", len(got), size)
		}
		// As a collision would have it: the other's entry at my place.
		p := placeOf(mine)
		entry := append(append(binary.AppendUvarint(nil, uint64(len(other))), other...), value...)
		if p[0] = inOnePiece; size > smallBytesMax {
			p[0] = inPieces
			s.cache.SetBig(p[:], entry)
		} else {
			s.cache.Set(p[:], entry)
		}
		if got := s.get(nil, mine); len(got) != 0 {
			t.Errorf("size %d: a colliding key gets %d bytes of another", size, len(got))
		}
		s.set(mine, []byte("mine"))
		if got := s.get(nil, mine); string(got) != "mine" {
			t.Errorf("size %d: %q, want mine", size, got)
		}
	}
	// An entry that is no entry at all.
	p := placeOf(other)
	for _, junk := range [][]byte{{}, {0xff}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, {17}, {0}} {
		p[0] = inOnePiece
		s.cache.Set(p[:], junk)
		if got := s.get(nil, other); len(got) != 0 {
			t.Errorf("junk %x is read as %x", junk, got)
		}
	}
}

func TestTheTwoHalvesOfAPlaceAreIndependent(t *testing.T) {
	seen := map[place]bool{}
	for i := range 1000 {
		p := placeOf(binary.AppendUvarint(nil, uint64(i)))
		if bytes.Equal(p[1:9], p[9:]) || seen[p] {
			t.Fatalf("place %x of key %d", p, i)
		}
		seen[p] = true
	}
}

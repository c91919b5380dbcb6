package pebblestore

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func manifestSample() stageManifest {
	return stageManifest{Records: 3, First: []byte("k"), Last: []byte("k2"), Files: []stagedFile{{Size: 1 << 25, Sum: 0x01020304}, {Size: 7, Sum: 5}}}
}

// Whatever the decoders accept is exactly what the encoders write.
func FuzzRecordsAreReadAsTheyAreWritten(f *testing.F) {
	f.Add(Ident{Node: 7, Format: 1}.encode())
	f.Add(Ident{Node: 7, Format: 2}.encode())
	f.Add(Membership{Cluster: [16]byte{1}, Node: 2, Incarnation: 3}.encode())
	f.Add(manifestSample().encode())
	f.Add(stageManifest{}.encode())
	f.Add([]byte("ffsg\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The sum of random bytes is never right: the decoders are asked about both.
		for _, b := range [][]byte{b, resummed(b)} {
			if i, err := decodeIdent(b); err == nil && !bytes.Equal(i.encode(), b) {
				t.Errorf("ident %x is read as %+v", b, i)
			}
			if m, err := decodeMembership(b); err == nil && !bytes.Equal(m.encode(), b) {
				t.Errorf("membership %x is read as %+v", b, m)
			}
			if m, err := decodeStageManifest(b); err == nil && !bytes.Equal(m.encode(), b) {
				t.Errorf("manifest %x is read as %+v", b, m)
			}
		}
	})
}

func resummed(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	s := sum(b[:len(b)-4])
	return append(clone(b[:len(b)-4]), byte(s>>24), byte(s>>16), byte(s>>8), byte(s))
}

func TestTheManifestOfAStageKeepsItsBytes(t *testing.T) {
	// A stage may be installed by another version than the one that made it.
	const want = "66667367" + "00000001" + "0000000000000003" + "00000001" + "6b" + "00000002" + "6b32" + "00000002" +
		"0000000002000000" + "01020304" + "0000000000000007" + "00000005" + "00000000" // the sum stands for itself
	got := manifestSample().encode()
	if h := hex.EncodeToString(got); h[:len(h)-8] != want[:len(want)-8] {
		t.Errorf("manifest is\n%s, want\n%s", h, want)
	}
	m, err := decodeStageManifest(got)
	if err != nil || m.Records != 3 || string(m.First) != "k" || string(m.Last) != "k2" || len(m.Files) != 2 || m.Files[0] != (stagedFile{1 << 25, 0x01020304}) {
		t.Errorf("read back %+v, %v", m, err)
	}
	newer := resummed(append(append(clone(got[:7]), 2), got[8:]...))
	if _, err := decodeStageManifest(newer); err == nil {
		t.Error("a newer manifest is read")
	}
}

package pebblestore_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence/pebblestore"
)

var sixteen = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func TestAPlaceInAClusterIsKeptForEver(t *testing.T) {
	m := medium{"db", vfs.NewMem()}
	s := m.Open(t).(*pebblestore.Store)
	if _, set, err := s.Membership(); set || err != nil {
		t.Fatalf("a new store has a place: %v", err)
	}
	type place = pebblestore.Membership
	other := sixteen
	other[15]++
	for _, c := range []struct {
		to       place
		accepted bool
		place    bool // refused for another place
	}{
		{place{Node: 1}, false, false}, // no cluster
		{place{Cluster: sixteen, Incarnation: 3}, true, false},
		{place{Cluster: other, Incarnation: 3}, false, true},
		{place{Cluster: sixteen, Node: 7, Incarnation: 3}, true, false},
		{place{Cluster: sixteen, Node: 7, Incarnation: 3}, true, false},
		{place{Cluster: sixteen, Node: 8, Incarnation: 4}, false, true},
		{place{Cluster: sixteen, Incarnation: 4}, false, true},
		{place{Cluster: other, Node: 7, Incarnation: 4}, false, true},
		{place{Cluster: sixteen, Node: 7, Incarnation: 2}, false, false},
		{place{Cluster: sixteen, Node: 7, Incarnation: 1 << 60}, true, false},
	} {
		before, _, err := s.Membership()
		if err != nil {
			t.Fatal(err)
		}
		err = s.SetMembership(c.to)
		if (err == nil) != c.accepted || errors.Is(err, pebblestore.ErrMembership) != c.place {
			t.Errorf("from %+v to %+v: %v", before, c.to, err)
		}
		want := before
		if c.accepted {
			want = c.to
		}
		closeNow(t, s)
		s = m.Open(t).(*pebblestore.Store)
		if got, _, err := s.Membership(); err != nil || got != want {
			t.Errorf("after %+v: %+v, %v; want %+v", c.to, got, err, want)
		}
	}
	closeNow(t, s)
}

func TestAPlaceSurvivesAPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := medium{"db", fs}.Open(t).(*pebblestore.Store)
	node := s.Ident().Node
	if s.Ident().Format != 1 {
		t.Errorf("a lone store has format %d, want 1, which older versions open", s.Ident().Format)
	}
	if err := s.SetMembership(pebblestore.Membership{Cluster: sixteen, Node: 9, Incarnation: 1}); err != nil {
		t.Fatal(err)
	}
	crash := fs.CrashClone(vfs.CrashCloneCfg{})
	closeNow(t, s)
	s = medium{"db", crash}.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	if m, set, err := s.Membership(); err != nil || !set || m.Node != 9 || m.Cluster != sixteen || m.Incarnation != 1 {
		t.Errorf("membership %+v, %t, %v", m, set, err)
	}
	if got := s.Ident(); got != (pebblestore.Ident{Node: node, Format: 2}) {
		t.Errorf("ident %+v, want node %d with format 2, which versions without clusters refuse", got, node)
	}
}

// raw makes a database with the given records and opens the store on it.
func raw(t *testing.T, records map[string][]byte) (*pebblestore.Store, error) {
	t.Helper()
	fs := vfs.NewMem()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range records {
		if err := db.Set([]byte(k), v, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return pebblestore.Open("db", pebblestore.Options{FS: fs})
}

// sample reads a kept record.
func sample(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files in testdata are what released versions wrote. They are never
// rewritten: a new layout gets a folder of its own.
func TestRecordsOfEveryReleasedFormatAreRead(t *testing.T) {
	t.Run("format 1", func(t *testing.T) {
		s, err := raw(t, map[string][]byte{"\x00": sample(t, "format-1/ident.hex")})
		if err != nil {
			t.Fatal(err)
		}
		defer closeNow(t, s)
		if got := s.Ident(); got != (pebblestore.Ident{Node: 0x0123456789abcdef, Format: 1}) {
			t.Errorf("ident %+v", got)
		}
		if _, set, err := s.Membership(); set || err != nil {
			t.Errorf("membership set %t, %v", set, err)
		}
	})
	t.Run("format 2", func(t *testing.T) {
		s, err := raw(t, map[string][]byte{"\x00": sample(t, "format-2/ident.hex"), "\x00\x01": sample(t, "format-2/membership.hex")})
		if err != nil {
			t.Fatal(err)
		}
		defer closeNow(t, s)
		if got := s.Ident(); got != (pebblestore.Ident{Node: 0x0123456789abcdef, Format: 2}) {
			t.Errorf("ident %+v", got)
		}
		want := pebblestore.Membership{Cluster: sixteen, Node: 0x0203, Incarnation: 0x1122334455667788}
		if m, set, err := s.Membership(); err != nil || !set || m != want {
			t.Errorf("membership %+v, %t, %v", m, set, err)
		}
	})
	t.Run("format 2 is written", func(t *testing.T) {
		s, err := raw(t, map[string][]byte{"\x00": sample(t, "format-1/ident.hex")})
		if err != nil {
			t.Fatal(err)
		}
		defer closeNow(t, s)
		if err := s.SetMembership(pebblestore.Membership{Cluster: sixteen, Node: 0x0203, Incarnation: 0x1122334455667788}); err != nil {
			t.Fatal(err)
		}
		for key, file := range map[string]string{"\x00": "format-2/ident.hex", "\x00\x01": "format-2/membership.hex"} {
			if got, err := s.Get([]byte(key)); err != nil || string(got) != string(sample(t, file)) {
				t.Errorf("%s: %x, %v", file, got, err)
			}
		}
	})
}

func TestADamagedOrNewerPlaceIsRefused(t *testing.T) {
	good := sample(t, "format-2/membership.hex")
	resum := func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli)))
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		err    string
	}{
		"flipped":    {func(b []byte) []byte { b[20] ^= 1; return b }, "damaged"},
		"short":      {func(b []byte) []byte { return b[:7] }, "damaged"},
		"long":       {func(b []byte) []byte { return append(b, 0) }, "damaged"},
		"magic":      {func(b []byte) []byte { b[0]++; return resum(b) }, "damaged"},
		"version 0":  {func(b []byte) []byte { b[7] = 0; return resum(b) }, "damaged"},
		"no cluster": {func(b []byte) []byte { clear(b[8:24]); return resum(b) }, "damaged"},
		"newer":      {func(b []byte) []byte { b[7] = 9; return append(b, 1) }, "record 9 is newer than 1"},
	} {
		s, err := raw(t, map[string][]byte{"\x00": sample(t, "format-2/ident.hex"), "\x00\x01": c.change(append([]byte(nil), good...))})
		if err == nil {
			closeNow(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: open gives %v, want an error with %q", name, err, c.err)
		}
	}
}

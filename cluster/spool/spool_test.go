package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

func openStore(t *testing.T, dir string) persistence.Store {
	t.Helper()
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, store persistence.Store, max int64) *Spool {
	t.Helper()
	now := int64(0)
	s, err := Open(store, max, func() int64 { now += 1000; return now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBatchesComeBackInOrderAfterARestart(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	s := open(t, store, 1<<20)
	for want := uint32(1); want <= 2; want++ {
		if got, err := s.NextEpoch(); err != nil || got != want {
			t.Fatalf("epoch %d, %v, want %d", got, err, want)
		}
	}
	if err := s.Write([]Batch{
		{Key{7, 2, 3}, []byte("c")}, {Key{7, 1, 9}, []byte("a")}, {Key{7, 1, 10}, []byte("b")}, {Key{255, 2, 1}, []byte("z")}, {Key{7, 2, 5}, []byte("d")},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(Key{255, 2, 1}, 1); err != nil {
		t.Fatal(err)
	}
	bytes := s.Bytes()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir)
	defer store.Close()
	s = open(t, store, 1<<20)
	if s.Bytes() != bytes || bytes != 4*size(1) {
		t.Fatalf("%d bytes after the restart, %d before", s.Bytes(), bytes)
	}
	want := []Span{{7, 1, 9, 10}, {7, 2, 3, 5}}
	if got := s.Backlog(); !slices.Equal(got, want) {
		t.Fatalf("backlog %v, want %v", got, want)
	}
	if got, err := s.NextEpoch(); err != nil || got != 3 {
		t.Fatalf("an epoch was used twice: %d %v", got, err)
	}
	for _, c := range []struct {
		from Key
		want string
		seq  uint64
	}{{Key{7, 1, 0}, "a", 9}, {Key{7, 1, 10}, "b", 10}, {Key{7, 1, 11}, "", 0}, {Key{7, 2, 4}, "d", 5}, {Key{8, 1, 0}, "", 0}} {
		b, ok, err := s.Next(c.from)
		if err != nil || ok != (c.want != "") || string(b.Data) != c.want || b.Sequence != c.seq {
			t.Errorf("from %+v: got %+v %v %v, want %q", c.from, b, ok, err, c.want)
		}
	}
	if ms, err := s.Oldest(); err != nil || ms != 1000 {
		t.Errorf("oldest %d %v", ms, err)
	}
}

func TestASpoolIsBounded(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	s := open(t, store, 3*size(100))
	data := make([]byte, 100)
	if err := s.Write([]Batch{{Key{1, 1, 1}, data}, {Key{1, 1, 2}, data}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]Batch{{Key{1, 1, 3}, data}, {Key{1, 1, 4}, data}}); !errors.Is(err, ErrFull) {
		t.Fatalf("over the bound: %v", err)
	}
	if _, ok, err := s.Next(Key{1, 1, 3}); ok || err != nil {
		t.Fatal("a part of what found no room was written", err)
	}
	if err := s.Remove(Key{1, 1, 1}, 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]Batch{{Key{1, 1, 3}, data}, {Key{1, 1, 4}, data}}); err != nil {
		t.Fatalf("after there is room: %v", err)
	}
	if err := s.Rename(Key{1, 1, 2}, Batch{Key{1, 2, 1}, data}); err != nil {
		t.Fatalf("another name takes no room: %v", err)
	}
	if b, ok, err := s.Next(Key{1, 2, 0}); err != nil || !ok || !bytes.Equal(b.Data, data) || s.Bytes() != 3*size(100) {
		t.Fatal(b.Key, ok, err, s.Bytes())
	}
	if b, ok, err := s.Next(Key{1, 1, 0}); err != nil || !ok || b.Sequence != 3 {
		t.Fatal(b.Key, ok, err)
	}
}

func TestDamageIsFound(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	s := open(t, store, 1<<20)
	if err := s.Write([]Batch{{Key{1, 1, 1}, []byte("abc")}}); err != nil {
		t.Fatal(err)
	}
	put := func(k, v []byte) {
		b := store.NewBatch()
		b.Set(k, v)
		if err := store.Commit(b, true); err != nil {
			t.Fatal(err)
		}
	}
	bad := encode(1, []byte("abc"))
	bad[len(bad)-1] ^= 1
	put(Key{1, 1, 1}.bytes(), bad)
	if _, _, err := s.Next(Key{1, 1, 1}); !errors.Is(err, ErrFormat) {
		t.Fatalf("a damaged batch: %v", err)
	}
	if _, err := Open(store, 1, nil); !errors.Is(err, ErrFormat) {
		t.Fatalf("a batch of an epoch that was never begun: %v", err)
	}
	put(headKey(), []byte{version, 1, 0, 0, 0, 1, 2, 3, 4})
	if _, err := Open(store, 1, nil); !errors.Is(err, ErrFormat) {
		t.Fatalf("a damaged head: %v", err)
	}
}

func FuzzValue(f *testing.F) {
	f.Add(encode(5, []byte("abc")))
	f.Add(encodeHead(7))
	f.Add(Key{1, 2, 3}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if ms, data, err := decode(b); err == nil && !bytes.Equal(encode(ms, data), b) {
			t.Fatal("a value is not what its bytes say")
		}
		if epoch, err := decodeHead(b); err == nil && !bytes.Equal(encodeHead(epoch), b) {
			t.Fatal("a head is not what its bytes say")
		}
		if k, err := parseKey(b); err == nil && !bytes.Equal(k.bytes(), b) {
			t.Fatal("a key is not what its bytes say")
		}
	})
}

// TestTheFormatStays: these bytes are on the disks of nodes.
func TestTheFormatStays(t *testing.T) {
	if got, want := (Key{0x0102, 3, 4}).bytes(), []byte{6, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4}; !bytes.Equal(got, want) {
		t.Errorf("key %x, want %x", got, want)
	}
	if got, want := headKey(), []byte{6, 0xff, 0xff}; !bytes.Equal(got, want) {
		t.Errorf("head %x, want %x", got, want)
	}
	want := []byte{1, 5, 0, 0, 0, 0, 0, 0, 0}
	want = append(binary.LittleEndian.AppendUint32(want, 0x364b3fb7), "abc"...)
	if got := encode(5, []byte("abc")); !bytes.Equal(got, want) {
		t.Errorf("value %x, want %x", got, want)
	}
	if got, want := encodeHead(7)[:5], []byte{1, 7, 0, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("head %x, want %x", got, want)
	}
}

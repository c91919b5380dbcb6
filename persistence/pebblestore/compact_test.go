package pebblestore_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence/pebblestore"
)

// tables tells whether any table of a store's directory holds the bytes.
func tables(t *testing.T, fs vfs.FS, dir string, secret []byte) bool {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, secret) {
			return true
		}
	}
	return false
}

func TestCompactLeavesNothingOfWhatWasDeleted(t *testing.T) {
	m := medium{"db", vfs.NewMem()}
	s := m.Open(t).(*pebblestore.Store)
	defer func() { closeNow(t, s) }()
	r := rand.New(rand.NewPCG(1, 2))
	random := func() []byte { // does not compress
		b := make([]byte, 4096)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	secret := random()
	put := func(key string, value []byte) {
		b := s.NewBatch()
		if value == nil {
			b.Delete([]byte(key))
		} else {
			b.Set([]byte(key), value)
		}
		if err := s.Commit(b, true); err != nil {
			t.Fatal(err)
		}
	}
	put("a", random())
	put("k1", secret)
	put("k2", random())
	put("z", random())
	if err := s.Compact(t.Context(), []byte("k"), []byte("l")); err != nil {
		t.Fatal(err)
	}
	if !tables(t, m.fs, m.dir, secret[100:200]) {
		t.Fatal("the value is not in a table: the test tests nothing")
	}
	put("k1", nil)
	if err := s.Compact(t.Context(), []byte("k"), []byte("l")); err != nil {
		t.Fatal(err)
	}
	// Tables that are no longer needed are deleted in the background, which ends
	// with the store.
	closeNow(t, s)
	s = m.Open(t).(*pebblestore.Store)
	if tables(t, m.fs, m.dir, secret[100:200]) {
		t.Fatal("a deleted value is still on disk")
	}
	for _, key := range []string{"a", "k2", "z"} {
		if v, err := s.Get([]byte(key)); err != nil || len(v) != 4096 {
			t.Fatalf("%s: %d bytes, %v", key, len(v), err)
		}
	}
	if err := s.Compact(t.Context(), []byte("l"), []byte("k")); err == nil {
		t.Fatal("a span that ends before it begins was compacted")
	}
}

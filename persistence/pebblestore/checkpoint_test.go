package pebblestore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence/pebblestore"
)

func TestACheckpointOpensAndIsEqual(t *testing.T) {
	for name, m := range map[string]medium{
		"in memory": {"db", vfs.NewMem()},
		"on disk":   {filepath.Join(t.TempDir(), "store"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := m.Open(t).(*pebblestore.Store)
			defer closeNow(t, s)
			oldRecords(t, s, true)
			if err := newRecords(s, "one"); err != nil {
				t.Fatal(err)
			}
			if err := s.Install("one", []byte(stageFrom), []byte(stageTo)); err != nil {
				t.Fatal(err)
			}
			b := s.NewBatch() // in the log only, and not synced
			b.Set([]byte("late"), []byte("1"))
			b.Delete([]byte("a000"))
			if err := s.Commit(b, false); err != nil {
				t.Fatal(err)
			}
			want := everything(t, s)
			dir := m.dir + "-copy"
			if err := s.Checkpoint(dir); err != nil {
				t.Fatal(err)
			}
			if err := s.Checkpoint(dir); err == nil {
				t.Error("a copy is made over another")
			}
			b = s.NewBatch()
			b.DeleteRange([]byte("a"), []byte("zz"))
			if err := s.Commit(b, true); err != nil {
				t.Fatal(err)
			}
			if err := s.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			copied := medium{dir, m.fs}.Open(t).(*pebblestore.Store)
			defer closeNow(t, copied)
			if got := everything(t, copied); got != want {
				t.Errorf("the copy differs:\n%.300s\nwant\n%.300s", got, want)
			}
			if copied.Ident() != s.Ident() {
				t.Errorf("ident %+v, want %+v", copied.Ident(), s.Ident())
			}
			if err := copied.Scrub(t.Context(), 0, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func everything(t *testing.T, s *pebblestore.Store) string {
	t.Helper()
	var out []byte
	if err := s.Scan(nil, nil, func(k, v []byte) error {
		out = fmt.Appendf(out, "%x=%x\n", k, v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

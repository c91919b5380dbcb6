package pebblestore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"footfall/persistence"
	"footfall/persistence/pebblestore"
	"footfall/persistence/storetest"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(childEnv); how != "" {
		// What a dead store leaves running ends with this process.
		if err := failingDisk(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type medium struct {
	dir string
	fs  vfs.FS
}

func (m medium) Open(t *testing.T) persistence.Store {
	t.Helper()
	s, err := pebblestore.Open(m.dir, pebblestore.Options{FS: m.fs, CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) storetest.Medium { return medium{"db", vfs.NewCrashableMem()} })
	})
	t.Run("on disk", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Medium { return medium{t.TempDir(), nil} })
	})
}

func TestStoreKeepsTheContractOfViewsAndStages(t *testing.T) {
	for name, fresh := range map[string]func(t *testing.T) storetest.Medium{
		"in memory":    func(*testing.T) storetest.Medium { return medium{"db", vfs.NewCrashableMem()} },
		"on disk":      func(t *testing.T) storetest.Medium { return medium{filepath.Join(t.TempDir(), "store"), nil} },
		"small tables": func(*testing.T) storetest.Medium { return smallTables{"db", vfs.NewMem()} },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunViews(t, fresh)
			storetest.RunStages(t, fresh)
		})
	}
}

// smallTables is a medium on which a stage has a table per record and memtables
// are flushed often.
type smallTables medium

func (m smallTables) Open(t *testing.T) persistence.Store {
	t.Helper()
	s, err := pebblestore.Open(m.dir, pebblestore.Options{FS: m.fs, StageFileBytes: 1, MemTableBytes: 64 << 10,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStoreKeepsItsNodeId(t *testing.T) {
	m := medium{"db", vfs.NewMem()}
	s := m.Open(t).(*pebblestore.Store)
	first := s.Ident()
	if first.Node == 0 || first.Format != 1 {
		t.Errorf("new store has ident %+v", first)
	}
	closeNow(t, s)
	s = m.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	if s.Ident() != first {
		t.Errorf("ident %+v became %+v", first, s.Ident())
	}
}

func TestTheNodeIdComesFromTheGivenRandomness(t *testing.T) {
	// The first draw is 0, which no node may have.
	s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem(),
		Rand: bytes.NewReader(append(make([]byte, 8), 0, 0, 0, 0, 0, 0, 1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if s.Ident().Node != 0x102 {
		t.Errorf("node id %#x, want 0x102", s.Ident().Node)
	}
	if _, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem(), Rand: strings.NewReader("short")}); err == nil {
		t.Error("a store is made without randomness")
	}
}

// ident makes the record byte by byte, so that the layout of released stores is
// pinned.
func ident(magic string, format uint32, node uint64) []byte {
	b := []byte(magic)
	b = binary.BigEndian.AppendUint32(b, format)
	b = binary.BigEndian.AppendUint64(b, node)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func TestAStoreThatIsNotOursIsRefused(t *testing.T) {
	flipped := ident("ffst", 1, 9)
	flipped[10] ^= 1
	for _, c := range []struct {
		name       string
		key, value []byte
		err        string // "" = accepted
	}{
		{"ours", []byte{0}, ident("ffst", 1, 9), ""},
		{"newer", []byte{0}, ident("ffst", 3, 9), "newer than 2"},
		{"newer and longer", []byte{0}, append(ident("ffst", 77, 9), 1, 2, 3), "data format 77"},
		{"damaged", []byte{0}, flipped, "damaged"},
		{"too short", []byte{0}, []byte("ff"), "damaged"},
		{"longer, same format", []byte{0}, append(ident("ffst", 1, 9), 0), "damaged"},
		{"another magic", []byte{0}, ident("abcd", 1, 9), "damaged"},
		{"node 0", []byte{0}, ident("ffst", 1, 0), "damaged"},
		{"no ident", []byte("user:1"), []byte("x"), "not made by footfall"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Set(c.key, c.value, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s, err := pebblestore.Open("db", pebblestore.Options{FS: fs})
			if c.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if s.Ident() != (pebblestore.Ident{Node: 9, Format: 1}) {
					t.Errorf("ident %+v", s.Ident())
				}
				closeNow(t, s)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("open gives %v, want an error with %q", err, c.err)
			}
		})
	}
}

func TestADirectoryOpensOnce(t *testing.T) {
	dir := t.TempDir()
	s := medium{dir, nil}.Open(t)
	defer closeNow(t, s)
	if _, err := pebblestore.Open(dir, pebblestore.Options{}); err == nil {
		t.Error("a second store opens on the same directory")
	}
}

func TestStatsFollowTheWork(t *testing.T) {
	s := medium{t.TempDir(), nil}.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	before := s.Stats()
	for i := range 10 {
		b := s.NewBatch()
		b.Set([]byte{9, byte(i)}, make([]byte, 1000))
		if err := s.Commit(b, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := s.Stats()
	if got := after.Commits - before.Commits; got != 10 {
		t.Errorf("%d commits counted, want 10", got)
	}
	if got := after.Syncs - before.Syncs; got != 5 {
		t.Errorf("%d syncs counted, want 5", got)
	}
	if after.WALWritten-before.WALWritten < 10_000 || after.Flushes <= before.Flushes || after.DiskBytes == 0 || after.Tables == 0 {
		t.Errorf("stats %+v after %+v", after, before)
	}
	if s.DiskSize() == 0 {
		t.Error("disk size 0")
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Errorf("verify of a sound store: %v", err)
	}
}

func TestAWrongBatchIsRefused(t *testing.T) {
	m := medium{"db", vfs.NewMem()}
	s := m.Open(t)
	defer closeNow(t, s)
	b := s.NewBatch()
	b.Set([]byte("k"), nil)
	if err := s.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	b.Discard() // harmless after Commit
	defer func() {
		if recover() == nil {
			t.Error("a batch commits twice")
		}
	}()
	_ = s.Commit(b, true)
}

func closeNow(t *testing.T, s persistence.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// quiet is a logger for databases opened without the store.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(errors.New(f))
}

package pebblestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// The facts P1 to P8 about the database that the store is built on: what it
// does by itself, and what the store makes of it.

const records = 1000

func recordKey(i int) []byte { return fmt.Appendf(nil, "\x04record-%04d", i) }

// rawWrites makes a database without the store: opened once, 1,000 synced
// writes, power cut.
func rawWrites(t *testing.T, format pebble.FormatMajorVersion) vfs.FS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: format})
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := db.Set(recordKey(i), make([]byte, 100), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	crash := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return crash
}

// rawCount opens a database without the store and counts the records.
func rawCount(t *testing.T, fs vfs.FS, format pebble.FormatMajorVersion) (int, error) {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: format})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for i := range records {
		if _, c, err := db.Get(recordKey(i)); err == nil {
			n++
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	return n, nil
}

// edit changes the content of the largest file with the suffix in db.
func edit(t *testing.T, fs vfs.FS, suffix string, change func([]byte) []byte) {
	t.Helper()
	list, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var content []byte
	for _, n := range list {
		if !strings.HasSuffix(n, suffix) {
			continue
		}
		f, err := fs.Open(fs.PathJoin("db", n))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if len(b) > len(content) {
			name, content = n, b
		}
	}
	if name == "" {
		t.Fatalf("no %s file", suffix)
	}
	f, err := fs.Create(fs.PathJoin("db", name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(change(content))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func flipMiddle(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

// storeWrites is rawWrites through the store.
func storeWrites(t *testing.T) vfs.FS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	s := medium{"db", fs}.Open(t)
	for i := range records {
		b := s.NewBatch()
		b.Set(recordKey(i), make([]byte, 100))
		if err := s.Commit(b, true); err != nil {
			t.Fatal(err)
		}
	}
	crash := fs.CrashClone(vfs.CrashCloneCfg{})
	closeNow(t, s)
	return crash
}

func TestP1DamageInTheMiddleOfTheLogIsFound(t *testing.T) {
	// By itself, in its default format, the database drops half of the records
	// and says nothing, even when it was opened before.
	fs := rawWrites(t, pebble.FormatMinSupported)
	edit(t, fs, ".log", flipMiddle)
	if n, err := rawCount(t, fs, pebble.FormatMinSupported); err != nil || n == records || n == 0 {
		t.Errorf("fact P1 has changed: %d records, %v", n, err)
	}
	for range 20 { // somewhere in the middle half
		fs := storeWrites(t)
		edit(t, fs, ".log", func(b []byte) []byte {
			b[len(b)/4+rand.IntN(len(b)/2)] ^= 1 << rand.IntN(8)
			return b
		})
		s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Fatal: func(error) {}})
		if err == nil {
			closeNow(t, s)
			t.Fatal("a store opens on a damaged log")
		}
	}
}

func TestP2DamageInTheFirstLogIsFound(t *testing.T) {
	// By itself the database checks its log only from the second opening on, in
	// the newest format too.
	fs := rawWrites(t, pebble.FormatNewest)
	edit(t, fs, ".log", flipMiddle)
	if n, err := rawCount(t, fs, pebble.FormatNewest); err != nil || n == records || n == 0 {
		t.Errorf("fact P2 has changed: %d records, %v", n, err)
	}
	// A new store was opened twice before its first record.
	fs = storeWrites(t)
	edit(t, fs, ".log", flipMiddle)
	if s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Fatal: func(error) {}}); err == nil {
		closeNow(t, s)
		t.Error("a new store opens on a damaged log")
	}
}

func TestP2TheNewestFormatIsUsed(t *testing.T) {
	fs := vfs.NewMem()
	closeNow(t, medium{"db", fs}.Open(t))
	d, err := pebble.Peek("db", fs)
	if err != nil || d.FormatMajorVersion != 24 || pebble.FormatNewest != 24 {
		t.Errorf("format %d, %v; newest is %d", d.FormatMajorVersion, err, pebble.FormatNewest)
	}
}

func TestP3ATornTailLosesOnlyTheTail(t *testing.T) {
	for _, cut := range []int{1, 7, 50, 120, 250} {
		fs := storeWrites(t)
		edit(t, fs, ".log", func(b []byte) []byte {
			b = bytes.TrimRight(b, "\x00") // preallocated
			return b[:len(b)-cut]
		})
		s := medium{"db", fs}.Open(t)
		n := 0
		err := s.Scan([]byte{4}, []byte{5}, func(k, _ []byte) error {
			if !bytes.Equal(k, recordKey(n)) {
				return fmt.Errorf("record %d is missing, %q follows", n, k)
			}
			n++
			return nil
		})
		if err != nil || n < records-4 {
			t.Errorf("%d bytes cut: %d records, %v", cut, n, err)
		}
		closeNow(t, s)
	}
}

func TestP4DamageInATableIsMetByReadingIt(t *testing.T) {
	fs := vfs.NewMem()
	s := medium{"db", fs}.Open(t).(*pebblestore.Store)
	rng := rand.New(rand.NewPCG(4, 4))
	b := s.NewBatch()
	for i := range records {
		v := make([]byte, 1000)
		for k := range v {
			v[k] = byte(rng.Uint32())
		}
		b.Set(recordKey(i), v)
	}
	if err := s.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeNow(t, s)
	edit(t, fs, ".sst", flipMiddle)

	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	bad := 0
	for i := range records {
		if _, err := s.Get(recordKey(i)); err != nil {
			if errors.Is(err, persistence.ErrNotFound) {
				t.Errorf("record %d of the damaged block is called missing", i)
			}
			bad++
		}
	}
	if bad == 0 || bad > 100 {
		t.Errorf("%d of %d reads fail, want those of one block", bad, records)
	}
	if err := s.Verify(t.Context()); err == nil {
		t.Error("verify does not find the damage")
	}
	if s.Stats().Corruptions == 0 {
		t.Error("the damage is not counted")
	}
}

// A failed write ends the process. These cases run in a process of their own,
// this test binary again, as the child below.
func TestP5AFailedSyncOrWriteEndsTheProcess(t *testing.T) {
	for _, c := range []struct{ op, then, exit string }{
		{"sync", "exit", "exit status 1"},
		{"write", "exit", "exit status 1"},
		{"write-later", "exit", "exit status 1"}, // an unsynced write fails, the next one meets it
		{"sync", "return", ""},
		{"write", "return", ""},
		{"write-later", "return", ""},
	} {
		t.Run(c.op+" then "+c.then, func(t *testing.T) {
			out, errOut, err := child(t, c.op, c.then, syscall.EIO)
			if fmt.Sprint(err) != c.exit && (err != nil || c.exit != "") {
				t.Errorf("process ends with %v, want %q; stderr:\n%s", err, c.exit, errOut)
			}
			if !strings.Contains(out, "good 10\n") || strings.Contains(out, "acknowledged") {
				t.Errorf("output:\n%s", out)
			}
			if c.then == "exit" && !strings.Contains(errOut, "cannot be written") {
				t.Errorf("stderr does not tell why:\n%s", errOut)
			}
			if c.then == "return" && (!strings.Contains(out, "fatal called 1 times") || !strings.Contains(out, "nothing works") || !strings.Contains(out, "all 10 there")) {
				t.Errorf("output:\n%s\n%s", out, errOut)
			}
		})
	}
}

func TestP6AFullDiskEndsTheProcessAndLosesNothing(t *testing.T) {
	out, errOut, err := child(t, "write", "exit", syscall.ENOSPC)
	if fmt.Sprint(err) != "exit status 1" || !strings.Contains(errOut, "no space left") {
		t.Errorf("process ends with %v; stderr:\n%s", err, errOut)
	}
	if strings.Contains(out, "acknowledged") {
		t.Errorf("output:\n%s", out)
	}
	out, errOut, err = child(t, "write", "return", syscall.ENOSPC)
	if err != nil || !strings.Contains(out, "all 10 there") {
		t.Errorf("after the disk has room again: %v\n%s\n%s", err, out, errOut)
	}
}

func child(t *testing.T, op, then string, code syscall.Errno) (out, errOut string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", childEnv, op, then, int(code)))
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// childEnv asks TestMain to be the child: operation that fails, what Fatal does,
// error number.
const childEnv = "PEBBLESTORE_TEST_FAULT"

// failingDisk is the process that tests of failing disks start.
func failingDisk(how string) error {
	var op, then string
	var code int
	if _, err := fmt.Sscan(how, &op, &then, &code); err != nil {
		return err
	}
	if op == "cut" {
		return failingCut(then, syscall.Errno(code))
	}
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if !broken.Load() || !strings.HasSuffix(o.Path, ".log") {
			return nil
		}
		switch o.Kind {
		case errorfs.OpFileWrite:
			if op == "sync" {
				return nil
			}
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if op != "sync" {
				return nil
			}
		default:
			return nil
		}
		return syscall.Errno(code)
	}))
	calls := make(chan error, 10)
	o := pebblestore.Options{FS: fs}
	if then == "return" {
		o.Fatal = func(err error) { calls <- err } // on whatever goroutine met the failure
	}
	s, err := pebblestore.Open("db", o)
	if err != nil {
		return err
	}
	size := 100
	if then == "exit" {
		size = 100_000 // the failure falls into a change of log files, too
	}
	put := func(i int, sync bool) error {
		b := s.NewBatch()
		b.Set(recordKey(i), make([]byte, size))
		return s.Commit(b, sync)
	}
	for i := range 10 {
		if err := put(i, true); err != nil {
			return err
		}
	}
	fmt.Println("good 10")
	broken.Store(true)
	i := 10
	if op == "write-later" { // no answer depends on these; they fail sooner or later
		for ; i < 1000 && put(i, false) == nil; i++ {
		}
	}
	if err := put(i, true); err == nil {
		fmt.Println("acknowledged a write that failed")
	}
	<-calls
	_, getErr := s.Get(recordKey(0))
	if put(i, true) != nil && put(i, false) != nil && getErr != nil && s.Close() != nil {
		fmt.Println("nothing works any more")
	}
	fmt.Printf("fatal called %d times\n", 1+len(calls))
	after, err := pebblestore.Open("db", pebblestore.Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		return err
	}
	have := 0
	for i := range 10 {
		if _, err := after.Get(recordKey(i)); err == nil {
			have++
		}
	}
	fmt.Printf("all %d there\n", have)
	return nil
}

func TestP6AFullDiskStallsWritesAndLogsOnce(t *testing.T) {
	var full atomic.Bool
	var refused atomic.Int64
	enough := make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if !full.Load() || !strings.HasSuffix(o.Path, ".sst") || o.Kind.ReadOrWrite() != errorfs.OpIsWrite || o.Kind == errorfs.OpRemove {
			return nil
		}
		if refused.Add(1) == 100 {
			close(enough)
		}
		return syscall.ENOSPC
	}))
	var log lines
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, MemTableBytes: 64 << 10,
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return time.Unix(1, 0) },
		Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range records { // far more than the memtables hold
			b := s.NewBatch()
			b.Set(recordKey(i), make([]byte, 1000))
			if err := s.Commit(b, false); err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		}
	})
	<-enough
	for !s.Stats().Stalled { // the writer fills what is left
		runtime.Gosched()
	}
	if n := log.count(); n != 1 {
		t.Errorf("%d log lines while the clock stands still, want 1", n)
	}
	if s.Stats().BackgroundErrors < 2 {
		t.Error("the failed attempts are not counted")
	}
	full.Store(false)
	wg.Wait()
	for i := range records {
		if _, err := s.Get(recordKey(i)); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	closeNow(t, s)
}

// lines counts what is logged.
type lines struct {
	mu sync.Mutex
	n  int
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += bytes.Count(b, []byte("\n"))
	return len(b), nil
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func TestP7WhatWasSyncedSurvivesAnyPowerCut(t *testing.T) {
	const cuts = 210
	fs := vfs.NewCrashableMem()
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	// Four writers; each writes its numbers in order, every third one synced, and
	// says how far it is safe.
	const writers = 4
	var safe, begun [writers]atomic.Int64
	turns := make(chan struct{}, 100) // keeps the writers near the cuts
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			i := int64(0)
			for range turns {
				i++
				b := s.NewBatch()
				b.Set(fmt.Appendf(nil, "\x04w%d-%06d", w, i), make([]byte, 100))
				begun[w].Store(i)
				if err := s.Commit(b, i%3 == 0); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				if i%3 == 0 {
					safe[w].Store(i)
				}
			}
		})
	}
	lost := 0
	for cut := range cuts {
		for range 20 {
			turns <- struct{}{}
		}
		percent := []int{0, 50, 100}[cut%3]
		var want, written [writers]int64
		for w := range writers {
			want[w] = safe[w].Load()
		}
		crash := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(7, uint64(cut)))})
		for w := range writers {
			written[w] = begun[w].Load()
		}
		after := medium{"db", crash}.Open(t)
		for w := range writers {
			have := int64(0)
			err := after.Scan(fmt.Appendf(nil, "\x04w%d-", w), fmt.Appendf(nil, "\x04w%d.", w), func(k, _ []byte) error {
				have++
				if string(k) != fmt.Sprintf("\x04w%d-%06d", w, have) {
					return fmt.Errorf("record %d is missing, %q follows", have, k)
				}
				return nil
			})
			if err != nil || have < want[w] {
				t.Errorf("cut %d (%d %% of the unsynced data kept): writer %d has %d records, %d were safe: %v", cut, percent, w, have, want[w], err)
			}
			if have < written[w] {
				lost++
			}
		}
		closeNow(t, after)
	}
	close(turns)
	wg.Wait()
	if lost == 0 {
		t.Error("no cut lost an unsynced record: the test proves nothing")
	}
}

func TestP8OneSyncServesManyWriters(t *testing.T) {
	var syncs atomic.Int64
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if !strings.HasSuffix(o.Path, ".log") {
			return nil
		}
		switch o.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if hold.Swap(false) {
				close(held)
				<-release
			}
			syncs.Add(1)
		}
		return nil
	}))
	s := medium{"db", fs}.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	put := func(i int) {
		b := s.NewBatch()
		b.Set(recordKey(i), make([]byte, 1000))
		if err := s.Commit(b, true); err != nil {
			t.Error(err)
		}
	}
	before := syncs.Load()
	hold.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { put(0) })
	<-held // the disk is busy with the first writer
	base := s.Stats().WALIn
	const writers = 50
	for i := range writers {
		wg.Go(func() { put(1 + i) })
	}
	for s.Stats().WALIn < base+writers*1000 { // until all of them wait
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if n := syncs.Load() - before; n > 3 {
		t.Errorf("%d syncs for %d writers, want one for the first and one or two for all others", n, 1+writers)
	}
}

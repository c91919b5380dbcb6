package pebblestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// A replacement of the records of [k, l), seen by disks that fail and by power
// cuts at every step.
const (
	stageFrom, stageTo = "k", "l"
	stageRecords       = 60
)

// stageOptions give a stage several tables and keep the log of memtables small.
func stageOptions(t *testing.T, fs vfs.FS) pebblestore.Options {
	return pebblestore.Options{FS: fs, StageFileBytes: 8 << 10, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
}

// oldRecords fills a store: the range and its neighbours, synced.
func oldRecords(t *testing.T, s *pebblestore.Store, settled bool) {
	t.Helper()
	b := s.NewBatch()
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range stageRecords {
		for _, table := range []string{"a", "k", "z"} {
			v := fmt.Appendf(nil, "old%0100d", i)
			for range 400 { // several blocks each
				v = append(v, byte(rng.Uint32()))
			}
			b.Set(fmt.Appendf(nil, "%s%03d", table, i), v)
		}
	}
	if err := s.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	if settled {
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// newRecords stages the other content: every second key, and some of its own.
func newRecords(s *pebblestore.Store, name string) error {
	g, err := s.Stage(name)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < stageRecords; i += 2 {
		v := fmt.Appendf(nil, "new%0100d", i)
		for range 500 { // does not compress
			v = append(v, byte(rng.Uint32()))
		}
		for _, suffix := range []string{"", "+"} {
			if err := g.Put(fmt.Appendf(nil, "k%03d%s", i, suffix), v); err != nil {
				return errors.Join(err, g.Discard())
			}
		}
	}
	if err := g.Finish(); err != nil {
		return errors.Join(err, g.Discard())
	}
	return nil
}

// content tells what a range holds: "old", "new" or what is wrong.
func content(s interface {
	Scan(from, to []byte, fn func(key, value []byte) error) error
}) string {
	var got, was, is []string
	for i := range stageRecords {
		was = append(was, fmt.Sprintf("k%03d old%0100d", i, i))
		if i%2 == 0 {
			is = append(is, fmt.Sprintf("k%03d new%0100d", i, i), fmt.Sprintf("k%03d+ new%0100d", i, i))
		}
	}
	if err := s.Scan([]byte(stageFrom), []byte(stageTo), func(k, v []byte) error {
		got = append(got, fmt.Sprintf("%s %s", k, v[:103]))
		return nil
	}); err != nil {
		return err.Error()
	}
	switch {
	case slices.Equal(got, was):
		return "old"
	case slices.Equal(got, is):
		return "new"
	}
	return fmt.Sprintf("neither old nor new: %d records", len(got))
}

func wantNeighbours(t *testing.T, s *pebblestore.Store, when string) {
	t.Helper()
	n := 0
	count := func(_, v []byte) error {
		if strings.HasPrefix(string(v), "old") {
			n++
		}
		return nil
	}
	if err := errors.Join(s.Scan([]byte("a"), []byte("b"), count), s.Scan([]byte("z"), []byte("zz"), count)); err != nil || n != 2*stageRecords {
		t.Errorf("%s: %d records beside the range, want %d: %v", when, n, 2*stageRecords, err)
	}
}

// cutter is a disk that can lose its power before every step.
type cutter struct {
	*vfs.MemFS
	mu  sync.Mutex // no cut inside a link: MemFS would lock itself out
	cut func(clone func(percent int) *vfs.MemFS)
	rng *rand.Rand
}

func (c *cutter) Link(oldname, newname string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.MemFS.Link(oldname, newname)
}

func (c *cutter) before(o errorfs.Op) error {
	if o.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut != nil {
		c.cut(func(percent int) *vfs.MemFS {
			return c.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng})
		})
	}
	return nil
}

func TestAPowerCutLeavesTheOldOrTheNewRecords(t *testing.T) {
	for name, settled := range map[string]bool{"records in tables": true, "records in memory": false} {
		t.Run(name, func(t *testing.T) {
			type cut struct {
				fs                  *vfs.MemFS
				percent             int
				finished, installed bool
			}
			var cuts []cut
			steps := 0
			var finished, installed atomic.Bool
			disk := &cutter{MemFS: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(2, 2))}
			s, err := pebblestore.Open("db", stageOptions(t, errorfs.Wrap(disk, errorfs.InjectorFunc(disk.before))))
			if err != nil {
				t.Fatal(err)
			}
			oldRecords(t, s, settled)
			take := func(clone func(int) *vfs.MemFS) {
				all := []int{0, 50, 100}
				if !settled && !installed.Load() { // much the same steps
					all = all[steps%3 : steps%3+1]
				}
				steps++
				for _, percent := range all {
					cuts = append(cuts, cut{clone(percent), percent, finished.Load(), installed.Load()})
				}
			}
			disk.mu.Lock()
			disk.cut = take
			disk.mu.Unlock()
			if err := newRecords(s, "one"); err != nil {
				t.Fatal(err)
			}
			finished.Store(true)
			// Not synced: the replacement must not survive without it.
			b := s.NewBatch()
			b.Set([]byte("before"), []byte("1"))
			if err := s.Commit(b, false); err != nil {
				t.Fatal(err)
			}
			if err := s.Install("one", []byte(stageFrom), []byte(stageTo)); err != nil {
				t.Fatal(err)
			}
			installed.Store(true)
			disk.mu.Lock()
			disk.cut = nil
			disk.mu.Unlock()
			take(func(percent int) *vfs.MemFS {
				return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: disk.rng})
			})
			closeNow(t, s)

			seen := map[string]int{}
			for i, c := range cuts {
				when := fmt.Sprintf("cut %d of %d, %d %% of the unsynced kept, finished %t, installed %t", i, len(cuts), c.percent, c.finished, c.installed)
				seen[afterCut(t, when, c.fs, c.finished, c.installed)]++
			}
			t.Logf("%d cuts: %v", len(cuts), seen)
			for _, want := range []string{"old", "old, staged", "new", "new, staged"} {
				if seen[want] == 0 {
					t.Errorf("no cut left %q: the test proves less than it says", want)
				}
			}
		})
	}
}

// afterCut opens what a power cut left, and again after the caller's second try.
func afterCut(t *testing.T, when string, fs vfs.FS, finished, installed bool) string {
	t.Helper()
	open := func() *pebblestore.Store {
		s, err := pebblestore.Open("db", stageOptions(t, fs))
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		return s
	}
	s := open()
	found := content(s)
	names, err := s.Staged()
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	wantNeighbours(t, s, when)
	staged := slices.Equal(names, []string{"one"})
	switch {
	case found != "old" && found != "new":
		t.Errorf("%s: %s", when, found)
	case len(names) > 0 && !staged:
		t.Errorf("%s: stages %q", when, names)
	case finished && found == "old" && !staged:
		t.Errorf("%s: a finished stage is gone", when)
	case installed && (found != "new" || staged):
		t.Errorf("%s: the range is %s, stage still there: %t", when, found, staged)
	}
	if found == "new" {
		if _, err := s.Get([]byte("before")); err != nil {
			t.Errorf("%s: the new records are there without a commit before them: %v", when, err)
		}
	}
	if err := s.Install("one", []byte(stageFrom), []byte(stageTo)); err != nil {
		t.Errorf("%s: install again: %v", when, err)
	}
	want := found
	if staged {
		want = "new"
	}
	for range 2 {
		if got := content(s); got != want {
			t.Errorf("%s: after the second installation: %s, want %s", when, got, want)
		}
		if names, err := s.Staged(); err != nil || len(names) > 0 {
			t.Errorf("%s: stages after the second installation: %q, %v", when, names, err)
		}
		wantNeighbours(t, s, when)
		closeNow(t, s)
		s = open()
	}
	closeNow(t, s)
	if staged {
		found += ", staged"
	}
	return found
}

func TestAnErrorAtAnyStepOfAStageLeavesTheStoreWhole(t *testing.T) {
	for name, settled := range map[string]bool{"records in tables": true, "records in memory": false} {
		t.Run(name, func(t *testing.T) {
			failures := 0
			stride := 1
			if !settled {
				stride = 3 // much the same steps
			}
			for step := 0; ; step += stride {
				hit, failed := failStage(t, step, settled)
				if !hit {
					t.Logf("%d steps, %d of them end the installation", step, failures)
					break
				}
				if failed {
					failures++
				}
			}
			if failures*stride < 100 {
				t.Errorf("only %d errors were seen by the caller", failures)
			}
		})
	}
}

// cutting tells whether Pebble, on this goroutine, looks for the ends of a range
// that it cuts out of a table.
func cutting() bool {
	stack := make([]byte, 64<<10)
	return bytes.Contains(stack[:runtime.Stack(stack, false)], []byte("TableBounds("))
}

// The store runs in a process of its own, this test binary again, on a real
// directory that is looked at afterwards.
func TestAReadThatFailsWhileARangeIsCutOutEndsTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := pebblestore.Open(dir, stageOptions(t, vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	oldRecords(t, s, true)
	closeNow(t, s)
	for read := range 10 {
		out, errOut, err := child(t, "cut", strconv.Itoa(read)+":"+dir, syscall.EIO)
		if err == nil && out == "no such read\n" {
			if read < 2 {
				t.Errorf("Pebble reads %d times while it cuts: the test proves nothing", read)
			}
			break
		}
		if fmt.Sprint(err) != "exit status 1" || !strings.Contains(errOut, "cut a range out") || out != "" {
			t.Errorf("read %d fails: process ends with %v\n%s\n%s", read, err, out, errOut)
		}
		s, err := pebblestore.Open(dir, stageOptions(t, vfs.Default))
		if err != nil {
			t.Fatal(err)
		}
		if got := content(s); got != "old" {
			t.Errorf("read %d failed: %s", read, got)
		}
		wantNeighbours(t, s, fmt.Sprintf("read %d failed", read))
		closeNow(t, s)
	}
	s, err = pebblestore.Open(dir, stageOptions(t, vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if got := content(s); got != "new" {
		t.Errorf("after an installation without a fault: %s", got)
	}
	wantNeighbours(t, s, "at the end")
}

// failingCut is the process that the test above starts: where is "number of the
// read that fails:directory".
func failingCut(where string, code syscall.Errno) error {
	number, dir, _ := strings.Cut(where, ":")
	left, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	var hit atomic.Bool
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind != errorfs.OpFileReadAt || !cutting() {
			return nil
		}
		if left--; left != -1 {
			return nil
		}
		hit.Store(true)
		return code
	}))
	// No cache: whatever the check before has read is read again.
	s, err := pebblestore.Open(dir, pebblestore.Options{FS: fs, CacheBytes: 1, StageFileBytes: 8 << 10})
	if err != nil {
		return err
	}
	if err := newRecords(s, "one"); err != nil {
		return err
	}
	err = s.Install("one", []byte(stageFrom), []byte(stageTo))
	if hit.Load() {
		fmt.Println("the process goes on")
	} else {
		fmt.Println("no such read")
	}
	return errors.Join(err, s.Close())
}

func TestDamageBesideTheRangeIsNotCutOff(t *testing.T) {
	// The block that holds the last record before the range, or the first behind
	// it, is damaged: installing would take every record on that side along.
	for _, name := range []string{"before", "behind"} {
		t.Run(name, func(t *testing.T) {
			fs := coldStore(t, 1000)
			path := table(t, fs)
			write(t, fs, path, flipMiddle(read(t, fs, path)))
			var c told
			s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Corrupt: c.corrupt, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			defer closeNow(t, s)
			bad := map[int]bool{}
			for i := range records {
				if _, err := s.Get(recordKey(i)); err != nil {
					bad[i] = true
				}
			}
			first, last := slices.Min(slices.Collect(maps.Keys(bad))), slices.Max(slices.Collect(maps.Keys(bad)))
			from, to := recordKey(last+1), recordKey(last+100)
			if name == "behind" {
				from, to = recordKey(first-100), recordKey(first)
			}
			g, err := s.Stage("one")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(g.Put(from, nil), g.Finish()); err != nil {
				t.Fatal(err)
			}
			before := len(c.all())
			err = s.Install("one", from, to)
			if d := (*pebblestore.Damage)(nil); !errors.As(err, &d) || d.File != path || len(c.all()) == before {
				t.Errorf("install gives %v, told %v", err, c.all()[before:])
			}
			for i := range records {
				if bad[i] { // reading a damaged block is slow: the database looks for the bit
					continue
				}
				if _, err := s.Get(recordKey(i)); err != nil {
					t.Fatalf("record %d: %v", i, err)
				}
			}
			if err := s.Unstage("one"); err != nil {
				t.Error(err)
			}
		})
	}
}

// failStage fails one operation on tables or stages.
func failStage(t *testing.T, step int, settled bool) (hit, failed bool) {
	t.Helper()
	var armed atomic.Bool
	var left atomic.Int64
	left.Store(int64(step))
	var where atomic.Pointer[string]
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if !armed.Load() || !strings.Contains(o.Path, "-staged") && !strings.HasSuffix(o.Path, ".sst") || cutting() || left.Add(-1) != -1 {
			return nil
		}
		op := fmt.Sprintf("%v %s", o.Kind, o.Path)
		where.Store(&op)
		return syscall.EIO
	}))
	s, err := pebblestore.Open("db", stageOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	oldRecords(t, s, settled)
	armed.Store(true)
	err = newRecords(s, "one")
	if err == nil {
		err = s.Install("one", []byte(stageFrom), []byte(stageTo))
	}
	armed.Store(false)
	op := where.Load()
	if op == nil {
		if err != nil {
			t.Fatalf("an error without a fault: %v", err)
		}
		return false, false
	}
	if err != nil && !errors.Is(err, syscall.EIO) {
		t.Errorf("fault at %s: the error does not hold its reason: %v", *op, err)
	}
	got := content(s)
	if got != "old" && got != "new" || err == nil && got != "new" {
		t.Errorf("fault at %s: %s after %v", *op, got, err)
	}
	wantNeighbours(t, s, *op)
	if e := errors.Join(newRecords(s, "one"), s.Install("one", []byte(stageFrom), []byte(stageTo))); e != nil || content(s) != "new" {
		t.Errorf("fault at %s: the next try: %v, %s", *op, e, content(s))
	}
	if e := s.Scrub(t.Context(), 0, nil, nil); e != nil {
		t.Errorf("fault at %s: %v", *op, e)
	}
	return true, err != nil
}

func TestADamagedStageIsNotInstalled(t *testing.T) {
	// Any byte of any file, and a file that is missing or short.
	base := vfs.NewMem()
	s, err := pebblestore.Open("db", stageOptions(t, base))
	if err != nil {
		t.Fatal(err)
	}
	oldRecords(t, s, true)
	if err := newRecords(s, "one"); err != nil {
		t.Fatal(err)
	}
	closeNow(t, s)
	dir := "db-staged/one"
	files, err := base.List(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("the stage has %q, %v", files, err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for _, file := range files {
		content0 := read(t, base, dir+"/"+file)
		changes := map[string]func([]byte) []byte{
			"cut":   func(b []byte) []byte { return b[:len(b)-1] },
			"empty": func([]byte) []byte { return nil },
			"long":  func(b []byte) []byte { return append(b, 0) },
		}
		for range 10 {
			at, bit := rng.IntN(len(content0)), rng.IntN(8)
			changes[fmt.Sprintf("bit %d of byte %d", bit, at)] = func(b []byte) []byte { b[at] ^= 1 << bit; return b }
		}
		for what, change := range changes {
			write(t, base, dir+"/"+file, change(slices.Clone(content0)))
			s, err := pebblestore.Open("db", stageOptions(t, base))
			if err != nil {
				t.Fatal(err)
			}
			err = s.Install("one", []byte(stageFrom), []byte(stageTo))
			if d := (*pebblestore.Damage)(nil); !errors.As(err, &d) || !strings.HasSuffix(d.File, file) {
				t.Errorf("%s, %s: installed with %v", file, what, err)
			}
			if got := content(s); got != "old" {
				t.Errorf("%s, %s: %s", file, what, got)
			}
			closeNow(t, s)
		}
		write(t, base, dir+"/"+file, content0)
	}
	if err := base.Remove(dir + "/000001.sst"); err != nil {
		t.Fatal(err)
	}
	s, err = pebblestore.Open("db", stageOptions(t, base))
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if err := s.Install("one", []byte(stageFrom), []byte(stageTo)); err == nil || content(s) != "old" {
		t.Errorf("a stage without one of its tables: %v, %s", err, content(s))
	}
	if err := s.Unstage("one"); err != nil {
		t.Error(err)
	}
}

func TestAStageHasTheFormatOfTheStore(t *testing.T) {
	// Its tables become the store's: same table format, same filters.
	fs := vfs.NewMem()
	s, err := pebblestore.Open("db", stageOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if err := newRecords(s, "one"); err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, f := range list(t, fs, "db-staged/one") {
		if strings.HasSuffix(f, ".sst") {
			tables++
			if b := read(t, fs, "db-staged/one/"+f); !strings.Contains(string(b), "rocksdb.BuiltinBloomFilter") {
				t.Errorf("%s has no filter", f)
			}
		}
	}
	if tables < 3 {
		t.Errorf("%d tables, want several of 8 KiB", tables)
	}
	if err := s.Install("one", []byte(stageFrom), []byte(stageTo)); err != nil {
		t.Fatal(err)
	}
	// The other table holds the ident.
	if st := s.Stats(); st.Tables != int64(tables)+1 || st.Installs != 1 {
		t.Errorf("%d tables, %d installations; want the %d of the stage and one", st.Tables, st.Installs, tables)
	}
	if len(list(t, fs, "db-staged")) > 0 {
		t.Error("the stage is still there")
	}
}

func TestAViewIsCountedWhileItIsOpen(t *testing.T) {
	s := medium{"db", vfs.NewMem()}.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	var views []persistence.View
	for range 3 {
		v, err := s.View()
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, v)
	}
	if st := s.Stats(); st.Views != 3 || st.ViewAgeMax <= 0 {
		t.Errorf("3 views are open, stats tell of %d, the oldest of %v", st.Views, st.ViewAgeMax)
	}
	oldRecords(t, s, true)
	for _, v := range views {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	if st := s.Stats(); st.Views != 0 || st.ViewAgeMax != 0 {
		t.Errorf("no view is open, stats tell of %d, the oldest of %v", st.Views, st.ViewAgeMax)
	}
}

func list(t *testing.T, fs vfs.FS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(slices.Clone(content)) // a file may use what it is given
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

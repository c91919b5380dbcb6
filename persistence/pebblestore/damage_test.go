package pebblestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence/pebblestore"
)

// coldStore makes a store with one table of incompressible records, closed.
func coldStore(t *testing.T, valueBytes int) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	s := medium{"db", fs}.Open(t).(*pebblestore.Store)
	rng := rand.New(rand.NewPCG(4, 4))
	b := s.NewBatch()
	for i := range records {
		v := make([]byte, valueBytes)
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
	return fs
}

// table gives the path of the largest table.
func table(t *testing.T, fs vfs.FS) string {
	t.Helper()
	var largest string
	size := -1
	for path, content := range sstFiles(t, fs) {
		if len(content) > size {
			largest, size = path, len(content)
		}
	}
	return largest
}

// sstFiles reads all tables; an open store may remove some meanwhile.
func sstFiles(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, f := range list(t, fs, "db") {
		if !strings.HasSuffix(f, ".sst") {
			continue
		}
		file, err := fs.Open("db/" + f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(file)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		out["db/"+f] = b
	}
	return out
}

// told collects what a store says about damage.
type told struct {
	mu   sync.Mutex
	errs []error
}

func (c *told) corrupt(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

func (c *told) all() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.errs)
}

func TestAScrubFindsAFlippedByteAndNamesTheFile(t *testing.T) {
	fs := coldStore(t, 1000)
	path := table(t, fs)
	write(t, fs, path, flipMiddle(read(t, fs, path)))
	var c told
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Corrupt: c.corrupt, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if len(c.all()) != 0 {
		t.Fatalf("damage is told before anybody read: %v", c.all())
	}
	err = s.Scrub(t.Context(), 0, nil, nil)
	var d *pebblestore.Damage
	if !errors.As(err, &d) || d.File != path || !strings.Contains(err.Error(), path) {
		t.Fatalf("scrub gives %v, want damage in %s", err, path)
	}
	if got := c.all(); len(got) != 1 || !errors.As(got[0], &d) || d.File != path {
		t.Errorf("told %v", got)
	}
	// Ranges of which no read fails are sound, the others are not.
	const width = 20
	bad := 0
	for i := 0; i < records; i += width {
		failing := 0
		for k := i; k < i+width; k++ {
			before := len(c.all())
			_, err := s.Get(recordKey(k))
			if err == nil {
				continue
			}
			failing++
			if !errors.As(err, &d) || d.File != path || bytes.Compare(recordKey(k), d.From) < 0 || bytes.Compare(recordKey(k), d.To) >= 0 {
				t.Errorf("get %q: %v, not a damage around it", recordKey(k), err)
			}
			if len(c.all()) == before {
				t.Errorf("get %q: nobody is told", recordKey(k))
			}
		}
		from, to := recordKey(i), recordKey(i+width)
		err := s.Scrub(t.Context(), 0, from, to)
		if (err != nil) != (failing > 0) {
			t.Errorf("scrub of [%q, %q) gives %v, %d reads of it fail", from, to, err, failing)
		}
		if err != nil {
			bad++
			if !errors.As(err, &d) || !bytes.Equal(d.From, from) || bytes.Compare(d.To, to) > 0 {
				t.Errorf("scrub of [%q, %q) tells of [%q, %q)", from, to, d.From, d.To)
			}
		}
	}
	if bad == 0 || bad > 3 {
		t.Errorf("%d ranges are damaged, want those of one block", bad)
	}
}

func TestAScrubReadsPastTheCache(t *testing.T) {
	fs := coldStore(t, 1000)
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs}) // with a cache that holds it all
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	if err := errors.Join(s.Verify(t.Context()), s.Scrub(t.Context(), 0, nil, nil)); err != nil {
		t.Fatal(err)
	}
	path := table(t, fs)
	write(t, fs, path, flipMiddle(read(t, fs, path))) // under the open store
	if err := s.Verify(t.Context()); err != nil {
		t.Fatalf("the cache does not hide the damage, so this test tests nothing: %v", err)
	}
	if err := s.Scrub(t.Context(), 0, nil, nil); err == nil {
		t.Error("the damage on disk is not found")
	}
}

func TestAScrubFindsAnyFlippedByte(t *testing.T) {
	fs := coldStore(t, 20)
	path := table(t, fs)
	sound := read(t, fs, path)
	s := medium{"db", fs}.Open(t).(*pebblestore.Store)
	defer closeNow(t, s)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 60 { // each takes a while: the database looks for the bit
		at := rng.IntN(len(sound))
		if i < 40 { // the last tenth: filter, indexes, properties, footer
			at = len(sound) - 1 - rng.IntN(len(sound)/10)
		}
		b := slices.Clone(sound)
		b[at] ^= 1 << rng.IntN(8)
		write(t, fs, path, b)
		if err := s.Scrub(t.Context(), 0, nil, nil); err == nil {
			t.Errorf("byte %d of %d is flipped and not found", at, len(sound))
		}
	}
	for _, n := range []int{1, 10, 100, len(sound) / 2, len(sound)} {
		write(t, fs, path, sound[:len(sound)-n])
		if err := s.Scrub(t.Context(), 0, nil, nil); err == nil {
			t.Errorf("the last %d bytes are missing and nobody sees it", n)
		}
	}
	write(t, fs, path, sound)
	if err := s.Scrub(t.Context(), 0, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestAScrubKeepsItsPaceAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := coldStore(t, 1000) // 1 MB
		s := medium{"db", fs}.Open(t).(*pebblestore.Store)
		defer closeNow(t, s)
		size := time.Duration(len(read(t, fs, table(t, fs))))
		start := time.Now()
		if err := s.Scrub(t.Context(), 100_000, nil, nil); err != nil {
			t.Fatal(err)
		}
		took, want := time.Since(start), size*time.Second/100_000
		if took < want*9/10 || took > want*12/10 {
			t.Errorf("%d bytes at 100 kB/s took %v, want about %v", size, took, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start = time.Now()
		if err := s.Scrub(ctx, 100_000, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("scrub ends with %v", err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("scrub ended after %v, want 2s", d)
		}
	})
}

func TestAScrubOfTablesThatShareAFile(t *testing.T) {
	// An installation in the middle of a table leaves two parts of it.
	fs := vfs.NewMem()
	s, err := pebblestore.Open("db", stageOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	oldRecords(t, s, true)
	if err := errors.Join(newRecords(s, "one"), s.Install("one", []byte(stageFrom), []byte(stageTo))); err != nil {
		t.Fatal(err)
	}
	if err := s.Scrub(t.Context(), 0, nil, nil); err != nil {
		t.Fatal(err)
	}
	for path, b := range sstFiles(t, fs) {
		b[len(b)-20] ^= 1 // the footer: all of the file
		write(t, fs, path, b)
	}
	for span, damaged := range map[[2]string]bool{{"a", "b"}: true, {"k", "l"}: true, {"z", "zz"}: true, {"b", "c"}: false} {
		if err := s.Scrub(t.Context(), 0, []byte(span[0]), []byte(span[1])); (err != nil) != damaged {
			t.Errorf("scrub of %q gives %v", span, err)
		}
	}
}

func TestAnInstallationRepairsWhatIsDamagedInsideItsRange(t *testing.T) {
	fs := coldStore(t, 1000)
	path := table(t, fs)
	write(t, fs, path, flipMiddle(read(t, fs, path)))
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, s)
	from, to := recordKey(records/4), recordKey(records*3/4)
	if err := s.Scrub(t.Context(), 0, from, to); err == nil {
		t.Fatal("the damage is not in the range: the test tests nothing")
	}
	g, err := s.Stage("repair")
	if err != nil {
		t.Fatal(err)
	}
	for i := records / 4; i < records*3/4; i++ {
		if err := g.Put(recordKey(i), fmt.Appendf(nil, "repaired %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(g.Finish(), s.Install("repair", from, to)); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		v, err := s.Get(recordKey(i))
		repaired := bytes.HasPrefix(v, []byte("repaired"))
		if err != nil || repaired != (i >= records/4 && i < records*3/4) {
			t.Fatalf("record %d: %.20q, %v", i, v, err)
		}
	}
	if err := errors.Join(s.Scrub(t.Context(), 0, nil, nil), s.Settle(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestDamageIsLoggedInOneLine: an operator is told the file and what to do, not
// where in the database the error came to be.
func TestDamageIsLoggedInOneLine(t *testing.T) {
	fs := coldStore(t, 1000)
	path := table(t, fs)
	content := read(t, fs, path)
	content[len(content)/2] ^= 1
	write(t, fs, path, content)
	var log bytes.Buffer
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs, Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return time.Unix(1, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Scan(nil, nil, func(_, _ []byte) error { return nil })
	closeNow(t, s)
	if d := (*pebblestore.Damage)(nil); !errors.As(err, &d) {
		t.Fatalf("the scan gives %v", err)
	}
	got := log.String()
	if strings.Count(got, "\n") != 1 || strings.Contains(got, ".go:") || strings.Contains(got, "stack trace") {
		t.Errorf("logged:\n%s", got)
	}
	for _, want := range []string{path, "rebuilt", "damaged"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not logged:\n%s", want, got)
		}
	}
}

// Package storetest is the proof that a persistence.Store keeps its contract.
// It must never know an implementation. Start at Run; RunViews and RunStages are
// for stores that can do more.
package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"footfall/persistence"
)

// Medium is something a store can be opened on again and again, as a directory
// is. Open gives a store with everything that was committed before the last
// Close.
type Medium interface {
	Open(t *testing.T) persistence.Store
}

// Run checks every promise of the contract; fresh gives an empty medium per
// promise.
func Run(t *testing.T, fresh func(t *testing.T) Medium) {
	run(t, fresh, []check{
		{"what was set is got", setGet},
		{"a missing key is ErrNotFound", missing},
		{"the value belongs to the caller", ownership},
		{"a batch applies as a whole and in call order", batchOrder},
		{"a discarded batch leaves nothing", discarded},
		{"a scan gives its range in order", scanRange},
		{"a scan sees one moment", scanView},
		{"a scan ends at the first error", scanError},
		{"a range delete hides its range and nothing else", deleteRange},
		{"everything survives close and open", reopen},
		{"random work equals a plain map", oracle},
		{"concurrent writers lose nothing", concurrent},
	})
}

func setGet(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, kv := range [][2]string{{"a", "1"}, {"b", ""}, {"\x00\x00", "zero"}, {"\xff\xff", "top"}, {"big", string(make([]byte, 1<<20))}} {
		put(t, s, kv[0], kv[1])
		want(t, s, kv[0], kv[1])
	}
	put(t, s, "a", "2")
	want(t, s, "a", "2")
	b := s.NewBatch()
	b.Delete([]byte("a"))
	commit(t, s, b)
	wantNone(t, s, "a")
}

func missing(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "aa", "1")
	for _, k := range []string{"a", "aaa", "b", "\x00\x00"} {
		wantNone(t, s, k)
	}
}

func ownership(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	key, value := []byte("k"), []byte("value")
	b := s.NewBatch()
	b.Set(key, value)
	copy(key, "x")
	copy(value, "xxxxx")
	commit(t, s, b)
	v, err := s.Get([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range v {
		v[i] = '!'
	}
	want(t, s, "k", "value")
}

func batchOrder(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "old", "1")
	b := s.NewBatch()
	b.Set([]byte("p1"), []byte("hidden"))
	b.DeleteRange([]byte("p"), []byte("q"))
	b.Set([]byte("p2"), []byte("shown"))
	b.Delete([]byte("old"))
	b.Set([]byte("old"), []byte("2"))
	if b.Size() == 0 {
		t.Error("a batch with five writes has size 0")
	}
	wantNone(t, s, "p2") // not before Commit
	commit(t, s, b)
	wantNone(t, s, "p1")
	want(t, s, "p2", "shown")
	want(t, s, "old", "2")
}

func discarded(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	b.Discard()
	wantNone(t, s, "k")
}

func scanRange(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, k := range []string{"c", "a", "b\x00", "b", "d"} {
		put(t, s, k, "v"+k)
	}
	for _, c := range []struct {
		from, to []byte
		want     []string
	}{
		{[]byte("a"), []byte("c"), []string{"a", "b", "b\x00"}},
		{[]byte("b\x00"), []byte("b\x01"), []string{"b\x00"}},
		{[]byte("c"), nil, []string{"c", "d"}},
		{[]byte("e"), nil, nil},
		{[]byte("b"), []byte("b"), nil},
	} {
		var got []string
		err := s.Scan(c.from, c.to, func(k, v []byte) error {
			if string(v) != "v"+string(k) {
				t.Errorf("scan gives %q = %q", k, v)
			}
			got = append(got, string(k))
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("scan [%q, %q) gives %q, %v; want %q", c.from, c.to, got, err, c.want)
		}
	}
}

func scanView(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for i := range 100 {
		put(t, s, fmt.Sprintf("k%02d", i), "old")
	}
	n := 0
	err := s.Scan([]byte("k"), []byte("l"), func(k, v []byte) error {
		if n == 0 {
			b := s.NewBatch()
			for i := range 100 {
				b.Set(fmt.Appendf(nil, "k%02d", i), []byte("new"))
			}
			b.Set([]byte("k50x"), []byte("new"))
			b.Delete([]byte("k99"))
			commit(t, s, b)
		}
		n++
		if string(v) != "old" {
			t.Errorf("scan sees %q = %q, written after it began", k, v)
		}
		return nil
	})
	if err != nil || n != 100 {
		t.Errorf("scan gives %d keys, %v; want the 100 of the moment it began", n, err)
	}
}

func scanError(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "a", "1")
	put(t, s, "b", "2")
	stop, n := errors.New("stop"), 0
	err := s.Scan(nil, nil, func(k, _ []byte) error {
		if len(k) == 1 && k[0] == 'a' || n > 0 {
			n++
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("scan calls on %d times after the error and returns %v", n, err)
	}
}

func deleteRange(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, k := range []string{"a", "b", "b1", "c", "d"} {
		put(t, s, k, "1")
	}
	b := s.NewBatch()
	b.DeleteRange([]byte("b"), []byte("c"))
	b.DeleteRange([]byte("x"), []byte("d")) // empty: the end is before the start
	commit(t, s, b)
	for _, k := range []string{"b", "b1"} {
		wantNone(t, s, k)
	}
	for _, k := range []string{"a", "c", "d"} {
		want(t, s, k, "1")
	}
	b = s.NewBatch()
	b.DeleteRange([]byte("a"), nil)
	if err := s.Commit(b, true); err == nil {
		t.Error("a range delete without an end is accepted")
	}
	want(t, s, "d", "1")
}

func reopen(t *testing.T, m Medium) {
	s := open(t, m)
	put(t, s, "keep", "1")
	put(t, s, "gone", "1")
	b := s.NewBatch()
	b.DeleteRange([]byte("gone"), []byte("gone\x00"))
	if err := s.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		closeStore(t, s)
		s = open(t, m)
		want(t, s, "keep", "1")
		wantNone(t, s, "gone")
	}
	closeStore(t, s)
}

// oracle compares the store with a map on random batches; a failure names the
// seed.
func oracle(t *testing.T, m Medium) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	s := open(t, m)
	model := map[string]string{}
	key := func() []byte { return binary.BigEndian.AppendUint16([]byte{'o'}, uint16(rng.IntN(300))) }
	for round := range 400 {
		b := s.NewBatch()
		for range rng.IntN(20) {
			switch k := key(); rng.IntN(8) {
			case 0:
				b.Delete(k)
				delete(model, string(k))
			case 1:
				end := key()
				b.DeleteRange(k, end)
				for have := range model {
					if have >= string(k) && have < string(end) {
						delete(model, have)
					}
				}
			default:
				v := make([]byte, rng.IntN(200))
				for i := range v {
					v[i] = byte(rng.Uint32())
				}
				b.Set(k, v)
				model[string(k)] = string(v)
			}
		}
		if err := s.Commit(b, rng.IntN(4) == 0); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(50) == 0 {
			closeStore(t, s)
			s = open(t, m)
		}
		if rng.IntN(10) == 0 {
			compare(t, s, model, fmt.Sprintf("seed %d round %d", seed, round))
		}
	}
	compare(t, s, model, fmt.Sprintf("seed %d at the end", seed))
	closeStore(t, s)
}

func compare(t *testing.T, s persistence.Store, model map[string]string, when string) {
	t.Helper()
	n := 0
	err := s.Scan([]byte("o"), []byte("p"), func(k, v []byte) error {
		if w, ok := model[string(k)]; !ok || w != string(v) {
			return fmt.Errorf("key %x holds %x, want %x (present %t)", k, v, w, ok)
		}
		n++
		return nil
	})
	if err != nil || n != len(model) {
		t.Fatalf("%s: %d keys, want %d: %v", when, n, len(model), err)
	}
	for k, w := range model {
		if v, err := s.Get([]byte(k)); err != nil || string(v) != w {
			t.Fatalf("%s: get %x: %x, %v; want %x", when, k, v, err, w)
		}
	}
}

func concurrent(t *testing.T, m Medium) {
	s := open(t, m)
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b := s.NewBatch()
				b.Set(fmt.Appendf(nil, "w%d-%d", w, i), []byte("v"))
				b.Set(fmt.Appendf(nil, "w%d-last", w), fmt.Appendf(nil, "%d", i))
				if err := s.Commit(b, i%5 == 0); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				if _, err := s.Get(fmt.Appendf(nil, "w%d-%d", w, i)); err != nil {
					t.Errorf("writer %d does not see its own write: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	closeStore(t, s)
	s = open(t, m)
	defer closeStore(t, s)
	for w := range writers {
		want(t, s, fmt.Sprintf("w%d-last", w), fmt.Sprint(each-1))
		for i := range each {
			want(t, s, fmt.Sprintf("w%d-%d", w, i), "v")
		}
	}
}

func open(t *testing.T, m Medium) persistence.Store {
	t.Helper()
	return m.Open(t)
}

func closeStore(t *testing.T, s persistence.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s persistence.Store, key, value string) {
	t.Helper()
	b := s.NewBatch()
	b.Set([]byte(key), []byte(value))
	commit(t, s, b)
}

func commit(t *testing.T, s persistence.Store, b persistence.Batch) {
	t.Helper()
	if err := s.Commit(b, true); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s persistence.Store, key, value string) {
	t.Helper()
	v, err := s.Get([]byte(key))
	if err != nil || !bytes.Equal(v, []byte(value)) {
		t.Errorf("get %q: %.40q, %v; want %.40q", key, v, err, value)
	}
}

func wantNone(t *testing.T, s persistence.Store, key string) {
	t.Helper()
	if v, err := s.Get([]byte(key)); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("get %q: %.40q, %v; want ErrNotFound", key, v, err)
	}
}

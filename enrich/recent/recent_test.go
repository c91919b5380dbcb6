package recent

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"unsafe"

	"github.com/maypok86/otter/v2"
)

func TestAValueIsFoundUnderItsKeyAndTagOnly(t *testing.T) {
	c := New[int](64)
	c.Put("a", 1, 10)
	c.Put("a", 2, 20)
	for _, tt := range []struct {
		key  string
		tag  uint64
		want int
		ok   bool
	}{{"a", 1, 10, true}, {"a", 2, 20, true}, {"a", 3, 0, false}, {"b", 1, 0, false}, {"", 1, 0, false}} {
		got, ok := c.Get([]byte(tt.key), tt.tag)
		if ok != tt.ok || ok && *got != tt.want {
			t.Errorf("Get(%q, %d) = %v %v, want %d %v", tt.key, tt.tag, got, ok, tt.want, tt.ok)
		}
		if _, again := c.GetString(tt.key, tt.tag); again != ok {
			t.Errorf("GetString(%q, %d) found = %v, Get found = %v", tt.key, tt.tag, again, ok)
		}
	}
	c.Put("a", 1, 11)
	if got, _ := c.Get([]byte("a"), 1); *got != 11 {
		t.Errorf("after a second Put: %d, want 11", *got)
	}
}

func TestAFloodStaysBoundedAndSparesWhatIsInUse(t *testing.T) {
	c := New[int](1024)
	if c.Cap() != 1024 {
		t.Fatalf("Cap = %d, want 1024", c.Cap())
	}
	popular := make([]string, 50)
	for i := range popular {
		popular[i] = "popular " + strconv.Itoa(i)
	}
	missed := 0
	for i := range 100_000 {
		c.Put("flood "+strconv.Itoa(i), 0, i)
		if i%100 == 0 {
			for _, p := range popular {
				if _, ok := c.GetString(p, 0); !ok {
					missed++
					c.Put(p, 0, i)
				}
			}
		}
	}
	held := 0
	for i := range c.sets {
		for j := range c.sets[i].slots {
			if c.sets[i].slots[j].Load() != nil {
				held++
			}
		}
	}
	if held > c.Cap() {
		t.Errorf("%d entries held, capacity is %d", held, c.Cap())
	}
	if asked := 1000 * len(popular); missed > asked/20 {
		t.Errorf("%d of %d look-ups of entries in use missed during the flood", missed, asked)
	}
}

func TestManyMayReadAndWriteAtOnce(t *testing.T) {
	c := New[string](128)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 5_000 {
				key := strconv.Itoa((i * (w + 1)) % 300)
				if v, ok := c.GetString(key, 7); ok && *v != "v"+key {
					t.Errorf("key %s holds %s", key, *v)
					return
				}
				c.Put(key, 7, "v"+key)
			}
		})
	}
	wg.Wait()
}

func TestAHitDoesNotAllocate(t *testing.T) {
	c := New[int](64)
	key := []byte("Mozilla/5.0")
	c.Put(string(key), 3, 1)
	if n := testing.AllocsPerRun(1000, func() { c.Get(key, 3) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

func agents(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", i)
	}
	return out
}

func BenchmarkHit(b *testing.B) {
	keys := agents(200)
	c := New[int](8192)
	for i, k := range keys {
		c.Put(string(k), 0, i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Get(keys[i%len(keys)], 0)
	}
}

func BenchmarkFlood(b *testing.B) {
	keys := agents(100_000)
	c := New[int](8192)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := keys[i%len(keys)]
		if _, ok := c.Get(k, 0); !ok {
			c.Put(string(k), 0, i)
		}
	}
}

// The two below are the comparison the package comment speaks of.

func BenchmarkOtterHit(b *testing.B) {
	keys := agents(200)
	c := otter.Must(&otter.Options[string, int]{MaximumSize: 8192})
	for i, k := range keys {
		c.Set(string(k), i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := keys[i%len(keys)]
		c.GetIfPresent(unsafe.String(&k[0], len(k)))
	}
}

func BenchmarkOtterFlood(b *testing.B) {
	keys := agents(100_000)
	c := otter.Must(&otter.Options[string, int]{MaximumSize: 8192})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := string(keys[i%len(keys)])
		if _, ok := c.GetIfPresent(k); !ok {
			c.Set(k, i)
		}
	}
}

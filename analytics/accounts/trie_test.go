package accounts

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// keyGen mixes counters with keys from the whole range, so that roots of every
// height occur.
func keyGen() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.Uint64Range(0, 70), rapid.Uint64Range(1000, 1100), rapid.Uint64(), rapid.Just(^uint64(0)))
}

func TestTrieDoesWhatAMapDoesAndOldTriesStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type snapshot struct {
			trie trie[int]
			want map[uint64]int
		}
		var now trie[int]
		want := map[uint64]int{}
		var kept []snapshot
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			key := keyGen().Draw(t, "key")
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 {
				if len(want) > 0 && rapid.Bool().Draw(t, "existing") {
					key = rapid.SampledFrom(slices.Sorted(maps.Keys(want))).Draw(t, "which")
				}
				now = now.delete(key)
				delete(want, key)
			} else {
				now = now.put(key, i)
				want[key] = i
			}
			if i%17 == 0 {
				kept = append(kept, snapshot{now, maps.Clone(want)})
			}
		}
		kept = append(kept, snapshot{now, want})
		for _, s := range kept {
			compareTrie(t, s.trie, s.want, keyGen().Draw(t, "low"))
		}
	})
}

func compareTrie(t *rapid.T, got trie[int], want map[uint64]int, low uint64) {
	if got.size != len(want) {
		t.Fatalf("size %d, want %d", got.size, len(want))
	}
	keys := slices.Sorted(maps.Keys(want))
	var seen []uint64
	for k, v := range got.from(0) {
		if want[k] != v {
			t.Fatalf("walk: key %d has %d, want %d", k, v, want[k])
		}
		seen = append(seen, k)
	}
	if !slices.Equal(seen, keys) {
		t.Fatalf("walk gives %v, want %v", seen, keys)
	}
	at, _ := slices.BinarySearch(keys, low)
	seen = nil
	for k := range got.from(low) {
		seen = append(seen, k)
	}
	if !slices.Equal(seen, keys[at:]) {
		t.Fatalf("walk from %d gives %v, want %v", low, seen, keys[at:])
	}
	end, there := slices.BinarySearch(keys, low)
	if there {
		end++
	}
	seen = nil
	for k := range got.down(low) {
		seen = append(seen, k)
	}
	back := slices.Clone(keys[:end])
	slices.Reverse(back)
	if !slices.Equal(seen, back) {
		t.Fatalf("walk down from %d gives %v, want %v", low, seen, back)
	}
	for _, k := range append(keys, low) {
		v, ok := got.get(k)
		if w, there := want[k]; ok != there || v != w {
			t.Fatalf("get %d: %d %v, want %d %v", k, v, ok, w, there)
		}
	}
}

func TestWalkOfTrieCanStop(t *testing.T) {
	var x trie[int]
	for i := range uint64(1000) {
		x = x.put(i*i, int(i))
	}
	n := 0
	for range x.from(50) {
		if n++; n == 10 {
			break
		}
	}
	for range x.down(5000) {
		if n++; n == 20 {
			break
		}
	}
	if n != 20 {
		t.Fatalf("walked %d entries", n)
	}
}

func TestIndexKeepsKeysWithTheSameHashApart(t *testing.T) {
	x := newDigestIndex[int]() // by the first eight bytes, which are the same
	words := []string{"samehash one", "samehash two", "samehash six", "samehash ten", "samehash four", "samehash five"}
	for i, w := range words {
		x = x.put(w, i)
	}
	before := x
	x = x.delete(words[1]).put(words[2], 66).delete("samehash none").delete(words[4]).delete(words[5])
	for i, w := range words {
		if v, ok := before.get([]byte(w)); !ok || v != i {
			t.Errorf("before: %s is %d %v, want %d", w, v, ok, i)
		}
	}
	for w, want := range map[string]int{words[0]: 0, words[2]: 66, words[3]: 3} {
		if v, ok := x.get([]byte(w)); !ok || v != want {
			t.Errorf("after: %s is %d %v, want %d", w, v, ok, want)
		}
	}
	for _, w := range []string{words[1], words[4], words[5], "samehash none"} {
		if _, ok := x.get([]byte(w)); ok {
			t.Errorf("after: %s is still there", w)
		}
	}
}

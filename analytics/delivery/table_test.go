package delivery

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"footfall/analytics/column"
)

// log decides on entries in order, giving them rising indexes with gaps.
type log struct {
	t     Table
	index uint64
}

func (l *log) put(edge uint64, epoch uint32, seq uint64, ms int64) Decision {
	l.index += 3
	return l.t.Decide(Entry{Index: l.index, Edge: edge, Epoch: epoch, Sequence: seq, Time: ms})
}

func TestDecisions(t *testing.T) {
	var l log
	for i, c := range []struct {
		edge  uint64
		epoch uint32
		seq   uint64
		want  Decision
	}{
		{1, 1, 2, Decision{Verdict: Gap, Expected: 1}}, // nothing is known yet
		{1, 1, 1, Decision{}},
		{1, 1, 1, Decision{Verdict: Duplicate}},
		{1, 1, 3, Decision{Verdict: Gap, Expected: 2, Epoch: 1}},
		{1, 1, 2, Decision{}},
		{1, 1, 3, Decision{}},
		{2, 9, 1, Decision{}},
		{1, 3, 2, Decision{Verdict: Gap, Expected: 1, Epoch: 1}}, // a new epoch begins at 1
		{1, 1, 4, Decision{}},                                    // and what was refused changed nothing
		{1, 3, 1, Decision{}},
		{1, 1, 5, Decision{Verdict: Fenced, Epoch: 3}},
		{1, 2, 1, Decision{Verdict: Fenced, Epoch: 3}},
		{1, 3, 1, Decision{Verdict: Duplicate}},
		{2, 9, 2, Decision{}},
		{1, 0, 77, Decision{}}, // not numbered: always
		{1, 0, 77, Decision{}},
	} {
		if got := l.put(c.edge, c.epoch, c.seq, 5); got != c.want {
			t.Fatalf("entry %d, edge %d epoch %d sequence %d: got %+v, want %+v", i, c.edge, c.epoch, c.seq, got, c.want)
		}
	}
	if l.t.Edges() != 2 || l.t.Index() != l.index {
		t.Fatalf("%d edges, index %d", l.t.Edges(), l.t.Index())
	}
}

func TestShardTimeNeverGoesBackAndOnlyCountedEntriesMoveIt(t *testing.T) {
	var l log
	for _, c := range []struct {
		seq  uint64
		ms   int64
		want int64
	}{{1, 1000, 1000}, {2, 400, 1000}, {9, 5000, 1000}, {2, 6000, 1000}, {3, 1500, 1500}} {
		if l.put(1, 1, c.seq, c.ms); l.t.Time() != c.want {
			t.Fatalf("after sequence %d at %d the time is %d, want %d", c.seq, c.ms, l.t.Time(), c.want)
		}
	}
}

func TestIdleEdgesAreForgottenByShardTime(t *testing.T) {
	var l log
	l.put(1, 1, 1, 0)
	l.put(2, 1, 1, column.DayMS)
	l.put(3, 1, 1, IdleDays*column.DayMS-1)
	if l.t.Edges() != 3 {
		t.Fatalf("%d edges after less than %d days", l.t.Edges(), IdleDays)
	}
	l.put(3, 1, 2, IdleDays*column.DayMS)
	if l.t.Edges() != 2 {
		t.Fatalf("%d edges, the first was silent for %d days", l.t.Edges(), IdleDays)
	}
	if got := l.put(1, 1, 2, 0); got.Verdict != Gap || got.Expected != 1 {
		t.Fatalf("a forgotten stream goes on: %+v", got)
	}
	if got := l.put(2, 1, 2, 0); got.Verdict != Apply {
		t.Fatalf("a stream that is known: %+v", got)
	}
}

func TestThereIsRoomForSoManyEdges(t *testing.T) {
	var l log
	for edge := range uint64(EdgesMax) {
		if got := l.put(edge, 1, 1, 0); got.Verdict != Apply {
			t.Fatal(edge, got)
		}
	}
	if got := l.put(EdgesMax, 1, 1, 0); got.Verdict != Full {
		t.Fatalf("one edge too many: %+v", got)
	}
	if got := l.put(7, 1, 2, 0); got.Verdict != Apply {
		t.Fatalf("a known edge: %+v", got)
	}
	if b := l.t.Encode(); len(b) > 400<<10 {
		t.Fatalf("%d bytes", len(b))
	}
}

// TestATableIsTheSameHoweverItCameAbout: kept as of any index and read back, it
// decides as the one that lived on, in the same bytes and with the same digest,
// and a copy is not touched.
func TestATableIsTheSameHoweverItCameAbout(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var a, b log
		for range 200 {
			ms := int64(r.IntN(60)) * column.DayMS
			edge, epoch, seq := r.Uint64N(5), uint32(r.IntN(4)), 1+r.Uint64N(6)
			clone := a.t.Clone()
			before := clone.Encode()
			if got, want := b.put(edge, epoch, seq, ms), a.put(edge, epoch, seq, ms); got != want {
				t.Fatalf("seed %d: got %+v, want %+v", seed, got, want)
			}
			if !bytes.Equal(clone.Encode(), before) {
				t.Fatalf("seed %d: a copy changed", seed)
			}
			if r.IntN(5) == 0 {
				decoded, err := Decode(b.t.Encode())
				if err != nil {
					t.Fatal(err)
				}
				b.t = *decoded
			}
			if r.IntN(5) == 0 {
				b.t = *b.t.Clone()
			}
			if !bytes.Equal(a.t.Encode(), b.t.Encode()) {
				t.Fatalf("seed %d: the bytes differ", seed)
			}
		}
	}
}

func TestTheDigestTellsLogsApart(t *testing.T) {
	base := func() *log {
		l := &log{}
		for seq := range uint64(100) {
			l.put(1, 1, seq+1, int64(seq))
		}
		return l
	}
	_, sum := base().t.Digest()
	changes := map[string]func(*log){
		"another time":       func(l *log) { l.put(1, 1, 101, 1) },
		"another sequence":   func(l *log) { l.put(1, 1, 100, 2) },
		"another edge":       func(l *log) { l.put(2, 1, 101, 2) },
		"another epoch":      func(l *log) { l.put(1, 2, 101, 2) },
		"another index":      func(l *log) { l.index++; l.put(1, 1, 101, 2) },
		"one entry less":     func(*log) {},
		"the expected entry": func(l *log) { l.put(1, 1, 101, 2) },
	}
	seen := map[uint64]string{}
	for what, change := range changes {
		l := base()
		change(l)
		_, got := l.t.Digest()
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same digest", what, other)
		}
		seen[got] = what
	}
	if seen[sum] != "one entry less" {
		t.Error("the digest is not repeatable")
	}
	l := base()
	for back := range uint64(pastDigest - 1) {
		at := l.index - 3*back
		var short log
		for seq := range at / 3 {
			short.put(1, 1, seq+1, int64(seq))
		}
		_, want := short.t.Digest()
		for _, index := range []uint64{at, at + 1} {
			if index > l.index {
				continue
			}
			if got, ok := l.t.DigestAt(index); !ok || got != want {
				t.Fatalf("as of %d: %x %v, want %x", index, got, ok, want)
			}
		}
	}
	if _, ok := l.t.DigestAt(1); ok {
		t.Error("a digest of long ago")
	}
	if _, ok := l.t.DigestAt(l.index + 1); ok {
		t.Error("a digest of what is yet to come")
	}
}

func TestDecidingCostsNoMemory(t *testing.T) {
	var l log
	for edge := range uint64(40) {
		l.put(edge, 1, 1, 0)
	}
	seq := uint64(1)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		for edge := range uint64(40) {
			l.put(edge, 1, seq, int64(seq))
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// sample is the table that testdata/format-1.hex holds.
func sample() *Table {
	var l log
	l.put(0xfeed, 3, 1, 1_772_353_800_000)
	l.put(5, 1, 1, 1_772_353_800_500)
	l.put(5, 1, 2, 1_772_353_799_000)
	l.put(5, 1, 9, 1_772_353_800_900)
	return &l.t
}

func TestTheFormatIsRead(t *testing.T) {
	text, err := os.ReadFile("testdata/format-1.hex")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(kept)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Encode(), kept) || !bytes.Equal(kept, sample().Encode()) {
		t.Fatalf("the format changed: %x", sample().Encode())
	}
	if got.Time() != 1_772_353_800_500 || got.Index() != 12 || got.Edges() != 2 {
		t.Fatalf("%+v", got)
	}
	newer := append([]byte(nil), kept...)
	newer[0]++
	if _, err := Decode(newer); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "version 2") {
		t.Fatalf("a newer format: %v", err)
	}
}

func FuzzTable(f *testing.F) {
	f.Add(sample().Encode())
	f.Add((&Table{}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, cut := range []bool{false, true} {
			x := b
			if cut && len(b) > 4 { // past the checksum
				x = append([]byte(nil), b[:len(b)-4]...)
				x = appendSum(x)
			}
			got, err := Decode(x)
			if err != nil {
				continue
			}
			if !bytes.Equal(got.Encode(), x) {
				t.Fatal("a table is not what its bytes say")
			}
			got.Decide(Entry{Index: got.Index() + 1, Edge: 1, Epoch: 1, Sequence: 1})
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	var l log
	for i := 0; b.Loop(); i++ {
		l.put(1, 1, uint64(i+1), int64(i))
	}
}

package saltfile_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"footfall/persistence/saltfile"
)

func openShared(t *testing.T, path string) *saltfile.Shared {
	t.Helper()
	s, err := saltfile.OpenShared(path, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// give copies a salt from one node to another.
func give(t *testing.T, from, to *saltfile.Shared, p saltfile.Period, id saltfile.ID) {
	t.Helper()
	b, ok := from.Get(p, id)
	if !ok {
		t.Fatalf("no salt %x of %v", id, p)
	}
	if err := to.Put(p, id, b); err != nil {
		t.Fatal(err)
	}
}

func TestAllNodesUseTheChosenSalt(t *testing.T) {
	a, b := openShared(t, filepath.Join(t.TempDir(), "a")), openShared(t, filepath.Join(t.TempDir(), "b"))
	today := saltfile.PeriodOf(0, noon)
	if c, _ := a.At(noon); c != nil {
		t.Fatal("there is a salt that nobody chose")
	}
	ofA, err := a.Make(today)
	if err != nil {
		t.Fatal(err)
	}
	ofB, err := b.Make(today)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := a.Make(today); again != ofA || err != nil {
		t.Fatalf("a second salt was made: %x, %x, %v", ofA, again, err)
	}
	for _, s := range []*saltfile.Shared{a, b} {
		s.Choose(map[saltfile.Period]saltfile.ID{today: ofB})
	}
	if c, _ := a.At(noon); c != nil {
		t.Fatal("a node uses a salt that was not chosen")
	}
	if p, ids := a.Missing(noon); len(p) != 1 || p[0] != today || ids[0] != ofB {
		t.Fatalf("missing: %v %v", p, ids)
	}
	give(t, b, a, today, ofB)
	one, _ := a.At(noon)
	two, _ := b.At(noon)
	if one == nil || *one != *two {
		t.Fatalf("two nodes have %x and %x", one, two)
	}
	if p, _ := a.Missing(noon); p != nil {
		t.Fatalf("missing: %v", p)
	}
	if err := a.Put(today, ofB, [16]byte{1}); err == nil {
		t.Fatal("another salt under the same id was taken")
	}
}

func TestSharedSaltsTurnAndAreDestroyedInTime(t *testing.T) {
	for family := range saltfile.Families {
		path := filepath.Join(t.TempDir(), "salts")
		s := openShared(t, path)
		choices := map[saltfile.Period]saltfile.ID{}
		p := saltfile.PeriodOf(family, noon)
		for _, of := range []saltfile.Period{p, p.Next()} {
			id, err := s.Make(of)
			if err != nil {
				t.Fatal(err)
			}
			choices[of] = id
		}
		s.Choose(choices)
		at := func(ms int64) (current, previous *[16]byte) {
			switch family {
			case 0:
				return s.At(ms)
			case 1:
				return s.Weekly(ms)
			}
			return s.Monthly(ms)
		}
		turn := p.Next().Begins()
		first, _ := at(turn - 1)
		second, before := at(turn)
		if first == nil || second == nil || before == nil || *first == *second || *before != *first {
			t.Fatalf("family %d: %x, then %x after %x", family, first, second, before)
		}
		if late, _ := at(turn - 1); late == nil || *late != *first {
			t.Errorf("family %d: a call that read the clock before the turn gets %x", family, late)
		}
		if _, before = at(turn + day - 1); before == nil {
			t.Errorf("family %d: the salt before is gone within 24 hours of the turn", family)
		}
		if _, before = at(turn + day); before != nil {
			t.Errorf("family %d: the salt before is still offered after 24 hours", family)
		}
		gone := *first
		if err := s.Sweep(turn + day - 1); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(path); !bytes.Contains(b, gone[:]) {
			t.Errorf("family %d: the salt was destroyed too early", family)
		}
		if err := s.Sweep(turn + day); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(path); bytes.Contains(b, gone[:]) {
			t.Errorf("family %d: the salt is still there after its time", family)
		}
		s = openShared(t, path)
		s.Choose(choices)
		if current, _ := at(turn); current == nil || *current != *second {
			t.Errorf("family %d: after a restart the salt is %x, was %x", family, current, second)
		}
	}
}

func TestTheSaltsOfANodeThatWasAloneStayInForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	f := open(t, path)
	f.At(noon)
	second, first := f.At(noon + day)
	wanted, before := *second, *first
	week, _ := f.Weekly(noon + day)
	ofWeek := *week

	s := openShared(t, path)
	choices := map[saltfile.Period]saltfile.ID{}
	for _, p := range []saltfile.Period{saltfile.PeriodOf(0, noon), saltfile.PeriodOf(0, noon+day), saltfile.PeriodOf(1, noon+day)} {
		id, err := s.Make(p)
		if err != nil {
			t.Fatal(err)
		}
		choices[p] = id
	}
	s.Choose(choices)
	current, previous := s.At(noon + day)
	if current == nil || *current != wanted || previous == nil || *previous != before {
		t.Errorf("the salts of days are %x after %x, want %x after %x", current, previous, wanted, before)
	}
	if w, _ := s.Weekly(noon + day); w == nil || *w != ofWeek {
		t.Errorf("the salt of the week is %x, want %x", w, ofWeek)
	}
	// From the first new salt on, the file is a cluster's.
	if _, err := s.Make(saltfile.PeriodOf(2, noon)); err != nil {
		t.Fatal(err)
	}
	if _, err := saltfile.Open(path, rand.Reader); err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("opened by a node alone: %v", err)
	}
	if err := s.Sweep(noon + 400*day); err != nil {
		t.Fatal(err)
	}
	openShared(t, path) // an empty file
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := saltfile.OpenShared(path, rand.Reader); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestASharedSaltCostsNothing(t *testing.T) {
	s := openShared(t, filepath.Join(t.TempDir(), "salts"))
	p := saltfile.PeriodOf(0, noon)
	id, err := s.Make(p)
	if err != nil {
		t.Fatal(err)
	}
	s.Choose(map[saltfile.Period]saltfile.ID{p: id})
	if n := testing.AllocsPerRun(100, func() { s.At(noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

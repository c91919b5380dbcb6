package simulate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"footfall/persistence"
)

// TestACutTakesBackASuffixOfWhatWasNotSynced: after a power cut the disk is as
// after some commit not before the last synced one, and a range that was deleted
// since is back, record by record.
func TestACutTakesBackASuffixOfWhatWasNotSynced(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		s := newStore(rng)
		states := []string{picture(s)}
		synced := 0
		for range 1 + rng.IntN(12) {
			b := s.NewBatch()
			for range rng.IntN(5) {
				k := []byte(fmt.Sprint("k", rng.IntN(8)))
				switch rng.IntN(4) {
				case 0:
					b.Delete(k)
				case 1:
					b.DeleteRange(k, []byte(fmt.Sprint("k", rng.IntN(10))))
				default:
					b.Set(k, []byte(fmt.Sprint(rng.IntN(100))))
				}
			}
			sync := rng.IntN(4) == 0
			if err := s.Commit(b, sync); err != nil {
				t.Fatal(err)
			}
			states = append(states, picture(s))
			if sync {
				synced = len(states) - 1
			}
		}
		after := picture(s.cut())
		ok := false
		for _, want := range states[synced:] {
			ok = ok || after == want
		}
		if !ok {
			t.Fatalf("after a cut:\n%s\nstates since the sync: %q", after, states[synced:])
		}
		if err := s.Commit(s.NewBatch(), true); !errors.Is(err, errCut) {
			t.Fatalf("a disk without power takes a commit: %v", err)
		}
	}
}

func picture(s *store) (out string) {
	_ = s.Scan(nil, nil, func(k, v []byte) error { out += fmt.Sprintf("%s=%s ", k, v); return nil })
	return out
}

// TestAnInstallIsWholeOrNot, wherever the power goes, and a second try ends it.
func TestAnInstallIsWholeOrNot(t *testing.T) {
	for at := 1; at < 9; at++ {
		s := newStore(rand.New(rand.NewPCG(uint64(at), 3)))
		b := s.NewBatch()
		b.Set([]byte("a"), []byte("old"))
		b.Set([]byte("b"), []byte("old"))
		b.Set([]byte("z"), []byte("other"))
		if err := s.Commit(b, true); err != nil {
			t.Fatal(err)
		}
		s.cutAt = s.steps + at
		err := func() error {
			st, err := s.Stage("x")
			if err != nil {
				return err
			}
			for _, k := range []string{"b", "c"} {
				if err := st.Put([]byte(k), []byte("new")); err != nil {
					return err
				}
			}
			if err := st.Finish(); err != nil {
				return err
			}
			return s.Install("x", []byte("a"), []byte("d"))
		}()
		s = s.cut()
		names, _ := s.Staged()
		const before, after = "a=old b=old z=other ", "b=new c=new z=other "
		if got := picture(s); got != before && got != after || err == nil && got != after {
			t.Fatalf("cut at step %d (%v): %s", at, err, got)
		}
		if len(names) > 0 {
			if err := s.Install("x", []byte("a"), []byte("d")); err != nil {
				t.Fatal(err)
			}
			if got := picture(s); got != after {
				t.Fatalf("installed again after a cut at step %d: %s", at, got)
			}
		}
	}
}

// TestAViewStaysAsItWas whatever is committed after.
func TestAViewStaysAsItWas(t *testing.T) {
	s := newStore(rand.New(rand.NewPCG(1, 1)))
	set := func(v string) {
		b := s.NewBatch()
		b.Set([]byte("a"), []byte(v))
		if err := s.Commit(b, false); err != nil {
			t.Fatal(err)
		}
	}
	set("1")
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	set("2")
	if got, err := v.Get([]byte("a")); err != nil || string(got) != "1" {
		t.Fatalf("a view shows %q, %v", got, err)
	}
	if _, err := s.Get([]byte("b")); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatal(err)
	}
}

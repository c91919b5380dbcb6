package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"footfall/persistence"
)

// RunViews checks the promises of a store that is a persistence.Viewer.
func RunViews(t *testing.T, fresh func(t *testing.T) Medium) {
	run(t, fresh, []check{
		{"a view shows its moment", viewMoment},
		{"a view survives flushing writers", viewBusy},
		{"a view scans its range and stops at an error", viewScan},
		{"views of several moments stand beside each other", viewsApart},
		{"many read one view", viewShared},
	})
}

// RunStages checks the promises of a store that is a persistence.Stager, and of
// its views where both meet.
func RunStages(t *testing.T, fresh func(t *testing.T) Medium) {
	run(t, fresh, []check{
		{"an installed stage is all there is in its range", stageInstall},
		{"an empty stage empties its range", stageEmpty},
		{"a stage is not seen before it is installed", stageHidden},
		{"a view survives an installation", stageView},
		{"a stage takes rising keys only", stageOrder},
		{"a stage with a record outside the range changes nothing", stageOutside},
		{"an unfinished stage is never installed", stageUnfinished},
		{"a stage is gone once installed, unstaged or discarded", stageGone},
		{"a new stage discards the old one of its name", stageAgain},
		{"finished stages survive close and open, unfinished ones do not", stageReopen},
		{"a name that is no name is refused", stageNames},
		{"stages and commits in turns equal a plain map", stageOracle},
		{"commits beside an installation lose nothing", stageBusy},
	})
}

type check struct {
	name string
	run  func(*testing.T, Medium)
}

func run(t *testing.T, fresh func(t *testing.T) Medium, checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t)) })
	}
}

func view(t *testing.T, s persistence.Store) persistence.View {
	t.Helper()
	v, err := s.(persistence.Viewer).View()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func closeView(t *testing.T, v persistence.View) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

func viewMoment(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "a", "old")
	put(t, s, "gone", "old")
	v := view(t, s)
	defer closeView(t, v)
	put(t, s, "a", "new")
	put(t, s, "b", "new")
	b := s.NewBatch()
	b.DeleteRange([]byte("g"), []byte("h"))
	commit(t, s, b)
	for key, want := range map[string]string{"a": "old", "gone": "old"} {
		got, err := v.Get([]byte(key))
		if err != nil || string(got) != want {
			t.Errorf("view has %s = %q, %v; want %q", key, got, err, want)
		}
		for i := range got {
			got[i] = '!' // the caller's
		}
	}
	if got, err := v.Get([]byte("b")); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("view has b = %q, %v, which was written after it", got, err)
	}
	if got := keys(t, v, nil, nil); !slices.Contains(got, "gone=old") || slices.Contains(got, "b=new") {
		t.Errorf("view scans %q", got)
	}
	want(t, s, "a", "new")
}

// keys gives "key=value" of everything in a range, of a store or a view.
func keys(t *testing.T, s interface {
	Scan(from, to []byte, fn func(key, value []byte) error) error
}, from, to []byte) []string {
	t.Helper()
	var out []string
	if err := s.Scan(from, to, func(k, v []byte) error {
		out = append(out, string(k)+"="+string(v))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func viewBusy(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for i := range 200 {
		put(t, s, fmt.Sprintf("k%03d", i), "old")
	}
	v := view(t, s)
	defer closeView(t, v)
	for round := range 5 { // enough to make most stores rewrite what they have
		b := s.NewBatch()
		for i := range 200 {
			b.Set(fmt.Appendf(nil, "k%03d", i), []byte(strings.Repeat(fmt.Sprint(round), 20_000)))
		}
		commit(t, s, b)
	}
	got := keys(t, v, []byte("k"), []byte("l"))
	if len(got) != 200 {
		t.Fatalf("view has %d keys, want 200", len(got))
	}
	for i, kv := range got {
		if kv != fmt.Sprintf("k%03d=old", i) {
			t.Fatalf("view scans %.40q", kv)
		}
	}
}

func viewScan(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, k := range []string{"a", "b", "c", "d"} {
		put(t, s, k, "1")
	}
	v := view(t, s)
	defer closeView(t, v)
	if got := keys(t, v, []byte("b"), []byte("d")); !slices.Equal(got, []string{"b=1", "c=1"}) {
		t.Errorf("scan [b, d) gives %q", got)
	}
	stop, n := errors.New("stop"), 0
	err := v.Scan([]byte("a"), []byte("e"), func(_, _ []byte) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("scan goes on after the error: %d calls, %v", n, err)
	}
}

func viewsApart(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	var views []persistence.View
	for i := range 5 {
		put(t, s, "k", fmt.Sprint(i))
		views = append(views, view(t, s))
	}
	for _, i := range []int{3, 0, 4, 1, 2} {
		if got, err := views[i].Get([]byte("k")); err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("view %d has %q, %v", i, got, err)
		}
		closeView(t, views[i])
	}
}

func viewShared(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for i := range 100 {
		put(t, s, fmt.Sprintf("k%02d", i), "old")
	}
	v := view(t, s)
	defer closeView(t, v)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n := 0
			err := v.Scan([]byte("k"), []byte("l"), func(k, val []byte) error {
				n++
				got, err := v.Get(k)
				if err != nil || string(got) != "old" || string(val) != "old" {
					return fmt.Errorf("%q = %q and %q, %w", k, val, got, err)
				}
				return nil
			})
			if err != nil || n != 100 {
				t.Errorf("%d keys, %v", n, err)
			}
		})
	}
	for i := range 100 {
		put(t, s, fmt.Sprintf("k%02d", i), "new")
	}
	wg.Wait()
}

func stager(s persistence.Store) persistence.Stager { return s.(persistence.Stager) }

// staged makes a finished stage of key, value pairs.
func staged(t *testing.T, s persistence.Store, name string, kv ...string) {
	t.Helper()
	g := beginStage(t, s, name, kv...)
	if err := g.Finish(); err != nil {
		t.Fatal(err)
	}
}

func beginStage(t *testing.T, s persistence.Store, name string, kv ...string) persistence.Stage {
	t.Helper()
	g, err := stager(s).Stage(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(kv); i += 2 {
		if err := g.Put([]byte(kv[i]), []byte(kv[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func install(t *testing.T, s persistence.Store, name, from, to string) {
	t.Helper()
	if err := stager(s).Install(name, []byte(from), []byte(to)); err != nil {
		t.Fatal(err)
	}
}

func wantStaged(t *testing.T, s persistence.Store, want ...string) {
	t.Helper()
	if got, err := stager(s).Staged(); err != nil || !slices.Equal(got, want) {
		t.Errorf("staged %q, %v; want %q", got, err, want)
	}
}

func wantAll(t *testing.T, s persistence.Store, from, to string, want ...string) {
	t.Helper()
	if got := keys(t, s, []byte(from), []byte(to)); !slices.Equal(got, want) {
		t.Errorf("[%s, %s) holds %.200q, want %.200q", from, to, got, want)
	}
}

func stageInstall(t *testing.T, m Medium) {
	s := open(t, m)
	for _, k := range []string{"a", "k", "k1", "k5", "l", "z"} {
		put(t, s, k, "old")
	}
	staged(t, s, "one", "k", "new", "k2", "", "k5", "new")
	install(t, s, "one", "k", "l")
	for range 2 {
		wantAll(t, s, "a", "zz", "a=old", "k=new", "k2=", "k5=new", "l=old", "z=old")
		want(t, s, "k", "new")
		wantNone(t, s, "k1")
		closeStore(t, s)
		s = open(t, m)
	}
	put(t, s, "k1", "newer")
	b := s.NewBatch()
	b.Delete([]byte("k2"))
	commit(t, s, b)
	wantAll(t, s, "k", "l", "k=new", "k1=newer", "k5=new")
	closeStore(t, s)
}

func stageEmpty(t *testing.T, m Medium) {
	s := open(t, m)
	for _, k := range []string{"a", "k", "k1", "l"} {
		put(t, s, k, "old")
	}
	staged(t, s, "none")
	wantStaged(t, s, "none")
	install(t, s, "none", "k", "l")
	wantStaged(t, s)
	for range 2 {
		wantAll(t, s, "a", "z", "a=old", "l=old")
		closeStore(t, s)
		s = open(t, m)
	}
	closeStore(t, s)
}

func stageHidden(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "k1", "old")
	staged(t, s, "one", "k1", "new", "k2", "new")
	beginStage(t, s, "two", "k3", "new")
	wantAll(t, s, "a", "z", "k1=old")
}

func stageView(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for i := range 100 {
		put(t, s, fmt.Sprintf("k%02d", i), "old")
	}
	v := view(t, s)
	defer closeView(t, v)
	n := 0
	if err := v.Scan([]byte("k"), []byte("l"), func(k, val []byte) error {
		if n++; n == 10 {
			staged(t, s, "one", "k50", "new")
			install(t, s, "one", "k", "l")
		}
		if string(val) != "old" {
			return fmt.Errorf("%q = %q", k, val)
		}
		return nil
	}); err != nil || n != 100 {
		t.Errorf("a scan that an installation meets gives %d keys, %v", n, err)
	}
	if got := keys(t, v, []byte("k"), []byte("l")); len(got) != 100 || got[50] != "k50=old" {
		t.Errorf("view has %d keys after the installation, want the 100 of its moment", len(got))
	}
	if got, err := v.Get([]byte("k99")); err != nil || string(got) != "old" {
		t.Errorf("view has k99 = %q, %v", got, err)
	}
	wantAll(t, s, "k", "l", "k50=new")
}

func stageOrder(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, second := range []string{"b", "a", ""} {
		g := beginStage(t, s, "one", "b", "1")
		if err := g.Put([]byte(second), []byte("2")); err == nil {
			t.Errorf("%q is put behind %q", second, "b")
		}
		if err := g.Finish(); err == nil {
			t.Error("a stage is finished after an error")
		}
		if err := g.Discard(); err != nil {
			t.Error(err)
		}
	}
	g := beginStage(t, s, "one")
	key, value := []byte("k"), []byte("value")
	if err := g.Put(key, value); err != nil {
		t.Fatal(err)
	}
	copy(key, "x")
	copy(value, "xxxxx")
	if err := g.Put([]byte("l"), nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := g.Put([]byte("m"), nil); err == nil {
		t.Error("a finished stage takes records")
	}
	install(t, s, "one", "a", "z")
	wantAll(t, s, "a", "z", "k=value", "l=")
}

func stageOutside(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "k1", "old")
	for _, c := range []struct{ key, from, to string }{
		{"j", "k", "l"}, {"l", "k", "l"}, {"m", "k", "l"}, {"k", "k", "k"}, {"k", "l", "k"},
	} {
		staged(t, s, "one", c.key, "new")
		if err := stager(s).Install("one", []byte(c.from), []byte(c.to)); err == nil {
			t.Errorf("a stage with %q is installed in [%s, %s)", c.key, c.from, c.to)
		}
		wantStaged(t, s, "one")
		wantAll(t, s, "a", "z", "k1=old")
	}
	if err := stager(s).Install("one", []byte("k"), nil); err == nil {
		t.Error("a range without an end is accepted")
	}
	install(t, s, "one", "k", "l") // it is still whole
	wantAll(t, s, "a", "z", "k=new")
}

func stageUnfinished(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "k1", "old")
	g := beginStage(t, s, "one", "k2", "new")
	if err := stager(s).Install("one", []byte("k"), []byte("l")); err == nil {
		t.Error("an unfinished stage is installed")
	}
	wantStaged(t, s)
	if err := g.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := g.Finish(); err == nil {
		t.Error("a stage is finished twice")
	}
	install(t, s, "one", "k", "l")
	wantAll(t, s, "a", "z", "k2=new")
}

func stageGone(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	put(t, s, "k1", "old")
	staged(t, s, "one", "k1", "new")
	install(t, s, "one", "k", "l")
	put(t, s, "k1", "newer")
	install(t, s, "one", "k", "l") // gone: nothing happens
	wantAll(t, s, "a", "z", "k1=newer")

	g := beginStage(t, s, "two", "k1", "new")
	if err := g.Finish(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Discard(); err != nil {
			t.Error(err)
		}
	}
	staged(t, s, "three", "k1", "new")
	for range 2 {
		if err := stager(s).Unstage("three"); err != nil {
			t.Error(err)
		}
	}
	g = beginStage(t, s, "four", "k1", "new")
	if err := g.Discard(); err != nil {
		t.Error(err)
	}
	if err := g.Put([]byte("k2"), nil); err == nil {
		t.Error("a discarded stage takes records")
	}
	wantStaged(t, s)
	for _, name := range []string{"two", "three", "four", "never"} {
		install(t, s, name, "k", "l")
	}
	wantAll(t, s, "a", "z", "k1=newer")
}

func stageAgain(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	staged(t, s, "one", "k1", "first", "k2", "first")
	beginStage(t, s, "one", "k5", "left behind")
	wantStaged(t, s) // the finished one is gone already
	staged(t, s, "one", "k3", "second")
	install(t, s, "one", "k", "l")
	wantAll(t, s, "a", "z", "k3=second")
}

func stageReopen(t *testing.T, m Medium) {
	s := open(t, m)
	put(t, s, "k1", "old")
	staged(t, s, "b", "k1", "new")
	staged(t, s, "a-2", "k2", "new")
	if err := beginStage(t, s, "unfinished", "k3", "new").Put([]byte("k4"), nil); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, m)
	defer closeStore(t, s)
	wantStaged(t, s, "a-2", "b")
	install(t, s, "unfinished", "k", "l") // gone
	wantAll(t, s, "a", "z", "k1=old")
	install(t, s, "b", "k", "l")
	wantStaged(t, s, "a-2")
	wantAll(t, s, "a", "z", "k1=new")
}

func stageNames(t *testing.T, m Medium) {
	s := open(t, m)
	defer closeStore(t, s)
	for _, name := range []string{"", ".", "..", "a/b", "../x", "a b", "ä", "a.b", "a_b", strings.Repeat("a", 129)} {
		if g, err := stager(s).Stage(name); err == nil {
			t.Errorf("stage %q is made", name)
			if err := g.Discard(); err != nil {
				t.Error(err)
			}
		}
		if stager(s).Install(name, []byte("a"), []byte("b")) == nil || stager(s).Unstage(name) == nil {
			t.Errorf("stage %q is looked for", name)
		}
	}
	staged(t, s, "Group-7-"+strings.Repeat("9", 120))
}

// stageOracle compares with a map; a failure names the seed.
func stageOracle(t *testing.T, m Medium) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	s := open(t, m)
	model := map[string]string{}
	key := func(n int) []byte { return binary.BigEndian.AppendUint16([]byte{'o'}, uint16(n)) }
	for round := range 120 {
		from := rng.IntN(300)
		to := from + 1 + rng.IntN(100)
		switch rng.IntN(4) {
		case 0: // a stage
			var kv []string
			for n := from; n < to; n++ {
				if rng.IntN(3) > 0 {
					kv = append(kv, string(key(n)), fmt.Sprintf("s%d-%d", round, n))
				}
			}
			name := fmt.Sprintf("r%d", round)
			staged(t, s, name, kv...)
			if rng.IntN(4) == 0 {
				closeStore(t, s)
				s = open(t, m)
			}
			install(t, s, name, string(key(from)), string(key(to)))
			for n := from; n < to; n++ {
				delete(model, string(key(n)))
			}
			for i := 0; i < len(kv); i += 2 {
				model[kv[i]] = kv[i+1]
			}
		case 1:
			b := s.NewBatch()
			b.DeleteRange(key(from), key(to))
			for n := from; n < to; n++ {
				delete(model, string(key(n)))
			}
			commit(t, s, b)
		default:
			b := s.NewBatch()
			for n := from; n < to; n++ {
				b.Set(key(n), fmt.Appendf(nil, "c%d-%d", round, n))
				model[string(key(n))] = fmt.Sprintf("c%d-%d", round, n)
			}
			if err := s.Commit(b, rng.IntN(2) == 0); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(5) == 0 {
			compare(t, s, model, fmt.Sprintf("seed %d round %d", seed, round))
		}
	}
	compare(t, s, model, fmt.Sprintf("seed %d at the end", seed))
	closeStore(t, s)
}

func stageBusy(t *testing.T, m Medium) {
	s := open(t, m)
	const rounds, each = 10, 50
	var wg sync.WaitGroup
	for _, side := range []string{"a", "z"} { // both sides of the range
		wg.Go(func() {
			for i := range rounds * each {
				b := s.NewBatch()
				b.Set(fmt.Appendf(nil, "%s%04d", side, i), []byte("v"))
				if err := s.Commit(b, i%10 == 0); err != nil {
					t.Errorf("writer %s: %v", side, err)
					return
				}
			}
		})
	}
	for i := range rounds {
		staged(t, s, "one", "k1", fmt.Sprint(i), fmt.Sprintf("k2-%d", i), "")
		install(t, s, "one", "k", "l")
		wantAll(t, s, "k", "l", fmt.Sprintf("k1=%d", i), fmt.Sprintf("k2-%d=", i))
	}
	wg.Wait()
	for range 2 {
		for _, side := range []string{"a", "z"} {
			if got := keys(t, s, []byte(side), []byte(side+"~")); len(got) != rounds*each {
				t.Errorf("writer %s left %d records, want %d", side, len(got), rounds*each)
			}
		}
		wantAll(t, s, "k", "l", fmt.Sprintf("k1=%d", rounds-1), fmt.Sprintf("k2-%d=", rounds-1))
		closeStore(t, s)
		s = open(t, m)
	}
	closeStore(t, s)
}

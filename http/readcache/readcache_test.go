package readcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"pgregory.net/rapid"

	"footfall/analytics"
	"footfall/analytics/query"
)

func TestAnAnswerIsComputedOncePerVersionOfItsData(t *testing.T) {
	f := open(t)
	past, today := question(0, dayLen), question(dayLen, 2*dayLen)
	f.source.view(1, 0)
	f.source.view(1, 1)

	first := f.ask(t, 1, past)
	f.counts(t, "first time", 1)
	if again := f.ask(t, 1, past); !reflect.DeepEqual(again, first) {
		t.Errorf("the second answer is %+v, the first was %+v", again, first)
	}
	f.counts(t, "again", 0)
	f.ask(t, 1, today)
	f.counts(t, "another range", 1)
	f.ask(t, 2, past)
	f.counts(t, "another site", 1)

	f.source.view(1, 1)
	if a := f.ask(t, 1, past); a.Index != 3 || !reflect.DeepEqual(a.Rows, first.Rows) {
		t.Errorf("after a view of another day: %+v as of %d, want the rows of before as of 3", a.Rows, a.Index)
	}
	f.counts(t, "a closed day after a view of today", 0)
	want := answerTo(today, 1, 3, 3)
	if a := f.ask(t, 1, today); !reflect.DeepEqual(a, want) {
		t.Errorf("today after a view: %+v, want %+v", a, want)
	}
	f.counts(t, "today after a view", 1)
	later := *past
	later.Now++
	f.ask(t, 1, &later)
	f.counts(t, "the same at another time", 0)
}

// What a door does with its answer, sorting or cutting rows, must not be seen by
// the next one.
func TestAnAnswerBelongsToItsCaller(t *testing.T) {
	f := open(t)
	f.source.view(1, 0)
	var q *query.Question
	for limit := 1; q == nil; limit++ { // one that has rows and a warning
		try := question(0, dayLen)
		try.Limit = limit
		if a := answerTo(try, 1, 1, 1); len(a.Rows) > 1 && a.Warnings != nil {
			q = try
		}
	}
	want := answerTo(q, 1, 1, 1)
	for range 3 {
		a := f.ask(t, 1, q)
		if !reflect.DeepEqual(a, want) {
			t.Fatalf("%+v, want %+v", a, want)
		}
		a.Rows[0].Values[0].Number, a.Rows[0].Dims[0] = -1, "changed"
		a.Rows[0].Dims = append(a.Rows[0].Dims, "more")
		a.Warnings["visits"] = query.Warning{}
		a.Rows = a.Rows[:1]
	}
}

// Whatever happens in whatever order, an answer from the cache is the one that
// the source would give, for every question.
func TestCachedAnswersAreFreshOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := newSites()
		c := New(Options{Source: source, Bytes: 1})
		defer c.Close()
		questions := rapid.SliceOfN(rapid.Custom(drawQuestion), 1, 5).Draw(t, "questions")
		seen := map[int]uint64{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			site := analytics.SiteID(rapid.IntRange(1, 2).Draw(t, "site"))
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				source.view(site, rapid.IntRange(0, daysMax-1).Draw(t, "day"))
			case 1:
				source.elsewhere()
			default:
				i := rapid.IntRange(0, len(questions)-1).Draw(t, "question")
				after := analytics.Token{Index: source.index}
				got, err := c.Ask(context.Background(), site, questions[i], after)
				if err != nil {
					t.Fatal(err)
				}
				want, err := source.Ask(context.Background(), site, questions[i], after)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("question %+v: %+v, want %+v", questions[i], got, want)
				}
				if got.Index < seen[i] {
					t.Fatalf("as of %d after %d", got.Index, seen[i])
				}
				seen[i] = got.Index
			}
		}
	})
}

func drawQuestion(t *rapid.T) *query.Question {
	from := rapid.Int64Range(0, daysMax*dayLen).Draw(t, "from")
	q := question(from, from+rapid.Int64Range(0, 2*dayLen).Draw(t, "length"))
	names := []query.Dimension{query.EventPage, query.Source, query.TimeDay}
	q.Dimensions = rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[query.Dimension]).Draw(t, "dimensions")
	q.Limit, q.Offset = rapid.IntRange(0, 2).Draw(t, "limit"), rapid.IntRange(0, 1).Draw(t, "offset")
	q.Lasting = rapid.Bool().Draw(t, "lasting")
	for _, m := range rapid.SliceOfN(rapid.SampledFrom([]query.Metric{query.Visits, query.Pageviews}), 0, 2).Draw(t, "metrics") {
		q.Metrics = append(q.Metrics, m)
	}
	if rapid.Bool().Draw(t, "filtered") {
		q.Filter = &query.Filter{Op: query.Is, Dim: query.Country, Values: rapid.SliceOf(rapid.StringN(0, 3, -1)).Draw(t, "values")}
	}
	return q
}

// An answer whose data changed while it was computed may be of either version.
// It is given, with its own index, and not kept under the version that has gone.
func TestAnAnswerOvertakenByAViewIsNotKept(t *testing.T) {
	f := open(t)
	f.source.view(1, 0)
	q := question(0, dayLen)
	f.source.entered, f.source.proceed = make(chan struct{}), make(chan struct{})
	got := make(chan *query.Answer)
	go func() { got <- f.ask(t, 1, q) }()
	<-f.source.entered
	f.source.view(1, 0)
	close(f.source.proceed)
	if a := <-got; !reflect.DeepEqual(a, answerTo(q, 1, 2, 2)) {
		t.Errorf("answer %+v, want the later version's as of 2", a)
	}
	if n := f.store.stats().EntriesCount; n != 0 {
		t.Errorf("%d answers are kept", n)
	}
	if n := f.count.unsettled.Get(); n != 1 {
		t.Errorf("%d answers not kept for that reason, want 1", n)
	}
}

func TestATokenIsWaitedForOrRefused(t *testing.T) {
	f := open(t)
	f.source.view(1, 0)
	q := question(0, dayLen)
	f.ask(t, 1, q)
	_, err := f.Ask(context.Background(), 1, q, analytics.Token{Index: 2})
	if analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("error %v for a state that is not here, want unavailable", err)
	}
}

func TestAnErrorIsNotKept(t *testing.T) {
	f := open(t)
	f.source.fail = analytics.Errorf(analytics.TooLarge, "dimensions: too many rows")
	q := question(0, dayLen)
	for range 2 {
		if _, err := f.Ask(context.Background(), 1, q, analytics.Token{}); !errors.Is(err, f.source.fail) {
			t.Errorf("error %v, want %v", err, f.source.fail)
		}
	}
	f.counts(t, "failing twice", 2)
	f.source.fail = nil
	f.ask(t, 1, q)
	f.ask(t, 1, q)
	f.counts(t, "then working", 1)
	boom := errors.New("boom")
	for range 2 {
		_, _, hit, err := f.Bytes(context.Background(), 1, 0, dayLen, analytics.Token{}, []byte("k"), func(context.Context) ([]byte, error) { return nil, boom })
		if !errors.Is(err, boom) || hit {
			t.Errorf("error %v, hit %t, want boom", err, hit)
		}
	}
}

func TestBodiesAreKeptByKeyRangeSiteAndVersion(t *testing.T) {
	f := open(t)
	f.source.view(1, 0)
	made := 0
	get := func(site analytics.SiteID, from, to int64, key string) (string, uint64, bool) {
		t.Helper()
		body, index, hit, err := f.Bytes(context.Background(), site, from, to, analytics.Token{}, []byte(key), func(context.Context) ([]byte, error) {
			made++
			return []byte(strings.Repeat("x", made-1)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(body), index, hit
	}
	for _, c := range []struct {
		name     string
		site     analytics.SiteID
		from, to int64
		key      string
		hit      bool
	}{
		{"first, an empty body", 1, 0, dayLen, "a", false},
		{"again", 1, 0, dayLen, "a", true},
		{"another key", 1, 0, dayLen, "b", false},
		{"another range", 1, 0, dayLen + 1, "a", false},
		{"another site", 2, 0, dayLen, "a", false},
		{"again after the others", 1, 0, dayLen, "a", true},
	} {
		before := made
		body, _, hit := get(c.site, c.from, c.to, c.key)
		if hit != c.hit || made > before == hit {
			t.Errorf("%s: hit %t and made %t, want hit %t", c.name, hit, made > before, c.hit)
		}
		if hit && body != "" {
			t.Errorf("%s: %q, want the empty body that was made first", c.name, body)
		}
	}
	f.source.elsewhere()
	if _, index, hit := get(1, 0, dayLen, "a"); !hit || index != 2 {
		t.Errorf("after a view of another site: hit %t as of %d, want a hit as of 2", hit, index)
	}
	f.source.view(1, 0)
	if _, index, hit := get(1, 0, dayLen, "a"); hit || index != 3 {
		t.Errorf("after a view: hit %t as of %d, want a new body as of 3", hit, index)
	}
}

// A body handed out twice is two pieces of memory.
func TestABodyFromTheCacheCanBeChanged(t *testing.T) {
	f := open(t)
	get := func() []byte {
		body, _, _, err := f.Bytes(context.Background(), 1, 0, 1, analytics.Token{}, nil, func(context.Context) ([]byte, error) { return []byte("body"), nil })
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	get()
	copy(get(), "xxxx")
	if body := get(); string(body) != "body" {
		t.Errorf("%q, want body", body)
	}
}

func TestLargeAnswersAreKeptUpToABound(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		kept bool
	}{
		{"in one piece", 50 << 10, true},
		{"the largest in one piece", smallBytesMax - 100, true},
		{"in pieces", 100 << 10, true},
		{"many pieces", 900 << 10, true},
		{"too large", entryBytesMax, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, func(o *Options) { o.Bytes = 512 << 20 }) // room for every piece
			body := bytes.Repeat([]byte("0123456789abcde\n"), c.size/16)
			make := func(context.Context) ([]byte, error) { return body, nil }
			for i := range 2 {
				got, _, hit, err := f.Bytes(context.Background(), 1, 0, 1, analytics.Token{}, []byte("large"), make)
				if err != nil || !bytes.Equal(got, body) || hit != (c.kept && i == 1) {
					t.Errorf("call %d: %d bytes, hit %t, %v", i, len(got), hit, err)
				}
			}
			if n := f.count.tooLarge.Get(); (n == 0) != c.kept {
				t.Errorf("%d not kept as too large", n)
			}
		})
	}
}

func TestAnAnswerTooLargeToKeepIsGivenAllTheSame(t *testing.T) {
	f := open(t)
	source := &wide{sites: f.source}
	f.Cache.source = source
	for range 2 {
		if a := f.ask(t, 1, question(0, 1)); len(a.Rows) != 1<<20 {
			t.Fatalf("%d rows", len(a.Rows))
		}
	}
	if n := f.count.tooLarge.Get(); n != 2 {
		t.Errorf("%d answers too large, want 2", n)
	}
}

// wide answers with a million rows.
type wide struct{ *sites }

func (w *wide) Ask(context.Context, analytics.SiteID, *query.Question, analytics.Token) (*query.Answer, error) {
	return &query.Answer{Rows: make([]query.Row, 1<<20)}, nil
}

func TestMemoryIsBoundedAndOldAnswersLeave(t *testing.T) {
	f := open(t)
	const bound = 32 << 20 // the least there is
	body := bytes.Repeat([]byte("x"), 20<<10)
	for i := range 4 * bound / len(body) {
		_, _, _, err := f.Bytes(context.Background(), 1, 0, 1, analytics.Token{}, fmt.Append(nil, i), func(context.Context) ([]byte, error) { return body, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	stats := f.store.stats()
	if stats.BytesSize > bound || stats.BytesSize < bound/2 || stats.EvictedBytes == 0 {
		t.Errorf("%d bytes held, %d evicted; the bound is %d", stats.BytesSize, stats.EvictedBytes, bound)
	}
}

func TestNothingIsTakenBeforeItIsNeededNorAfterClose(t *testing.T) {
	f := open(t)
	if f.store.cache != nil {
		t.Error("a cache that keeps nothing holds memory")
	}
	q := question(0, 1)
	f.ask(t, 1, q)
	if f.store.stats().EntriesCount != 1 {
		t.Error("an answer is not kept")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.counts(t, "before close", 1)
	for range 2 {
		f.ask(t, 1, q)
		if body, _, hit, err := f.Bytes(context.Background(), 1, 0, 1, analytics.Token{}, nil, func(context.Context) ([]byte, error) { return []byte("b"), nil }); string(body) != "b" || hit || err != nil {
			t.Errorf("%q %t %v after close", body, hit, err)
		}
	}
	f.counts(t, "after close", 2)
	if f.store.cache != nil {
		t.Error("a closed cache holds memory")
	}
}

func TestTheMetricsTellWhatHappened(t *testing.T) {
	set := metrics.NewSet()
	f := open(t, func(o *Options) { o.Metrics = set })
	for range 3 {
		f.ask(t, 1, question(0, 1))
	}
	var out strings.Builder
	set.WritePrometheus(&out)
	for _, want := range []string{"footfall_read_cache_hits_total 2", "footfall_read_cache_misses_total 1", "footfall_read_cache_shared_total 0",
		"footfall_read_cache_entries 1", "footfall_read_cache_bytes 65536", "footfall_read_cache_bytes_max 33554432", "footfall_read_cache_evicted_bytes_total 0",
		`footfall_read_cache_not_kept_total{reason="changed"} 0`, `footfall_read_cache_not_kept_total{reason="too_large"} 0`, "footfall_read_cache_panics_total 0"} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// Many readers beside many views: an answer is never older than what its reader
// saw before, nor than the last view before the question.
func TestReadersBesideViewsNeverGoBack(t *testing.T) {
	f := open(t)
	questions := []*query.Question{question(0, dayLen), question(0, 2*dayLen), question(dayLen, 2*dayLen)}
	stop := make(chan struct{})
	var views, readers sync.WaitGroup
	views.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				f.source.view(1, i/50%2)
			}
		}
	})
	for r := range 4 {
		readers.Go(func() {
			var last uint64
			for i := range 500 {
				q := questions[(i+r)%len(questions)]
				_, index, err := f.source.Version(context.Background(), 1, q.From, q.To, analytics.Token{})
				if err != nil {
					t.Error(err)
					return
				}
				a, err := f.Ask(context.Background(), 1, q, analytics.Token{Index: index})
				if err != nil {
					t.Error(err)
					return
				}
				if a.Index < index || a.Index < last {
					t.Errorf("as of %d after %d, with token %d", a.Index, last, index)
				}
				last = a.Index
			}
		})
	}
	readers.Wait()
	close(stop)
	views.Wait()
}

func BenchmarkHit(b *testing.B) {
	for _, rows := range []int{1, 30, 1000} {
		b.Run(fmt.Sprint(rows, " rows"), func(b *testing.B) {
			f := open(b)
			f.Cache.source = &sized{f.source, rows}
			q := question(0, dayLen)
			q.Dimensions = []query.Dimension{query.EventPage}
			q.Zone = mustZone("Europe/Berlin")
			q.Filter = &query.Filter{Op: query.Is, Dim: query.Country, Values: []string{"DE", "AT", "CH"}}
			f.ask(b, 1, q)
			b.ReportAllocs()
			for b.Loop() {
				f.ask(b, 1, q)
			}
			if f.count.misses.Get() != 1 {
				b.Fatal("not all were hits")
			}
		})
	}
}

// sized answers with so many rows of a page and three figures.
type sized struct {
	*sites
	rows int
}

func (s *sized) Ask(context.Context, analytics.SiteID, *query.Question, analytics.Token) (*query.Answer, error) {
	a := &query.Answer{TotalRows: s.rows}
	for i := range s.rows {
		a.Rows = append(a.Rows, query.Row{Dims: []string{fmt.Sprint("/products/", i)}, Values: []query.Value{{Number: float64(i)}, {Number: float64(i) / 3}, {Number: 7}}})
	}
	return a, nil
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

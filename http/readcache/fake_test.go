package readcache

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/analytics/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sites is a Source whose answers are a function of the question and of how
// often each day it covers has changed. A day is 100 ms long.
type sites struct {
	mu    sync.Mutex
	index uint64
	days  map[analytics.SiteID]*[daysMax]uint64 // index of the last change

	asked    atomic.Int64
	entered  chan struct{} // if set, hears of every question and
	proceed  chan struct{} // lets it go on
	fail     error
	noAnswer func() // panics, say
}

const (
	daysMax = 4
	dayLen  = 100
)

func newSites() *sites {
	s := &sites{days: map[analytics.SiteID]*[daysMax]uint64{}}
	for id := analytics.SiteID(1); id <= 3; id++ {
		s.days[id] = &[daysMax]uint64{}
	}
	return s
}

// view counts something on a day of a site.
func (s *sites) view(site analytics.SiteID, day int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
	s.days[site][day] = s.index
}

// elsewhere lets the log go on without a change of any site.
func (s *sites) elsewhere() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
}

func (s *sites) Version(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token) (version, index uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if after.Index > s.index {
		return 0, 0, analytics.Errorf(analytics.Unavailable, "token: not here yet")
	}
	return s.versionLocked(site, from, to), s.index, nil
}

func (s *sites) versionLocked(site analytics.SiteID, from, to int64) (version uint64) {
	for day, changed := range s.days[site] {
		if int64(day)*dayLen < to && int64(day+1)*dayLen > from {
			version = max(version, changed)
		}
	}
	return version
}

func (s *sites) Ask(ctx context.Context, site analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	s.asked.Add(1)
	if s.entered != nil {
		s.entered <- struct{}{}
		select {
		case <-s.proceed:
		case <-ctx.Done():
			return nil, fmt.Errorf("ask site %d: %w", site, ctx.Err())
		}
	}
	if s.noAnswer != nil {
		s.noAnswer()
	}
	if s.fail != nil {
		return nil, s.fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return answerTo(q, site, s.versionLocked(site, q.From, q.To), s.index), nil
}

// answerTo makes up rows that depend on everything that may change them.
func answerTo(q *query.Question, site analytics.SiteID, version, index uint64) *query.Answer {
	h := fnv.New64a()
	_, _ = h.Write(appendQuestion(nil, q))
	seed := h.Sum64() ^ uint64(site)<<32 ^ version
	a := &query.Answer{TotalRows: int(seed % 5), Index: index, Rows: []query.Row{}}
	for range a.TotalRows {
		seed = seed*0x9e3779b97f4a7c15 + 1
		a.Rows = append(a.Rows, query.Row{Dims: []string{fmt.Sprint("/", seed%97), ""},
			Values: []query.Value{{Number: float64(version)}, {Number: float64(seed%1000) / 7}, {Null: seed%3 == 0, Currency: "EUR"}}})
	}
	if seed%2 == 0 {
		a.Warnings = map[query.Metric]query.Warning{"total_revenue": {Code: "none", Text: fmt.Sprint(seed)}}
	}
	return a
}

func question(from, to int64) *query.Question {
	return &query.Question{From: from, To: to, Zone: time.UTC, Metrics: []query.Metric{query.Visitors}, Now: 1}
}

type fixture struct {
	*Cache
	source *sites
	set    *metrics.Set
}

func open(t testing.TB, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{source: newSites(), set: metrics.NewSet()}
	opts := Options{Source: f.source, Metrics: f.set, Bytes: 1}
	for _, c := range change {
		c(&opts)
	}
	f.Cache = New(opts)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) ask(t testing.TB, site analytics.SiteID, q *query.Question) *query.Answer {
	t.Helper()
	a, err := f.Ask(context.Background(), site, q, analytics.Token{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// counts checks how often the source was asked since the last time.
func (f *fixture) counts(t testing.TB, what string, want int64) {
	t.Helper()
	if got := f.source.asked.Swap(0); got != want {
		t.Errorf("%s: the source was asked %d times, want %d", what, got, want)
	}
}

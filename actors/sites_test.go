package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// memoryLog is a log that keeps its entries and forgets them when it may.
type memoryLog struct {
	mu      sync.Mutex
	entries map[uint16][]logEntry
}

type logEntry struct {
	index uint64
	data  []byte
}

func (l *memoryLog) Persisted(persistence.Batch, uint16, uint64) {}

func (l *memoryLog) Truncated(shard uint16, index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.entries[shard][:0:0]
	for _, e := range l.entries[shard] {
		if e.index > index {
			kept = append(kept, e)
		}
	}
	l.entries[shard] = kept
}

func (l *memoryLog) append(shard uint16, index uint64, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[shard] = append(l.entries[shard], logEntry{index, data})
}

func openSites(t *testing.T, store persistence.Store, log *memoryLog) *Sites {
	t.Helper()
	return New(Config{Store: store, Log: log, Shards: 4, Logger: slog.New(slog.DiscardHandler), Clock: time.Now, CacheBytes: 1 << 20})
}

func openStore(t *testing.T, dir string) persistence.Store {
	t.Helper()
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const morning = int64(1_772_353_800_000) // 1 March 2026, 08:30 UTC

func view(site analytics.SiteID, id, visitor uint64, at int64, page string) (analytics.SiteID, *analytics.Event) {
	return site, &analytics.Event{Time: at, ID: id, Visitor: visitor, Page: page, Host: "a.test", ScrollDepth: analytics.ScrollNone}
}

func pageviews(t *testing.T, s *Sites, shard uint16, id analytics.SiteID) int {
	t.Helper()
	a, err := s.Ask(context.Background(), shard, id, &query.Question{From: morning - 1e9, To: morning + 1e9, Zone: time.UTC, Metrics: []query.Metric{query.Pageviews}})
	if err != nil {
		t.Fatal(err)
	}
	return int(a.Rows[0].Values[0].Number)
}

func TestEveryViewIsCountedOnceThroughFlushPassivationAndReplay(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	log := &memoryLog{entries: map[uint16][]logEntry{}}
	s := openSites(t, store, log)
	const sitesCount, rounds, perRound = 5, 60, 40
	want := map[analytics.SiteID]int{}
	id := uint64(0)
	index := uint64(0)
	for round := range rounds {
		index++
		buf := make([]byte, entry.HeaderLen)
		entry.PutHeader(buf, morning+int64(round)*60_000, 1, 0, index)
		for i := range perRound {
			id++
			site := analytics.SiteID(i%sitesCount + 1)
			sid, ev := view(site, id, uint64(i), morning+int64(round)*60_000, fmt.Sprintf("/%d", i%7))
			buf = entry.AppendEvent(buf, sid, ev)
			want[site]++
			if i%10 == 0 { // sent twice
				buf = entry.AppendEvent(buf, sid, ev)
			}
		}
		done := make(chan delivery.Outcome, 1)
		log.append(2, index, buf)
		if err := s.Apply(2, index, buf, func(o delivery.Outcome) { done <- o }); err != nil {
			t.Fatal(err)
		}
		duplicates := 0
		for _, r := range (<-done).Reasons {
			if r == analytics.DropDuplicate {
				duplicates++
			}
		}
		if duplicates != perRound/10 {
			t.Fatalf("round %d: %d duplicates, want %d", round, duplicates, perRound/10)
		}
		switch round % 20 {
		case 7:
			if err := s.FlushAll(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 13:
			if err := s.FlushAll(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.shards[2].mu.Lock()
			for _, r := range s.shards[2].sites {
				r.used = time.Time{} // long ago
			}
			s.shards[2].mu.Unlock()
			s.passivate()
			if n := s.Resident(); n != 0 {
				t.Fatalf("%d idle sites are still in memory", n)
			}
		case 17: // the process dies: actors are gone, the log is replayed
			s = openSites(t, store, log)
			log.mu.Lock()
			tail := append([]logEntry(nil), log.entries[2]...)
			log.mu.Unlock()
			if len(tail) == 0 || len(tail) == int(index) {
				t.Fatalf("the log holds %d of %d entries: the flush let nothing or all go", len(tail), index)
			}
			for _, e := range tail {
				if err := s.Apply(2, e.index, e.data, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for site, n := range want {
			if round%5 == 0 {
				if got := pageviews(t, s, 2, site); got != n {
					t.Fatalf("round %d: site %d has %d page views, want %d", round, site, got, n)
				}
			}
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir)
	defer store.Close()
	s = openSites(t, store, log)
	for site, n := range want {
		if got := pageviews(t, s, 2, site); got != n {
			t.Fatalf("after a restart site %d has %d page views, want %d", site, got, n)
		}
	}
}

func TestADamagedSiteIsQuarantinedAndItsLogKept(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	b := store.NewBatch()
	b.Set(persistence.SiteKey(1, 7, 0, 0, 0), []byte("not a header"))
	if err := store.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	log := &memoryLog{entries: map[uint16][]logEntry{}}
	s := openSites(t, store, log)
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, morning, 1, 0, 1)
	for _, site := range []analytics.SiteID{7, 8} {
		sid, ev := view(site, 5, 1, morning, "/")
		buf = entry.AppendEvent(buf, sid, ev)
	}
	log.append(1, 1, buf)
	got := make(chan delivery.Outcome, 1)
	if err := s.Apply(1, 1, buf, func(o delivery.Outcome) { got <- o }); err != nil {
		t.Fatal(err)
	}
	if r := (<-got).Reasons; r[0] != analytics.Undecided || r[1] != analytics.Counted {
		t.Fatalf("the views of a damaged and a sound site came out as %q", r)
	}
	if n := pageviews(t, s, 1, 8); n != 1 {
		t.Fatalf("the other site has %d page views, want 1", n)
	}
	if _, err := s.View(context.Background(), 1, 7); analytics.CodeOf(err) != analytics.Unavailable {
		t.Fatalf("a question about a damaged site gives %v", err)
	}
	if err := s.FlushAll(context.Background()); err == nil {
		t.Fatal("the flush said that the damaged site's records hold the log")
	}
	if len(log.entries[1]) != 1 {
		t.Fatal("the log of a damaged site was cut")
	}
	if s.Quarantined() != 1 {
		t.Fatalf("%d sites quarantined, want 1", s.Quarantined())
	}
	if err := s.Erase(context.Background(), 1, 7); err != nil {
		t.Fatal(err)
	}
	if err := s.FlushAll(context.Background()); err != nil {
		t.Fatalf("after the damaged site is erased: %v", err)
	}
	if len(log.entries[1]) != 0 {
		t.Fatal("the log is kept for a site that is gone")
	}
}

func TestASlowViewerHoldsUpNobodyAndSeesTheLastChange(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	s := openSites(t, store, &memoryLog{entries: map[uint16][]logEntry{}})
	changes, index, cancel := s.Subscribe(1)
	defer cancel()
	for i := uint64(1); i <= 50; i++ {
		buf := make([]byte, entry.HeaderLen)
		entry.PutHeader(buf, morning, 1, 0, i)
		sid, ev := view(1, i, 1, morning, "/")
		done := make(chan struct{})
		if err := s.Apply(0, i, entry.AppendEvent(buf, sid, ev), func(delivery.Outcome) { close(done) }); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	if pageviews(t, s, 0, 1) != 50 { // also waits for the last signal
		t.Fatal("views are missing")
	}
	<-changes
	if index() != 50 {
		t.Fatalf("the viewer sees change %d, want 50", index())
	}
}

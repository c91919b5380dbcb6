package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func site(domain string) *accounts.CreateSite {
	return &accounts.CreateSite{Domain: domain, Timezone: "UTC", Secret: accounts.Secret{7}}
}

func encode(t testing.TB, c *Control) []byte {
	t.Helper()
	b, err := c.View().Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAChangeIsInTheViewWhenDoReturns(t *testing.T) {
	c, _ := start(t, newMemory(), nil, Config{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			domain := fmt.Sprintf("shop%d.example", i)
			r, err := c.Do(soon(t), site(domain))
			if err != nil || r.Site.Domain != domain {
				t.Errorf("%s: %+v, %v", domain, r.Site, err)
			}
			if _, ok := c.Site([]byte(domain)); !ok {
				t.Errorf("%s is not in the view", domain)
			}
		})
	}
	wg.Wait()
}

func TestRefusalsReachTheCaller(t *testing.T) {
	c, l := start(t, newMemory(), nil, Config{})
	if _, err := c.Do(soon(t), site("a.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(soon(t), site("A.example")); analytics.CodeOf(err) != analytics.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	before := len(l.entries())
	for _, bad := range []accounts.Change{
		&accounts.CreateSite{Domain: "x y", Timezone: "UTC"},
		&accounts.CreateSite{Domain: "b.example", Timezone: "Mars/Olympus", Secret: accounts.Secret{1}},
		&accounts.UpdateSite{ID: 1, Timezone: new("Mars/Olympus")},
	} {
		if _, err := c.Do(soon(t), bad); analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%+v: %v, want Invalid", bad, err)
		}
	}
	if after := len(l.entries()); after != before {
		t.Errorf("%d entries in the log for changes that were wrong from the start", after-before)
	}
}

func TestWaitingChangesShareEntries(t *testing.T) {
	c, l := start(t, newMemory(), nil, Config{})
	l.hold.Lock()
	const n = 3 * entryCmdsMax / 2
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := c.Do(soon(t), site(fmt.Sprintf("s%d.example", i))); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "all changes are queued", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.waiting) == n
	})
	l.hold.Unlock()
	wg.Wait()
	if got := len(l.entries()); got > 4 { // one may have been taken before the rest came
		t.Errorf("%d entries for %d changes", got, n)
	}
	if got := c.View().SitesCount(); got != n {
		t.Errorf("%d sites, want %d", got, n)
	}
}

func TestAChangeGivenUpInTheQueueIsNotMade(t *testing.T) {
	c, err := Open(Config{Store: newMemory(), Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, site("a.example")); analytics.CodeOf(err) != analytics.Unavailable || errors.Is(err, errUnconfirmed) {
		t.Errorf("got %v", err)
	}
	if entry := c.Next(); entry != nil {
		t.Errorf("the host gets %q", entry)
	}
}

func TestAChangeGivenUpUnderWayIsReportedAsUncertain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var c *Control
	var entry []byte
	c, err := Open(Config{Store: newMemory(), Notify: func() { entry = c.Next(); cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, site("a.example")); !errors.Is(err, errUnconfirmed) {
		t.Errorf("got %v", err)
	}
	c.Apply(5, entry)
	if _, ok := c.Site([]byte("a.example")); !ok {
		t.Error("the change that was under way was not made")
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	c, err := Open(Config{Store: newMemory(), Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range queueMax {
		p := &pending{id: commandID{byte(i), byte(i >> 8), 1}}
		if err := c.register(p); err != nil {
			t.Fatal(err)
		}
		if _, err := c.enqueue(p, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Do(soon(t), site("a.example")); analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("got %v, want Overloaded", err)
	}
}

func TestStoppingAnswersWhoeverWaits(t *testing.T) {
	c, err := Open(Config{Store: newMemory(), Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := c.Do(soon(t), site("a.example"))
		got <- err
	}()
	until(t, "the change is queued", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-got; analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("got %v", err)
	}
	if _, err := c.Do(soon(t), site("b.example")); analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestFlushWritesWhatChangedAndNoMore(t *testing.T) {
	store := newMemory()
	c, _ := start(t, store, nil, Config{})
	for i := range 50 {
		if _, err := c.Do(soon(t), site(fmt.Sprintf("s%d.example", i))); err != nil {
			t.Fatal(err)
		}
	}
	flush := func() int {
		before := store.sets
		b := store.NewBatch()
		if index, err := c.Flush(b); err != nil || index != c.Applied() {
			t.Fatalf("flushed %d of %d: %v", index, c.Applied(), err)
		}
		if err := store.Commit(b, false); err != nil {
			t.Fatal(err)
		}
		return store.sets - before
	}
	if n := flush(); n != 50+50+3 { // the sites, the commands, the organisation, the counters, the head
		t.Errorf("first flush wrote %d records", n)
	}
	if n := flush(); n != 1 {
		t.Errorf("flush without change wrote %d records", n)
	}
	if _, err := c.Do(soon(t), &accounts.UpdateSite{ID: 3, Public: new(true)}); err != nil {
		t.Fatal(err)
	}
	if n := flush(); n != 4 {
		t.Errorf("flush of one change wrote %d records", n)
	}
}

func TestRestartLosesNothingWhereverTheLastFlushWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := newMemory()
		var log [][]byte
		var c *Control
		cfg := Config{Store: store, Clock: func() time.Time { return time.UnixMilli(1_800_000_000_000) }}
		cfg.Notify = func() {
			entry := c.Next()
			log = append(log, entry)
			c.Apply(indexOf(len(log)-1), entry)
		}
		open := func() {
			var err error
			if c, err = Open(cfg); err != nil {
				rt.Fatal(err)
			}
			for i, entry := range log {
				c.Apply(indexOf(i), entry)
			}
		}
		open()
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				b := store.NewBatch()
				if _, err := c.Flush(b); err != nil {
					rt.Fatal(err)
				}
				if err := store.Commit(b, false); err != nil {
					rt.Fatal(err)
				}
			case 1:
				want := encode(t, c)
				open()
				if got := encode(t, c); !bytes.Equal(got, want) {
					rt.Fatalf("after restart\n%q\nbefore\n%q", got, want)
				}
			case 2:
				_, _ = c.Do(t.Context(), &accounts.DeleteSite{ID: analytics.SiteID(rapid.IntRange(1, 20).Draw(rt, "site"))})
			default:
				if _, err := c.Do(t.Context(), site(fmt.Sprintf("s%d.example", i))); err != nil {
					rt.Fatal(err)
				}
			}
		}
	})
}

func TestAnEntryOfANewerReleaseIsFatalAndChangesNothing(t *testing.T) {
	var fatal []error
	c, err := Open(Config{Store: newMemory(), Notify: func() {}, Fatal: func(err error) { fatal = append(fatal, err) }})
	if err != nil {
		t.Fatal(err)
	}
	before := encode(t, c)
	good, err := accounts.Command{At: 1, Change: site("a.example")}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	entry := slices.Concat([]byte{entryVersion}, id, []byte{byte(len(good))}, good)
	newer := slices.Concat(entry, id, []byte{3}, []byte{99, 1, 1})
	for _, bad := range [][]byte{{2}, newer, entry[:len(entry)-1], entry[:10]} {
		c.Apply(7, bad)
	}
	if len(fatal) != 4 || !contains(fatal[0], "entry 7") || !contains(fatal[0], "not known") {
		t.Errorf("got %v", fatal)
	}
	if !bytes.Equal(encode(t, c), before) || c.Applied() != 0 {
		t.Error("the state changed")
	}
	c.Apply(8, entry)
	if _, ok := c.Site([]byte("a.example")); !ok {
		t.Error("a good entry is not applied")
	}
}

func FuzzEntry(f *testing.F) {
	good, err := accounts.Command{At: 1, Change: site("a.example")}.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Concat([]byte{entryVersion}, make([]byte, 16), []byte{byte(len(good))}, good))
	f.Add(sampleEntry(f))
	f.Add([]byte{entryVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		cmds, err := parseEntry(b)
		if err == nil && len(cmds) > len(b)/17 {
			t.Fatalf("%d commands out of %d bytes", len(cmds), len(b))
		}
	})
}

func TestAStoreOfANewerReleaseIsRefused(t *testing.T) {
	for name, kv := range map[string][2]string{
		"head":   {string(headKey()), "\x02\x00\x00\x00\x00\x00\x00\x00\x01"},
		"record": {string(recordKey(accounts.RefOrg, 1)), "\x02{}"},
		"key":    {string([]byte{5, 1, 1}), "\x01{}"},
	} {
		store := newMemory()
		store.data[string(headKey())] = []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01")
		store.data[kv[0]] = []byte(kv[1])
		if _, err := Open(Config{Store: store, Notify: func() {}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRemovedSitesAreReported(t *testing.T) {
	var gone []analytics.SiteID
	c, l := start(t, newMemory(), nil, Config{Removed: func(id analytics.SiteID) { gone = append(gone, id) }})
	r, err := c.Do(soon(t), site("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(soon(t), &accounts.DeleteSite{ID: r.Site.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(soon(t), site("b.example")); err != nil { // after this the report is out
		t.Fatal(err)
	}
	if !slices.Equal(gone, []analytics.SiteID{r.Site.ID}) {
		t.Errorf("reported %v", gone)
	}
	var replayed []analytics.SiteID
	start(t, newMemory(), l.entries(), Config{Removed: func(id analytics.SiteID) { replayed = append(replayed, id) }})
	if !slices.Equal(replayed, gone) {
		t.Errorf("replay reported %v", replayed)
	}
}

func TestSetupTokenIsOfferedAtEveryStartUntilThereIsAnOwner(t *testing.T) {
	c, l := start(t, newMemory(), nil, Config{})
	first, err := c.SetupToken(soon(t))
	if err != nil || len(first) != 43 {
		t.Fatalf("%q, %v", first, err)
	}
	for _, entry := range l.entries() {
		if bytes.Contains(entry, []byte(first)) {
			t.Error("the token itself is in the log")
		}
	}
	c, l = start(t, newMemory(), l.entries(), Config{})
	token, err := c.SetupToken(soon(t))
	if err != nil || token == first || token == "" {
		t.Fatalf("%q after %q, %v", token, first, err)
	}
	old, now := accounts.HashOf([]byte(first)), accounts.HashOf([]byte(token))
	if c.View().SetupOffered(&old) || !c.View().SetupOffered(&now) {
		t.Error("the old token still works, or the new one does not")
	}
	if _, err := c.Do(soon(t), &accounts.CreateUser{Email: "a@b.c", Role: accounts.Owner, PasswordHash: "x"}); err != nil {
		t.Fatal(err)
	}
	c, _ = start(t, newMemory(), l.entries(), Config{})
	if token, err := c.SetupToken(soon(t)); token != "" || err != nil {
		t.Errorf("%q, %v with an owner", token, err)
	}
}

func TestUseOfSessionsAndKeysIsNotedWithoutAnEntryEach(t *testing.T) {
	const hour = 3600_000
	var now atomic.Int64
	now.Store(1_800_000_000_000)
	begin := now.Load()
	c, l := start(t, newMemory(), nil, Config{Clock: func() time.Time { return time.UnixMilli(now.Load()) }, TouchInterval: time.Hour})
	u, err := c.Do(soon(t), &accounts.CreateUser{Email: "a@b.c", Role: accounts.Owner, PasswordHash: "x"})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := c.Do(soon(t), &accounts.OpenSession{User: u.User.ID, Hash: accounts.Hash{1}, Expires: begin + 300*hour})
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Do(soon(t), &accounts.CreateKey{Name: "k", Scopes: accounts.Scopes()[:1], Hash: accounts.Hash{2}})
	if err != nil {
		t.Fatal(err)
	}
	before := len(l.entries())
	// Used every 20 hours, though the log never heard of it, the session lives on.
	for i := range int64(5) {
		if !c.SessionUsed(opened.Session, begin+i*20*hour) {
			t.Fatalf("dead after %d hours", i*20)
		}
		c.KeyUsed(made.Key, begin+i*20*hour)
	}
	if c.SessionUsed(opened.Session, begin+(80+24)*hour) {
		t.Error("alive after a day without use")
	}
	if c.SessionUsed(opened.Session, begin+301*hour) {
		t.Error("alive after its end")
	}
	if n := len(l.entries()); n != before {
		t.Errorf("%d entries in the log", n-before)
	}
	if err := c.FlushTouches(soon(t)); err != nil {
		t.Fatal(err)
	}
	h := accounts.Hash{1}
	if n, _ := c.View().SessionByHash(&h); n.LastSeen != begin+80*hour {
		t.Errorf("last seen after %d hours", (n.LastSeen-begin)/hour)
	}
	if k, _ := c.View().Key(made.Key.ID); k.LastUsed != begin+80*hour {
		t.Errorf("last used after %d hours", (k.LastUsed-begin)/hour)
	}
	if err := c.FlushTouches(soon(t)); err != nil || len(l.entries()) != before+1 {
		t.Errorf("%d entries for one flush, %v", len(l.entries())-before, err)
	}
	now.Store(begin + 200*hour)
	if err := c.upkeep(soon(t), true); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.View().SessionByHash(&h); ok {
		t.Error("the dead session was not cleared away")
	}
}

func TestPasswords(t *testing.T) {
	c, _ := start(t, newMemory(), nil, Config{})
	hash, err := c.HashPassword(soon(t), "a fine long sentence")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		hash, password string
		want           bool
	}{{hash, "a fine long sentence", true}, {hash, "a fine long sentence ", false}, {hash, "", false}, {"", "a fine long sentence", false}, {"", "", false}} {
		if got, err := c.CheckPassword(soon(t), x.hash, x.password); err != nil || got != x.want {
			t.Errorf("%q: %v %v, want %v", x.password, got, err, x.want)
		}
	}
	if _, err := c.CheckPassword(soon(t), "nonsense", "x"); err == nil {
		t.Error("a damaged hash passes without error")
	}
	if p := newPasswords(PasswordCost{}); p.params.Memory != 64<<10 || cap(p.turns) != 2 {
		t.Errorf("default cost %+v, %d at a time", p.params, cap(p.turns))
	}
}

func TestHashingIsBounded(t *testing.T) {
	c, _ := start(t, newMemory(), nil, Config{Passwords: PasswordCost{Parallel: 1, WaitingMax: 3}})
	c.passwords.turns <- struct{}{} // somebody is hashing
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if ok, err := c.CheckPassword(soon(t), "", "x"); ok || err != nil {
				t.Errorf("%v %v", ok, err)
			}
		})
	}
	until(t, "three wait", func() bool { return c.passwords.waiting.Load() == 3 })
	if _, err := c.HashPassword(soon(t), "x"); analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("the fourth gets %v", err)
	}
	<-c.passwords.turns
	wg.Wait()
	c.passwords.turns <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.HashPassword(ctx, "x"); analytics.CodeOf(err) != analytics.Overloaded {
		t.Errorf("out of time: %v", err)
	}
	<-c.passwords.turns
}

func BenchmarkLoad(b *testing.B) {
	store := newMemory()
	c, err := Open(Config{Store: store, Notify: func() {}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		c.states.accounts.Apply(accounts.Command{At: 1, Change: site(fmt.Sprintf("shop%d.example", i))})
	}
	batch := store.NewBatch()
	if _, err := c.Flush(batch); err != nil {
		b.Fatal(err)
	}
	if err := store.Commit(batch, false); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Open(Config{Store: store, Notify: func() {}}); err != nil {
			b.Fatal(err)
		}
	}
}

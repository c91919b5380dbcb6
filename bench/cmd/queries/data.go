package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"footfall/bench/datadir"
	"footfall/bench/history"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

const (
	historyDays = 365
	ingestSites = 20 // the asked one is the first
	keptDaysMax = 30 // older histories are made anew
	dateForm    = "2006-01-02"
)

// dataset is a history as files: a data directory, the same events in the
// peers' files.
type dataset struct {
	dir   string
	views int
	end   time.Time // the day after the last
}

// options of the history of the asked site.
func (d dataset) options(seed uint64) history.Options {
	return history.Options{Seed: seed, Views: d.views, Days: historyDays, End: d.end, Host: traffic.Domain(0)}
}

// data is the node's data directory.
func (d dataset) data() string { return filepath.Join(d.dir, "data") }

// prepare finds the history of n views in the kept ones, or makes it. A history
// belongs to the generator's version, the seed and n, and ends a month ago at
// most.
func (r *run) prepare(n int) (dataset, error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	prefix := fmt.Sprintf("history-v%d-seed%d-%d-", history.Version, r.seed, n)
	found, err := filepath.Glob(filepath.Join(r.keep, prefix+"*-??"))
	if err != nil {
		return dataset{}, err
	}
	d := dataset{filepath.Join(r.keep, prefix+today.Format(dateForm)), n, today}
	for i := len(found) - 1; i >= 0; i-- { // the newest last
		end, err := time.Parse(dateForm, filepath.Base(found[i])[len(prefix):])
		if err == nil && today.Sub(end) <= keptDaysMax*24*time.Hour {
			d = dataset{found[i], n, end}
			break
		}
	}
	// Fresh data is made once in a run. The peers' files stay: their events are
	// the same.
	if _, err := os.Stat(d.data()); err == nil && (!r.fresh || r.made[d.dir]) {
		return d, nil
	}
	return d, r.make(d)
}

// make loads a history into a node's data directory, which has its name only
// when it is complete.
func (r *run) make(d dataset) error {
	partial := d.data() + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.RemoveAll(d.data()); err != nil {
		return err
	}
	dir, err := datadir.Open(partial)
	if err != nil {
		return err
	}
	start := time.Now()
	events := 0
	err = func() error {
		for i := range ingestSites {
			id, err := dir.CreateSite(traffic.Domain(i))
			if err != nil {
				return err
			}
			if i > 0 {
				continue
			}
			told := start
			if err := dir.Fill(r.ctx, id, history.NewWorld(r.seed).Generator(d.options(r.seed)), func(n int) {
				if events += n; time.Since(told) > 10*time.Second {
					told = time.Now()
					r.note("%d events in %.0f s", events, time.Since(start).Seconds())
				}
			}); err != nil {
				return err
			}
		}
		return nil
	}()
	if closed := dir.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("load %d views: %w", d.views, err)
	}
	r.note("loaded %d views, %d events, in %.1f s", d.views, events, time.Since(start).Seconds())
	r.made[d.dir] = true
	return os.Rename(partial, d.data())
}

// makeSites makes a data directory of n sites, of which the first active ones
// have viewsEach views over the last 30 days.
func (r *run) makeSites(to string, n, active, viewsEach int) error {
	dir, err := datadir.Open(to)
	if err != nil {
		return err
	}
	start := time.Now()
	err = r.fillSites(dir, n, active, viewsEach)
	if closed := dir.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("make %d sites: %w", n, err)
	}
	r.note("made %d sites, %d of them with %d views, in %.1f s", n, active, viewsEach, time.Since(start).Seconds())
	return nil
}

// makers is how many sites are made at a time; they share log entries.
const makers = 1024

func (r *run) fillSites(dir *datadir.Dir, n, active, viewsEach int) error {
	world, today := history.NewWorld(r.seed), time.Now()
	for i := range active {
		id, err := dir.CreateSite(traffic.Domain(i))
		if err != nil {
			return err
		}
		g := world.Generator(history.Options{Seed: r.seed + uint64(i), Views: viewsEach, Days: 30, End: today, Host: traffic.Domain(i)})
		if err := dir.Fill(r.ctx, id, g, func(int) {}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(active))
	var wg sync.WaitGroup
	for range makers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if _, err := dir.CreateSite(traffic.Domain(i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// copied gives a copy of a data directory for a node to change.
func copied(from string) (string, error) {
	to, err := os.MkdirTemp(filepath.Dir(from), "run-")
	if err != nil {
		return "", err
	}
	return to, os.CopyFS(to, os.DirFS(from))
}

// startCopy runs a node on a copy of a data directory; done ends it and removes
// the copy.
func (r *run) startCopy(from string) (n *node.Process, done func(), err error) {
	dir, err := copied(from)
	if err == nil {
		n, err = r.start(dir)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return n, func() { os.RemoveAll(dir) }, nil
}

func (r *run) start(dir string) (*node.Process, error) {
	return node.Start(r.binary, dir, "--api-keys-per-hour", "0")
}

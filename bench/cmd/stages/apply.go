package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/analytics/site"
	"footfall/bench/driver"
	"footfall/bench/traffic"
)

const (
	applyBatch    = 100     // views of one log entry of a busy site
	applyFlush    = 400_000 // views between two flushes: 64 MiB of log
	applyPerMilli = 5       // views a millisecond of log time
	applyEntries  = 512     // decoded ahead, so that decoding is not what is measured
)

// apply counts views of one site without log, HTTP and disk: decoded entries
// in, visits, columns, ids and records out.
func (r *report) apply(views int) error {
	r.printf("## Counting alone: decoded entries of %d views, one site, one core, records made every %d views\n\n", applyBatch, applyFlush)
	r.printf("| distinct paths, Zipf | µs of CPU per view | views/s per core | against 1,000 paths | goal |\n|---|---|---|---|---|\n")
	sizes := []int{1_000, 10_000, 100_000, 1_000_000}
	each := make([][]float64, len(sizes))
	for range r.rounds {
		for i, paths := range sizes {
			x, err := r.count(views, paths)
			if err != nil {
				return err
			}
			each[i] = append(each[i], x)
		}
	}
	base := 0.0
	for i, paths := range sizes {
		slices.Sort(each[i])
		x := each[i][len(each[i])/2]
		if i == 0 {
			base = x
		}
		r.printf("| %d | %.2f | %.0f | %.2f | ≥ 1,000,000 |\n", paths, x, 1e6/x, x/base)
	}
	r.printf("\n")
	return nil
}

// count gives the CPU of a view, flushes included, in µs.
func (r *report) count(views, paths int) (float64, error) {
	g := newGenerator(paths)
	m := site.New(1)
	out := make([]analytics.Reason, applyBatch)
	var spent time.Duration
	index, done, flushed := uint64(0), 0, 0
	for done < views {
		batches, err := g.take(applyEntries)
		if err != nil {
			return 0, err
		}
		before, err := driver.ThreadCPU()
		if err != nil {
			return 0, err
		}
		for _, b := range batches {
			index++
			if need := m.Need(b.now, b.items); len(need) > 0 {
				return 0, fmt.Errorf("records are asked for: %v", need)
			}
			m.Step(index, b.now, b.items, out)
			done += len(b.items)
			if done-flushed >= applyFlush {
				m.Flush()
				flushed = done
			}
		}
		after, err := driver.ThreadCPU()
		if err != nil {
			return 0, err
		}
		spent += after - before
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
	}
	return float64(spent.Microseconds()) / float64(done), nil
}

// batch is a decoded entry.
type batch struct {
	now   int64
	items []entry.Item
}

// generator makes entries of visitors who view a few pages each.
type generator struct {
	rand  *rand.Rand
	pages *rand.Zipf
	here  [2000]uint64 // visitors who view pages now
	left  [2000]int    // pages that they will still view
	ids   uint64
	now   int64
	event analytics.Event
}

func newGenerator(paths int) *generator {
	r := rand.New(rand.NewPCG(uint64(paths), 1))
	return &generator{rand: r, pages: rand.NewZipf(r, 1.1, 1, uint64(paths-1)), now: 1_772_353_800_000}
}

var (
	places    = [...]string{"DE", "US", "FR", "GB", "IN", "BR", "JP", "ES", "IT", "PL"}
	browsers  = [...]string{"Chrome", "Firefox", "Safari", "Edge", "Samsung Browser"}
	systems   = [...]string{"Windows", "Mac", "Android", "iOS", "GNU/Linux"}
	sources   = [...]string{"", "", "Google", "Bing", "DuckDuckGo", "Facebook", "Hacker News"}
	languages = [...]string{"en-GB", "en-US", "de-DE", "fr-FR", "ja-JP"}
)

// take makes and decodes entries. They share memory made anew each time.
func (g *generator) take(n int) ([]batch, error) {
	out := make([]batch, n)
	for i := range out {
		g.now += applyBatch / applyPerMilli
		buf := make([]byte, entry.HeaderLen, 16<<10)
		entry.PutHeader(buf, g.now, 1, 0, 1)
		for range applyBatch {
			g.next()
			buf = entry.AppendEvent(buf, 1, &g.event)
		}
		rd, err := entry.Open(buf)
		if err != nil {
			return nil, err
		}
		items := make([]entry.Item, 0, applyBatch+1)
		for {
			items = append(items, entry.Item{})
			more, err := rd.Next(&items[len(items)-1])
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
		}
		out[i] = batch{g.now, items[:len(items)-1]}
	}
	return out, nil
}

func (g *generator) next() {
	slot := g.rand.IntN(len(g.here))
	if g.left[slot] == 0 {
		g.here[slot], g.left[slot] = g.rand.Uint64()|1, 1+g.rand.IntN(5)
	}
	g.left[slot]--
	g.ids++
	who := g.here[slot]
	page := g.pages.Uint64()
	ev := &g.event
	*ev = analytics.Event{Time: g.now, ID: g.ids * 0x9e3779b97f4a7c15, Visitor: who, Host: traffic.Domain(1), ScrollDepth: 255,
		Page: fmt.Sprintf("/shop/category-%d/product-%d", page%37, page), Language: languages[who>>8%5]}
	ev.Agent = analytics.Agent{Browser: browsers[who>>16%5], BrowserVersion: fmt.Sprint(100 + who>>20%60), OS: systems[who>>24%5], OSVersion: "10", Device: "Desktop"}
	ev.Place.Country = places[who>>32%10]
	ev.Acquisition.Source = sources[who>>40%7]
	if ev.Acquisition.Source != "" {
		ev.Acquisition.Channel, ev.Acquisition.Referrer = "Organic Search", "example.org"
	}
}

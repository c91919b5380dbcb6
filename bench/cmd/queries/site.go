package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

// figures are what is measured of one large site.
type figures struct {
	disk    int64
	memory  int64 // after the quiet questions
	cold    map[string]*line
	quiet   map[string]*line
	answers map[string][]row // to the first variations
	busy    busyResult
	peers   []*peer
}

// site is the part about one large site: quiet, while views come in, and beside
// the peers.
func (r *run) site(views int) error {
	d, err := r.prepare(views)
	if err != nil {
		return err
	}
	f := figures{cold: map[string]*line{}}
	if r.wants("peers") {
		f.peers = r.loadPeers(d)
	}
	qs, last := questions(), d.end.AddDate(0, 0, -1)
	if err := r.measure(d, qs, last, &f); err != nil {
		return err
	}
	r.askPeers(f.peers, qs, last)
	r.table(views, qs, &f)
	r.beside(qs, &f)
	return nil
}

// measure asks a node on a copy of the history.
func (r *run) measure(d dataset, qs []question, last time.Time, f *figures) error {
	n, done, err := r.startCopy(d.data())
	if err != nil {
		return err
	}
	defer done()
	n.Settle()
	n.Stop()
	f.disk = node.DirSize(n.Dir)
	for _, q := range qs {
		if !r.wants("cold") {
			break
		}
		r.note("quiet, cold: %s", q.name)
		if f.cold[q.name], err = r.cold(n.Dir, q, last); err != nil {
			return err
		}
	}
	if r.wants("warm") {
		if err := r.life(n.Dir, func(n *node.Process) (err error) {
			f.quiet, f.answers, f.memory, err = r.quiet(n, qs, last)
			return err
		}); err != nil {
			return err
		}
	}
	if r.wants("ingest") {
		return r.life(n.Dir, func(n *node.Process) (err error) {
			f.busy, err = r.busy(n, qs)
			return err
		})
	}
	return nil
}

// life runs a node for as long as do takes.
func (r *run) life(dir string, do func(n *node.Process) error) error {
	n, err := r.start(dir)
	if err != nil {
		return err
	}
	defer n.Stop()
	return do(n)
}

// table prints the figures of one large site.
func (r *run) table(views int, qs []question, f *figures) {
	r.printf("## A site of %s over 12 months\n\n", amount(views))
	r.printf("| question | cold p50 | cold p99 | warm p50 | warm p99 | p50 with %.0f views/s | p99 | goal p99 | asked |\n|---|---|---|---|---|---|---|---|---|\n", r.rate)
	for _, q := range append(slices.Clone(qs), cachedQuestions...) {
		c, w, b := f.cold[q.name], f.quiet[q.name], f.busy.lines[q.name]
		if wrong := firstWrong(c, w, b); wrong != "" {
			r.printf("| %s | not answered: %s | | | | | | %s | |\n", q.name, wrong, q.goal)
			continue
		}
		r.printf("| %s | %s | %s | %s | %s | %s | %s | %s | %d |\n", q.name, c.cell(50), c.cell(99), w.cell(50), w.cell(99), b.cell(50), b.cell(99), q.goal, w.count())
	}
	r.printf("\nRealtime is asked again and again as it is. \"Cold\" is of %d starts, \"asked\" how often warm.\n\n", coldRounds)
	if r.wants("ingest") {
		r.ingest(f.busy)
	}
	r.printf("| figure | value | goal |\n|---|---|---|\n")
	r.printf("| bytes on disk per view, all days sealed, log and accounts included | %.1f | < 12 |\n", float64(f.disk)/float64(views))
	r.printf("| resident memory after the quiet questions | %d MB | |\n", f.memory>>20)
	r.printf("| resident memory after those with views coming in | %d MB | |\n\n", f.busy.memory>>20)
}

// cachedQuestions are asked once more, as they were.
var cachedQuestions = []question{
	{name: "cached: the 30-day series again", goal: "< 0.5"},
	{name: "cached: the top 100 pages of 12 months again", goal: "< 0.5"},
}

// quiet asks everything warm and keeps the answers to the first variations.
func (r *run) quiet(n *node.Process, qs []question, last time.Time) (lines map[string]*line, answers map[string][]row, memory int64, err error) {
	a := newAsker(n)
	defer a.close()
	lines, answers = map[string]*line{}, map[string][]row{}
	for _, q := range qs {
		r.note("quiet, warm: %s", q.name)
		if _, _, err := a.ask(q.at(0, last, false)); err != nil {
			return nil, nil, 0, err
		}
		answers[q.name] = a.rows()
		if lines[q.name], err = r.warm(r.ctx, a, 0, func(i int) spec { return q.at(1+i, last, false) }); err != nil {
			return nil, nil, 0, err
		}
	}
	for i, of := range []int{0, 3} {
		if lines[cachedQuestions[i].name], err = r.cached(a, qs[of], last); err != nil {
			return nil, nil, 0, err
		}
	}
	memory, err = driver.Resident(n.PID())
	return lines, answers, memory, err
}

// busyResult is what the second half gave.
type busyResult struct {
	lines       map[string]*line
	alone, with driver.Result // the views, without and with questions
	memory      int64
}

// ingestConnections carry the views.
const ingestConnections = 64

// busy asks everything while views come in to 20 sites, of which the asked one
// is one. Ranges end today, so that every answer holds views of this moment.
func (r *run) busy(n *node.Process, qs []question) (busyResult, error) {
	b := busyResult{lines: map[string]*line{}}
	mix := traffic.Usual()
	mix.Sites = ingestSites
	load := driver.Load{Addr: n.Addr, Mix: mix, Connections: ingestConnections, Rate: r.rate, PID: n.PID()}
	r.note("views alone")
	alone := load
	alone.Duration, alone.Mix.Seed = max(4*r.each, 2*time.Second), 11
	var err error
	if b.alone, err = driver.Run(r.ctx, alone); err != nil {
		return b, fmt.Errorf("views alone: %w", err)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	load.Duration, load.Mix.Seed = time.Hour, 12
	var views sync.WaitGroup
	var failed error
	views.Go(func() {
		defer cancel()
		b.with, failed = driver.Run(ctx, load)
	})
	err = r.askBusy(ctx, n, qs, b.lines)
	cancel()
	views.Wait()
	if failed != nil {
		return b, fmt.Errorf("views beside questions: %w", failed)
	}
	if err != nil {
		return b, err
	}
	b.memory, err = driver.Resident(n.PID())
	return b, err
}

func (r *run) askBusy(ctx context.Context, n *node.Process, qs []question, lines map[string]*line) (err error) {
	a := newAsker(n)
	defer a.close()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for _, q := range qs {
		r.note("views and: %s", q.name)
		if lines[q.name], err = r.warm(ctx, a, r.pause, func(i int) spec { return q.at(i, today, true) }); err != nil {
			return err
		}
	}
	return nil
}

// ingest prints what the questions cost the views.
func (r *run) ingest(b busyResult) {
	rest := " without a rest"
	if r.pause > 0 {
		rest = fmt.Sprintf(" with a rest of %v", r.pause)
	}
	r.printf("| views coming in, %d sites | views/s | p50 | p99 | refused | CPU of the node, cores |\n|---|---|---|---|---|---|\n", ingestSites)
	for _, x := range []struct {
		name string
		res  driver.Result
	}{{"alone", b.alone}, {"with questions, one after the other" + rest, b.with}} {
		r.printf("| %s | %.0f | %s | %s | %d | %.2f |\n", x.name, x.res.PerSecond(), ms(x.res.Quantile(50)), ms(x.res.Quantile(99)),
			x.res.Refused+x.res.Failed, x.res.CPU.Seconds()/x.res.Elapsed.Seconds())
	}
	r.printf("| ratio | | %s | %s (goal: ≤ 2) | | |\n\n", ratio(b.with.Quantile(50), b.alone.Quantile(50)), ratio(b.with.Quantile(99), b.alone.Quantile(99)))
}

func ms(d time.Duration) string { return number(d.Seconds() * 1000) }

func ratio(a, b time.Duration) string { return number(float64(a) / float64(max(b, 1))) }

// amount shows a number of views: "10 million views".
func amount(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%g million views", float64(n)/1e6)
	}
	return fmt.Sprintf("%d views", n)
}

// beside prints the peers next to the node.
func (r *run) beside(qs []question, f *figures) {
	if len(f.peers) == 0 {
		return
	}
	r.printf("## The same events and questions in other engines\n\n")
	for _, p := range f.peers {
		if p.wrong != "" {
			r.printf("%s is left out: %s.\n\n", p.title, p.wrong)
			continue
		}
		r.printf("%s: %s. Its ratios are its p50 by ours, above 1 where we are ahead. It is called in its own process, without HTTP.\n\n", p.title, p.note)
		r.printf("| question | cold p50, ours | %s | ratio | warm p50, ours | %s | ratio | warm p99, ours | %s | page views |\n|---|---|---|---|---|---|---|---|---|---|\n", p.title, p.title, p.title)
		for _, q := range qs {
			c, w, pc, pw := f.cold[q.name], f.quiet[q.name], p.cold[q.name], p.warm[q.name]
			if wrong := firstWrong(c, w, pc, pw); wrong != "" {
				r.printf("| %s | %s | %s | | %s | %s | | %s | %s | not compared: %s |\n", q.name, c.cell(50), pc.cell(50), w.cell(50), pw.cell(50), w.cell(99), pw.cell(99), wrong)
				continue
			}
			r.printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", q.name, c.cell(50), pc.cell(50), times(pc, c), w.cell(50), pw.cell(50), times(pw, w),
				w.cell(99), pw.cell(99), same(f.answers[q.name], p.rows[q.name]))
		}
		r.printf("\n")
	}
}

// times is how many times longer a takes than b.
func times(a, b *line) string {
	if a.count() == 0 || b.count() == 0 {
		return "–"
	}
	return number(a.quantile(50) / math.Max(b.quantile(50), 0.001))
}

// same compares the rows of two answers. The product shows what a peer's table
// holds as nothing under a name of its own.
func same(ours, theirs []row) string {
	if ours == nil || theirs == nil {
		return "not compared"
	}
	left := map[string]int64{}
	for _, x := range theirs {
		if x.Views > 0 {
			left[x.Label] = x.Views
		}
	}
	differ := 0
	for _, x := range ours {
		label := x.Label
		if label == "Direct / None" {
			label = ""
		}
		if x.Views > 0 && left[label] != x.Views {
			differ++
		}
		delete(left, label)
	}
	if differ += len(left); differ > 0 {
		return fmt.Sprintf("**%d rows differ**", differ)
	}
	return fmt.Sprintf("equal in %d rows", len(theirs))
}

// growth asks the unfiltered questions of sites of several sizes.
func (r *run) growth(sizes []int) error {
	var qs []question
	for _, q := range questions() {
		if q.unfiltered {
			qs = append(qs, q)
		}
	}
	type result struct {
		cold, warm map[string]*line
		ready      time.Duration
		disk       float64
		memory     int64
	}
	results := make([]result, len(sizes))
	for i, views := range sizes {
		d, err := r.prepare(views)
		if err != nil {
			return err
		}
		if err := func() error {
			n, done, err := r.startCopy(d.data())
			if err != nil {
				return err
			}
			defer done()
			n.Stop()
			res := &results[i]
			res.disk = float64(node.DirSize(n.Dir)) / float64(views)
			res.cold = map[string]*line{}
			last := d.end.AddDate(0, 0, -1)
			for _, q := range qs {
				r.note("%s, cold: %s", amount(views), q.name)
				if res.cold[q.name], err = r.cold(n.Dir, q, last); err != nil {
					return err
				}
			}
			start := time.Now()
			if n, err = r.start(n.Dir); err != nil {
				return err
			}
			defer n.Stop()
			res.ready = time.Since(start)
			res.warm, _, res.memory, err = r.quiet(n, qs, last)
			return err
		}(); err != nil {
			return err
		}
	}
	r.printf("## The same questions by size\n\nUnfiltered questions should not grow with the history. p50 / p99; the factor is of warm p50 between the first and the last size, which differ by %s.\n\n", number(float64(sizes[len(sizes)-1])/float64(sizes[0])))
	head, rule := "| question |", "|---|"
	for _, views := range sizes {
		head += fmt.Sprintf(" %s, cold | warm |", amount(views))
		rule += "---|---|"
	}
	r.printf("%s factor |\n%s---|\n", head, rule)
	for _, q := range qs {
		r.printf("| %s |", q.name)
		for i := range sizes {
			c, w := results[i].cold[q.name], results[i].warm[q.name]
			r.printf(" %s / %s | %s / %s |", c.cell(50), c.cell(99), w.cell(50), w.cell(99))
		}
		r.printf(" %s |\n", times(results[len(sizes)-1].warm[q.name], results[0].warm[q.name]))
	}
	r.printf("\n| figure |")
	for _, views := range sizes {
		r.printf(" %s |", amount(views))
	}
	r.printf("\n|---|")
	for range sizes {
		r.printf("---|")
	}
	r.printf("\n| start until ready, ms |")
	for i := range sizes {
		r.printf(" %d |", results[i].ready.Milliseconds())
	}
	r.printf("\n| bytes on disk per view |")
	for i := range sizes {
		r.printf(" %.1f |", results[i].disk)
	}
	r.printf("\n| resident memory, MB |")
	for i := range sizes {
		r.printf(" %d |", results[i].memory>>20)
	}
	r.printf("\n\n")
	return nil
}

// many measures a node of very many sites: start, memory, and questions to
// sites that nobody has asked since the start.
func (r *run) many(sites, active, viewsEach int) error {
	dir, err := os.MkdirTemp(r.keep, "sites-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.makeSites(dir, sites, active, viewsEach); err != nil {
		return err
	}
	n, err := r.start(dir) // the first start makes salts and token
	if err != nil {
		return err
	}
	n.Settle()
	n.Stop()
	start := time.Now()
	if n, err = r.start(dir); err != nil {
		return err
	}
	defer n.Stop()
	ready := time.Since(start)
	idle, err := driver.Resident(n.PID())
	if err != nil {
		return err
	}
	a := newAsker(n)
	defer a.close()
	if err := a.connect(); err != nil {
		return err
	}
	busy, empty, again := newLine(), newLine(), newLine()
	for i := range active {
		if err := r.askSite(a, i, busy); err != nil {
			return err
		}
	}
	for i := range active {
		if err := r.askSite(a, i, again); err != nil {
			return err
		}
	}
	for i := range min(active, sites-active) {
		if err := r.askSite(a, active+i*((sites-active)/active), empty); err != nil {
			return err
		}
	}
	after, err := driver.Resident(n.PID())
	if err != nil {
		return err
	}
	r.printf("## %d sites, %d of them active\n\nActive sites have %d views of the last 30 days each. The question is the 30-day series.\n\n", sites, active, viewsEach)
	r.printf("| figure | value | goal |\n|---|---|---|\n")
	r.printf("| start until ready | %d ms | |\n| resident memory after the start | %d MB | |\n", ready.Milliseconds(), idle>>20)
	r.printf("| cold active site, p50 / p99 of %d | %s / %s ms%s | < 20 |\n", busy.times.TotalCount(), busy.cell(50), busy.cell(99), told(busy))
	r.printf("| the same sites again | %s / %s ms%s | |\n", again.cell(50), again.cell(99), told(again))
	r.printf("| cold site without views | %s / %s ms%s | < 20 |\n", empty.cell(50), empty.cell(99), told(empty))
	r.printf("| resident memory after the questions | %d MB | |\n| bytes on disk per site | %.0f | |\n\n", after>>20, float64(node.DirSize(dir))/float64(sites))
	return nil
}

func told(l *line) string {
	if l.wrong != "" {
		return " (" + l.wrong + ")"
	}
	return ""
}

// askSite asks the i-th site for its last 30 days.
func (r *run) askSite(a *asker, i int, l *line) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"site_id":%q,"metrics":["visitors","visits","pageviews"],"dimensions":["time:day"],"date_range":"30d"}`, traffic.Domain(i))
	status, took, err := a.do(request{fasthttp.MethodPost, "/api/v2/query", body})
	if err != nil {
		return err
	}
	l.add(status, took, a.res.Body())
	return nil
}

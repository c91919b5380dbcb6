package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// ms gives a percentile of durations in milliseconds.
func ms(took []time.Duration, percent float64) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[min(len(sorted)-1, int(float64(len(sorted))*percent/100))].Microseconds()) / 1000
}

// arrival tells which state a page shows.
type arrival struct {
	index uint64
	at    time.Time
}

func (s *scene) newPage(reader int, p pace) *page {
	figures, rest := questions(s.domain, time.Now().UTC())
	return &page{addr: s.node.Addr, domain: s.domain, cookie: s.readers[reader], pace: p, figures: figures, rest: rest,
		client: &fasthttp.HostClient{Addr: s.node.Addr, MaxConns: 2, MaxIdleConnDuration: time.Minute}, asked: new(atomic.Int64), heard: func() {}}
}

const waitMax = 30 * time.Second

// follow opens a page and sends views, each at a random moment after the one
// before is on the page: how long each took from its 202.
func (s *scene) follow(ctx context.Context, pace pace, views int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type shown struct {
		views uint64
		at    time.Time
		err   error
	}
	figures := make(chan shown, 1024)
	p := s.newPage(0, pace)
	p.shown = func(body []byte, err error) {
		n, _ := pageviews(body)
		figures <- shown{n, time.Now(), err}
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.follow(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		return nil, err
	}
	var first shown
	select {
	case first = <-figures:
	case <-time.After(waitMax):
		return nil, errors.New("no figures came")
	}
	want := first.views
	var took []time.Duration
	r := rand.New(rand.NewPCG(3, 4))
	for i := range views {
		pause := time.NewTimer(50*time.Millisecond + time.Duration(r.Int64N(int64(time.Second))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if _, err := s.view(i); err != nil {
			return nil, err
		}
		accepted := time.Now()
		want++
		limit := time.After(waitMax)
		for seen := false; !seen; {
			select {
			case f := <-figures:
				if f.err != nil {
					return nil, f.err
				}
				if seen = f.views >= want; seen {
					took = append(took, f.at.Sub(accepted))
				}
			case <-limit:
				return nil, fmt.Errorf("view %d did not come onto the page", i)
			}
		}
	}
	cancel()
	return took, <-ended
}

// pageviews reads the third of the figures.
func pageviews(body []byte) (uint64, bool) {
	_, rest, ok := strings.Cut(string(body), `"metrics":[`)
	if !ok {
		return 0, false
	}
	fields := strings.SplitN(rest, ",", 4)
	if len(fields) < 4 {
		return 0, false
	}
	n, err := strconv.ParseFloat(fields[2], 64)
	return uint64(n), err == nil
}

// opened are many open pages. close must be called.
type opened struct {
	asked, pushed, refused atomic.Int64
	arrivals               []chan arrival // of a few pages
	stop                   context.CancelFunc
	pages                  sync.WaitGroup
	failed                 atomic.Pointer[error]
}

const watched = 8

// open opens pages one after the other and waits until all were told of the
// present numbers.
func (s *scene) open(ctx context.Context, pace pace, pages int) (*opened, error) {
	ctx, stop := context.WithCancel(ctx)
	o := &opened{stop: stop}
	var ready sync.WaitGroup
	for i := range pages {
		p := s.newPage(1+i/pagesPerReader, pace)
		p.asked, p.heard = &o.asked, func() { o.pushed.Add(1) }
		var seen chan arrival
		if i%max(1, pages/watched) == 0 {
			seen = make(chan arrival, 4096)
			o.arrivals = append(o.arrivals, seen)
		}
		p.shown = func(body []byte, err error) {
			if err != nil {
				if ctx.Err() == nil {
					o.refused.Add(1)
				}
				return
			}
			if index, ok := number(body, `"as_of":`); ok && seen != nil {
				select {
				case seen <- arrival{index, time.Now()}:
				default:
				}
			}
		}
		ready.Add(1)
		once := sync.OnceFunc(ready.Done)
		o.pages.Go(func() {
			defer once()
			if err := p.follow(ctx, once); err != nil {
				o.failed.CompareAndSwap(nil, &err)
			}
		})
		if i%100 == 99 {
			time.Sleep(50 * time.Millisecond) // browsers do not all come at once either
		}
	}
	ready.Wait()
	if err := o.failure(); err != nil {
		o.close()
		return nil, err
	}
	log.Print("all are open")
	return o, nil
}

func (o *opened) close() {
	o.stop()
	o.pages.Wait()
}

func (o *opened) failure() error {
	if err := o.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// probing sends a view a second and notes when it is on the pages.
type probing struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	open   *opened
	sent   []arrival
	failed error
}

func (o *opened) probe(ctx context.Context, s *scene) *probing {
	ctx, stop := context.WithCancel(ctx)
	p := &probing{stop: stop, open: o}
	for _, seen := range o.arrivals {
		for len(seen) > 0 {
			<-seen
		}
	}
	p.done.Go(func() {
		tick := time.NewTicker(730 * time.Millisecond) // no multiple of a pace
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			token, err := s.view(i)
			if err != nil {
				p.failed = err
				return
			}
			_, text, _ := strings.Cut(token, "-")
			index, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				p.failed = fmt.Errorf("token %q: %w", token, err)
				return
			}
			p.sent = append(p.sent, arrival{index, time.Now()})
		}
	})
	return p
}

// end stops sending and tells how long each view took to each watched page.
func (p *probing) end() ([]time.Duration, error) {
	p.stop()
	p.done.Wait()
	var took []time.Duration
	for _, seen := range p.open.arrivals {
		var came []arrival
		for len(seen) > 0 {
			came = append(came, <-seen)
		}
		for _, sent := range p.sent {
			for _, c := range came {
				if c.index >= sent.index {
					took = append(took, max(0, c.at.Sub(sent.at)))
					break
				}
			}
		}
	}
	return took, p.failed
}

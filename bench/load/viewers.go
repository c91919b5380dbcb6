package load

import (
	"bytes"
	"context"
	"sync"
	"time"

	"footfall/bench/wire"
)

// viewers are people who keep a live page open.
type viewers struct {
	count   int
	targets []*Target
	keys    []string // in turns
	domain  func(n int) string
	tally   *tally
}

const (
	viewerSilence = time.Minute // longer than a server's pings are apart
	viewerPause   = time.Second // before somebody whose stream ended comes back
)

var dataLine = []byte("data:")

// run keeps the streams open until ctx is over.
func (v *viewers) run(ctx context.Context) {
	var wg sync.WaitGroup
	for n := range v.count {
		wg.Go(func() {
			timer := time.NewTimer(0)
			defer timer.Stop()
			for k := n; ; k++ {
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				}
				v.watch(ctx, v.targets[k%len(v.targets)], n)
				timer.Reset(viewerPause)
			}
		})
	}
	wg.Wait()
}

// watch opens one stream and counts what comes until it ends.
func (v *viewers) watch(ctx context.Context, t *Target, n int) {
	var c wire.Conn
	v.tally.intended.Add(1)
	begin := time.Now()
	if err := c.Dial(ctx, t.Addr, t.TLS, viewerSilence); err != nil {
		if ctx.Err() == nil {
			v.tally.failed.Add(1)
		}
		return
	}
	var mu sync.Mutex // the connection is closed by whoever is first
	open := true
	closer := c.Closer()
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if open {
			closer()
		}
	})
	request := appendLive(nil, &t.To, v.domain(n), v.keys[n%len(v.keys)])
	v.tally.sent.Add(1)
	v.tally.bytes.Add(int64(len(request)))
	status, first := 0, true
	err := c.Stream(request, viewerSilence, func(s int) {
		if status = s; s > 299 {
			v.tally.refused.Add(1)
		} else {
			v.tally.answered.Add(1)
		}
		v.tally.statuses[min(s, len(v.tally.statuses)-1)].Add(1)
	}, func(line []byte) {
		if bytes.HasPrefix(line, dataLine) {
			v.tally.messages.Add(1)
			if first {
				first = false
				v.tally.latencies.record(time.Since(begin))
			}
		}
	})
	mu.Lock()
	open = false
	mu.Unlock()
	stop()
	v.tally.received.Add(c.Read)
	if err != nil && status == 0 && ctx.Err() == nil {
		v.tally.failed.Add(1)
	}
}

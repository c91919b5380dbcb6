package transport

import (
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// refusedEvery is how often, at most, refused connections are logged.
const refusedEvery = time.Second

// gate bounds the connections that have not shown yet who they are. When it is
// full the oldest of them has to go: a node shows itself in milliseconds, who
// stays long is not one.
type gate struct {
	max     int
	logger  *slog.Logger
	clock   func() time.Time
	refused atomic.Uint64

	mu      sync.Mutex
	closed  bool
	waiting []net.Conn // in order of arrival
	logged  time.Time
	untold  int
}

// enter lets a connection in, for a time.
func (g *gate) enter(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		c.Close()
		return
	}
	if len(g.waiting) >= g.max {
		g.waiting[0].Close()
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
	g.waiting = append(g.waiting, c)
}

// leave takes a connection out of the count. false says that it had to go.
func (g *gate) leave(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// close turns everybody away who is waiting, and whoever comes.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, c := range g.waiting {
		c.Close()
	}
	g.waiting = nil
}

// refuse counts a connection that was not let in, and logs one a second.
func (g *gate) refuse(addr string, err error) {
	g.refused.Add(1)
	g.mu.Lock()
	g.untold++
	now, count := g.clock(), g.untold
	tell := !g.closed && (g.logged.IsZero() || now.Sub(g.logged) >= refusedEvery || now.Before(g.logged))
	if tell {
		g.logged, g.untold = now, 0
	}
	g.mu.Unlock()
	if tell {
		g.logger.Warn("connections to the cluster port were refused", "count", count, "last_from", addr, "last_error", err)
	}
}

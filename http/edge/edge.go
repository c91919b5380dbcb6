// Package edge is the HTTP server in front of all doors: it mounts their
// routes, bounds what a connection may cost, recognises who asks, refuses what
// a route does not allow and drains on shutdown. It must never know what a
// route is about, keep anything of a request, or print an address or a byte of
// a request. Start at New and Server.handle.
package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Authenticator recognises a caller by the credentials of its request. No
// credentials and unknown ones give an anonymous identity; an error means that
// it could not be found out. Calls are concurrent. For a body that is not yet
// read ctx carries the header only, and no connection.
type Authenticator interface {
	Authenticate(ctx *fasthttp.RequestCtx) (accounts.Identity, error)
}

// Options are what a Server is made of. Routes and Auth are required; the zero
// value of everything else is a sound default.
type Options struct {
	Routes []door.Route
	// Fallback answers GET and HEAD of paths that no route has, outside /api/
	// and /v1/: the dashboard. Nil answers 404 as JSON.
	Fallback door.Handler
	// Framed is the beginning of the fallback's paths that pages of others may show
	// in a frame, if asked for with embed=true; "" for none.
	Framed string
	Auth   Authenticator
	// Trusted lists the proxies whose forwarding headers are believed.
	Trusted []netip.Prefix
	Metrics *metrics.Set
	Logger  *slog.Logger // hears of panics only
	// Dial opens a connection to another node, which serves it by ServeTunnel. It is
	// for requests that only a certain node can answer; nil on a node alone.
	Dial func(ctx context.Context, node uint16) (net.Conn, error)
	// CloseStreams ends the streams that would hold up a shutdown.
	CloseStreams func()

	ReadTimeout  time.Duration // of a whole request; 5 s
	WriteTimeout time.Duration // of a whole answer; 30 s
	IdleTimeout  time.Duration // between two requests; 30 s
	Concurrency  int           // connections at a time; 65,536
	// KeepBuffers trades about 10 KB per idle connection for less CPU per request.
	KeepBuffers bool
}

const (
	bodyBytesDefault = 64 << 10
	headerBytesMax   = 8 << 10 // request line and headers together; more is 431
	urlBytesMax      = 4 << 10 // more is 414

	beaconMethod = "POST"
	beaconPath   = "/api/event"
)

// Server is the HTTP server of a node. It is safe for concurrent use.
type Server struct {
	opts     Options
	http     fasthttp.Server
	router   *router.Router
	routes   []door.Route
	large    []door.Route // those with a body over bodyBytesDefault
	beacon   door.Handler // the fast path, nil without such a route
	conns    *tracker
	count    counters
	forwards forwarder
	// fallback has no handler if there is none.
	fallback door.Route

	draining atomic.Bool
}

// New makes a server of routes. Two routes that answer the same request, a
// malformed path or a route without handler are an error.
func New(opts Options) (*Server, error) {
	if opts.Auth == nil {
		return nil, fmt.Errorf("edge: no authenticator")
	}
	if opts.Metrics == nil {
		opts.Metrics = metrics.NewSet()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&opts.ReadTimeout, 5*time.Second)
	orDefault(&opts.WriteTimeout, 30*time.Second)
	orDefault(&opts.IdleTimeout, 30*time.Second)
	if opts.Concurrency <= 0 {
		opts.Concurrency = 64 << 10
	}
	s := &Server{opts: opts, router: router.New(), conns: newTracker(), forwards: forwarder{dial: opts.Dial}}
	s.fallback = door.Route{Method: "GET", Need: door.Public, Handler: opts.Fallback}
	s.count.init(opts.Metrics, s)
	if err := s.mount(opts.Routes); err != nil {
		return nil, err
	}
	s.http = fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.refuse,
		HeaderReceived:               s.headerReceived,
		Logger:                       &s.count,
		ReadTimeout:                  opts.ReadTimeout,
		WriteTimeout:                 opts.WriteTimeout,
		IdleTimeout:                  opts.IdleTimeout,
		Concurrency:                  opts.Concurrency,
		MaxRequestBodySize:           bodyBytesDefault,
		ReadBufferSize:               headerBytesMax,
		ReduceMemoryUsage:            !opts.KeepBuffers,
		LazyRequestTime:              true,
		CloseOnShutdown:              true,
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Routes lists every mounted route, sorted by path and method, for the test
// that walks all of them with every role.
func (s *Server) Routes() []door.Route { return append([]door.Route(nil), s.routes...) }

// Draining tells whether Shutdown has begun: the node is no longer ready.
func (s *Server) Draining() bool { return s.draining.Load() }

func orDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}

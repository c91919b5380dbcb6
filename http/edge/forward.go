package edge

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

const (
	// headerOperator is believed of nodes only.
	headerOperator = "X-Footfall-Operator"
	// hopsMax ends the travels of a request whose site is being moved.
	hopsMax = 2

	tunnelsMax = 512 // connections to one node
)

// forwarder passes requests on to other nodes.
type forwarder struct {
	dial func(ctx context.Context, node uint16) (net.Conn, error)
	mu   sync.Mutex // guards nodes
	node map[uint16]*fasthttp.HostClient
}

func (f *forwarder) client(node uint16) *fasthttp.HostClient {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.node[node]; c != nil {
		return c
	}
	c := &fasthttp.HostClient{
		Addr:                          "node-" + strconv.Itoa(int(node)),
		MaxConns:                      tunnelsMax,
		MaxIdleConnDuration:           10 * time.Second,
		MaxIdemponentCallAttempts:     1, // the client decides whether to ask again
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
		NoDefaultUserAgentHeader:      true,
		StreamResponseBody:            true,
		Dial: func(string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			conn, err := f.dial(ctx, node)
			if err != nil {
				return nil, err
			}
			return patient{conn}, nil
		},
	}
	if f.node == nil {
		f.node = map[uint16]*fasthttp.HostClient{}
	}
	f.node[node] = c
	return c
}

// patience is how long a node may say nothing on a tunnel: longer than a question
// may take, and than a stream is silent.
const patience = 40 * time.Second

type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// ServeTunnel answers requests that another node passes on over c, until c or
// the server ends.
func (s *Server) ServeTunnel(c net.Conn) error {
	t, ok := s.conns.add(tunnel{c})
	defer t.Close()
	if !ok {
		return nil
	}
	return s.http.ServeConn(t)
}

// close ends the tunnels that nobody uses.
func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.node {
		c.CloseIdleConnections()
	}
}

// tunnel hides the address of the node at the other end.
type tunnel struct{ net.Conn }

func (tunnel) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(door.TunnelAddress(), 0))
}

// forward passes a request on as it came, in the name of its client, and gives
// the answer as it comes. Sessions and keys are known to all nodes; the operator's
// token is not, so the other node takes this one's word for it.
func (s *Server) forward(ctx *fasthttp.RequestCtx, node uint16, who accounts.Identity) error {
	travelled := door.Hops(ctx)
	if s.opts.Dial == nil || travelled >= hopsMax {
		return errMoving
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	ctx.Request.CopyTo(req)
	h := &req.Header
	if client, ok := door.ClientIP(ctx, s.opts.Trusted); ok {
		for _, name := range []string{"X-Plausible-Ip", "Cf-Connecting-Ip", "B-Forwarded-For", "Forwarded"} {
			h.Del(name)
		}
		h.Set("X-Forwarded-For", client.String())
	}
	h.Set("X-Forwarded-Proto", "http")
	if s.secure(ctx) {
		h.Set("X-Forwarded-Proto", "https")
	}
	h.Set(door.HeaderHops, strconv.Itoa(travelled+1))
	h.Del("Connection")
	h.Del(headerOperator)
	if who.Operator {
		h.Set(headerOperator, "true")
	}
	req.URI().SetScheme("http")
	req.UseHostHeader = true
	if err := s.forwards.client(node).Do(req, resp); err != nil {
		fasthttp.ReleaseResponse(resp)
		s.opts.Logger.Debug("pass a request on", "node", node, "error", err)
		return errMoving
	}
	s.count.forwarded.Inc()
	out := &ctx.Response
	out.ResetBody()
	out.SetStatusCode(resp.StatusCode())
	for name, value := range resp.Header.All() { // what this node has said already stays, such as a quota
		switch string(name) {
		case "Connection", "Transfer-Encoding", "Content-Length", "Date":
		default:
			out.Header.SetBytesKV(name, value)
		}
	}
	length := resp.Header.ContentLength()
	if stream := resp.BodyStream(); stream != nil && !ctx.IsHead() {
		// An answer without end is cut off by its own server, not by our deadline.
		if length < 0 {
			_ = ctx.SetWriteDeadline(time.Time{})
			ctx.SetConnectionClose()
		}
		out.SetBodyStream(&answer{stream, resp}, length)
		return nil
	}
	out.SetBody(resp.Body())
	fasthttp.ReleaseResponse(resp)
	return nil
}

// answer is the body of a passed on answer; closing it gives its connection back.
type answer struct {
	io.Reader
	resp *fasthttp.Response
}

func (a *answer) Close() error {
	err := a.resp.CloseBodyStream()
	fasthttp.ReleaseResponse(a.resp)
	return err
}

var errMoving = &analytics.Error{Code: analytics.Unavailable, Text: "the site's data cannot be reached just now"}

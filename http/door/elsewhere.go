package door

import (
	"fmt"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// Elsewhere is the error of a question about something that this node has no
// replica of. The request as a whole can be answered by Node; the edge passes it
// on when nothing of an answer has been written yet.
type Elsewhere struct{ Node uint16 }

func (e *Elsewhere) Error() string { return fmt.Sprintf("the answer is on node %d", e.Node) }

// TunnelAddress is the peer's address of every request that another node passed
// on. It is of a private range that nobody is given addresses of; a node trusts
// what such a request says about its client.
func TunnelAddress() netip.Addr { return netip.MustParseAddr("fdf0:f007:fa11::1") }

// HeaderHops says how often a request was passed on. It counts only when it came
// through a tunnel.
const HeaderHops = "X-Footfall-Hops"

// Hops tells how often a request was passed on by other nodes. What it costs its
// client has been counted by the first.
func Hops(ctx *fasthttp.RequestCtx) int {
	if Peer(ctx) != TunnelAddress() {
		return 0
	}
	n, _ := fasthttp.ParseUint(ctx.Request.Header.Peek(HeaderHops))
	return max(n, 0)
}

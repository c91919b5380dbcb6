package door

import (
	"bytes"
	"net"
	"net/netip"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// Forwarded holds the header values by which a proxy names the client. The
// slices belong to the request.
type Forwarded struct {
	PlausibleIP  []byte // X-Plausible-IP
	Cloudflare   []byte // CF-Connecting-IP
	Bunny        []byte // B-Forwarded-For, a list
	ForwardedFor []byte // X-Forwarded-For, a list
	Standard     []byte // Forwarded, RFC 7239
}

// ReadForwarded takes the five headers from ctx. Of a repeated header the
// first counts.
func ReadForwarded(ctx *fasthttp.RequestCtx) Forwarded {
	h := &ctx.Request.Header
	return Forwarded{
		PlausibleIP:  h.PeekCanonical(headerPlausibleIP),
		Cloudflare:   h.PeekCanonical(headerCloudflare),
		Bunny:        h.PeekCanonical(headerBunny),
		ForwardedFor: h.PeekCanonical(headerForwardedFor),
		Standard:     h.PeekCanonical(headerForwarded),
	}
}

// Any tells whether a proxy spoke at all.
func (f *Forwarded) Any() bool {
	return f.PlausibleIP != nil || f.Cloudflare != nil || f.Bunny != nil || f.ForwardedFor != nil || f.Standard != nil
}

// Client gives the client's address: what the headers say when peer is
// trusted, else peer. The headers are tried in the order of the fields; of a
// list the first valid address counts. It allocates nothing.
func (f *Forwarded) Client(peer netip.Addr, trusted []netip.Prefix) (netip.Addr, bool) {
	if !Trusts(trusted, peer) {
		return peer, peer.IsValid()
	}
	for _, list := range [...][]byte{f.PlausibleIP, f.Cloudflare, f.Bunny, f.ForwardedFor} {
		if addr, ok := firstAddr(list); ok {
			return addr, true
		}
	}
	if addr, ok := firstFor(f.Standard); ok {
		return addr, true
	}
	return peer, peer.IsValid()
}

// ClientIP gives the address of the client behind ctx as Forwarded.Client
// says. False means that the connection has no address, as in-memory ones.
func ClientIP(ctx *fasthttp.RequestCtx, trusted []netip.Prefix) (netip.Addr, bool) {
	peer := Peer(ctx)
	if !Trusts(trusted, peer) {
		return peer, peer.IsValid()
	}
	f := ReadForwarded(ctx)
	return f.Client(peer, trusted)
}

// Peer gives the address at the other end of the connection, invalid if it has
// none. IPv4 in IPv6 reads as IPv4.
func Peer(ctx *fasthttp.RequestCtx) netip.Addr {
	tcp, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	return addr.Unmap()
}

// Trusts tells whether addr may speak for others.
func Trusts(trusted []netip.Prefix, addr netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ParseAddr reads an address as proxies write it: with or without a port, with
// or without brackets and quotes. Zones are refused. It allocates nothing for
// what is an address or does not look like one.
func ParseAddr(b []byte) (netip.Addr, bool) {
	b = bytes.Trim(b, " \t\"")
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return netip.Addr{}, false
		}
		b = b[1:end]
	} else if colon := bytes.IndexByte(b, ':'); colon >= 0 && bytes.IndexByte(b[colon+1:], ':') < 0 {
		b = b[:colon] // 192.0.2.1:443
	}
	if len(b) < 2 || len(b) > 45 {
		return netip.Addr{}, false
	}
	separators := 0
	for _, c := range b {
		switch {
		case c == '.' || c == ':':
			separators++
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return netip.Addr{}, false
		}
	}
	if separators < 2 {
		return netip.Addr{}, false
	}
	// ParseAddr keeps its argument only for zones, which were refused above.
	addr, err := netip.ParseAddr(unsafe.String(&b[0], len(b)))
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

func firstAddr(list []byte) (netip.Addr, bool) {
	for len(list) > 0 {
		item, rest, _ := bytes.Cut(list, comma)
		if addr, ok := ParseAddr(item); ok {
			return addr, true
		}
		list = rest
	}
	return netip.Addr{}, false
}

// firstFor finds the first valid address of the for= pairs of RFC 7239.
func firstFor(list []byte) (netip.Addr, bool) {
	for len(list) > 0 {
		cut := bytes.IndexAny(list, ",;")
		item := list
		if cut >= 0 {
			item, list = list[:cut], list[cut+1:]
		} else {
			list = nil
		}
		item = bytes.TrimSpace(item)
		if len(item) > 4 && bytes.EqualFold(item[:4], forPrefix) {
			if addr, ok := ParseAddr(item[4:]); ok {
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}

var (
	comma     = []byte(",")
	forPrefix = []byte("for=")

	headerPlausibleIP  = []byte("X-Plausible-Ip")
	headerCloudflare   = []byte("Cf-Connecting-Ip")
	headerBunny        = []byte("B-Forwarded-For")
	headerForwardedFor = []byte("X-Forwarded-For")
	headerForwarded    = []byte("Forwarded")
)

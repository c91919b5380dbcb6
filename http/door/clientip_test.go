package door

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func request(peer string, headers ...string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.SetRequestURI("/")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer)), nil)
	return ctx
}

func TestClientIPBelievesOnlyTrustedPeers(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"nothing forwarded", "127.0.0.1:9", nil, "127.0.0.1"},
		{"a stranger's header is ignored", "203.0.113.7:9", []string{"X-Forwarded-For", "198.51.100.1"}, "203.0.113.7"},
		{"mapped peer", "[::ffff:127.0.0.1]:9", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1"},
		{"first of the list", "127.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.1, 10.0.0.1"}, "198.51.100.1"},
		{"first valid of the list", "127.0.0.1:9", []string{"X-Forwarded-For", "unknown, , 198.51.100.2:8080, 10.0.0.1"}, "198.51.100.2"},
		{"port", "127.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.1:5060"}, "198.51.100.1"},
		{"IPv6", "127.0.0.1:9", []string{"X-Forwarded-For", "2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets with port", "127.0.0.1:9", []string{"X-Forwarded-For", "[2001:db8::2]:443"}, "2001:db8::2"},
		{"zone is refused", "127.0.0.1:9", []string{"X-Forwarded-For", "fe80::1%eth0, 198.51.100.3"}, "198.51.100.3"},
		{"order of headers", "127.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.4", "CF-Connecting-IP", "198.51.100.3",
			"B-Forwarded-For", "198.51.100.9", "X-Plausible-IP", "198.51.100.2"}, "198.51.100.2"},
		{"cloudflare before bunny", "127.0.0.1:9", []string{"B-Forwarded-For", "198.51.100.9", "CF-Connecting-IP", "198.51.100.3"}, "198.51.100.3"},
		{"bunny before forwarded-for", "127.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.4", "B-Forwarded-For", "198.51.100.9,10.1.1.1"}, "198.51.100.9"},
		{"an invalid header gives way", "127.0.0.1:9", []string{"X-Plausible-IP", "nonsense", "X-Forwarded-For", "198.51.100.4"}, "198.51.100.4"},
		{"Forwarded", "127.0.0.1:9", []string{"Forwarded", `proto=https; For="[2001:db8::3]:4711";by=10.0.0.1, for=198.51.100.1`}, "2001:db8::3"},
		{"Forwarded with an obfuscated first", "[::1]:9", []string{"Forwarded", `for=_hidden, for=198.51.100.8`}, "198.51.100.8"},
		{"repeated header", "127.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "198.51.100.2"}, "198.51.100.1"},
		{"only rubbish", "127.0.0.1:9", []string{"X-Forwarded-For", "a.b.c.d, 1.2.3, 999.1.1.1, [::1, ::g"}, "127.0.0.1"},
	} {
		ctx := request(c.peer, c.headers...)
		got, ok := ClientIP(ctx, loopback)
		if !ok || got.String() != c.want {
			t.Errorf("%s: got %v %v, want %s", c.name, got, ok, c.want)
		}
		f := ReadForwarded(ctx)
		if f.Any() != (len(c.headers) > 0) {
			t.Errorf("%s: Any = %v", c.name, f.Any())
		}
	}
}

func TestClientIPAllocatesNothing(t *testing.T) {
	ctx := request("127.0.0.1:9", "X-Forwarded-For", "unknown, [2001:db8::2]:443, 10.0.0.1")
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := ClientIP(ctx, loopback); !ok {
			t.Fatal("no address")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3.4:5", "[::1]:80", `"[::1]"`, "::", ":", "[", "1::2:3", "::ffff:1.2.3.4", strings.Repeat("1:", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, ok := ParseAddr([]byte(s))
		if ok != addr.IsValid() {
			t.Fatalf("%q: %v %v", s, addr, ok)
		}
		if ok && (addr.Zone() != "" || addr.Is4In6()) {
			t.Fatalf("%q: %v", s, addr)
		}
	})
}
